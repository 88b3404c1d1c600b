"""Which tensors are in a call, what are they called, and how is the call put together again?

Pure: values go in and come out, nothing is run. Containers are tuples, lists,
mappings, named tuples, dataclasses and attrs classes, nested at will; a tensor
is a ``torch.Tensor`` or a numpy array of numbers. Everything else is a constant
of the call.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, cast

import numpy as np
from attrs import frozen

from lexer_core.records import CallStructure, TensorRef

__all__ = [
    "FlatCall",
    "FlatOutputs",
    "constants_of",
    "flatten_call",
    "flatten_outputs",
    "is_tensor",
    "rebuild",
    "rename",
    "walk_outputs",
    "with_own_constants",
]

_NOT_NUMBERS = "OUSMm"
"""numpy's kinds of objects, text, bytes and times. ml_dtypes' types are of kind V."""

_PLAIN = (bool, int, float, complex, str, bytes, range, slice, enum.Enum, type, np.generic)


@frozen(kw_only=True, eq=False)
class FlatCall:
    """The tensors of a call by name, in order, and the structure around them."""

    leaves: Mapping[str, Any]
    structure: CallStructure


@frozen(kw_only=True, eq=False)
class FlatOutputs:
    """The tensors that a model returned, by name, in order.

    ``notes`` says, for a reader, what was returned and is no tensor.
    """

    tensors: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def is_tensor(value: object) -> bool:
    """Whether a value is a ``torch.Tensor`` or a numpy array of numbers.

    torch is looked up, never imported: where it was not imported, nothing can
    be a tensor of its.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.names is None and value.dtype.kind not in _NOT_NUMBERS
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def flatten_call(
    args: Sequence[object], kwargs: Mapping[str, object], arg_names: Sequence[str]
) -> FlatCall:
    """Take the tensors out of a call and give each a name.

    Parameters
    ----------
    args, kwargs
        The arguments, holding tensors or arrays at any depth.
    arg_names
        A name for each of ``args``: ``forward``'s parameters.

    Returns
    -------
    FlatCall
        A tensor that is an argument has the argument's name; one within a
        container has its path: ``batch.ids``, ``pair.0``. Containers are new
        objects; the tensors and the constants are the caller's own.
    """
    leaves: dict[str, Any] = {}
    structure = CallStructure(
        args=tuple(_take(arg, name, leaves) for arg, name in zip(args, arg_names, strict=True)),
        kwargs={name: _take(value, name, leaves) for name, value in kwargs.items()},
    )
    return FlatCall(leaves=leaves, structure=structure)


def rebuild(
    structure: CallStructure,
    leaves: Mapping[str, Any],
    convert: Callable[[Any], Any] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put a call together again.

    Parameters
    ----------
    structure
        As :func:`flatten_call` made it.
    leaves
        What stands for each name in the structure; more names are ignored.
    convert
        Applied to each leaf as it is put in place.

    Returns
    -------
    tuple[tuple, dict]
        ``args`` and ``kwargs``. Lists and mappings are new in each call.

    Raises
    ------
    KeyError
        A name of the structure is not in ``leaves``.
    """
    args = tuple([_put(arg, leaves, convert) for arg in structure.args])
    kwargs = {name: _put(value, leaves, convert) for name, value in structure.kwargs.items()}
    return args, kwargs


def rename(call: FlatCall, names: Mapping[str, str]) -> FlatCall:
    """Give the tensors of a call other names; ``names`` has one for each."""
    references = {old: TensorRef(new) for old, new in names.items()}
    args, kwargs = rebuild(call.structure, references)
    return FlatCall(
        leaves={names[old]: leaf for old, leaf in call.leaves.items()},
        structure=CallStructure(args=args, kwargs=kwargs),
    )


def constants_of(structure: CallStructure) -> Iterator[tuple[str, object]]:
    """Path and value of every constant that is an object with a life of its own.

    Such an object (a cache, a configuration) goes to ``forward`` as it is.
    Numbers, text, ``None`` and torch's own constants are not listed.
    """
    for position, arg in enumerate(structure.args):
        yield from _objects(arg, f"argument {position}")
    for name, value in structure.kwargs.items():
        yield from _objects(value, name)


def with_own_constants(structure: CallStructure) -> CallStructure:
    """Copy the objects of a call, where it has any: a model may write to them, as to a cache."""
    if not any(True for _ in constants_of(structure)):
        return structure
    return copy.deepcopy(structure)


def flatten_outputs(outputs: object) -> FlatOutputs:
    """Take the tensors out of what a model returned and give each a name.

    A tensor alone is ``output``; the items of a tuple or list are ``output_0``,
    ``output_1``, …; mappings, dataclasses and named tuples give their keys.
    Deeper levels are joined by dots: ``past.0.1``. ``None`` is left out without
    a word, since optional outputs are ``None``; anything else that is no tensor
    is left out with a note.
    """
    tensors, others = walk_outputs(outputs, is_tensor)
    notes = tuple(
        f"output '{name}' is no tensor ({_article(type(value).__name__)}): left out"
        for name, value in others
    )
    return FlatOutputs(tensors=tensors, notes=notes)


def walk_outputs(
    outputs: object, is_leaf: Callable[[object], bool]
) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """:func:`flatten_outputs` in plain containers, so that a tracer can follow it.

    Returns
    -------
    tuple[dict, list]
        Leaves by name, and the pairs of name and value that are no tensors.
    """
    tensors: dict[str, Any] = {}
    others: list[tuple[str, object]] = []
    if is_leaf(outputs):
        return {"output": outputs}, others
    parts = _parts(outputs)
    if parts is None:
        if outputs is not None:
            others.append(("output", outputs))
        return tensors, others
    prefix = "output_" if _is_unnamed(outputs) else ""
    for key, value in parts:
        _collect(value, prefix + key, is_leaf, tensors, others)
    return tensors, others


def _collect(
    value: object,
    name: str,
    is_leaf: Callable[[object], bool],
    tensors: dict[str, Any],
    others: list[tuple[str, object]],
) -> None:
    if value is None:
        return
    if is_leaf(value):
        tensors[_unused(name, tensors)] = value
        return
    parts = _parts(value)
    if parts is None:
        others.append((name, value))
        return
    for key, part in parts:
        _collect(part, f"{name}.{key}", is_leaf, tensors, others)


def _take(value: object, name: str, leaves: dict[str, Any]) -> Any:
    """``value`` with a TensorRef for each tensor in it."""
    if is_tensor(value):
        unused = _unused(name, leaves)
        leaves[unused] = value
        return TensorRef(unused)
    parts = _parts(value)
    if parts is None:
        return value
    before = len(leaves)
    items = [_take(part, f"{name}.{key}", leaves) for key, part in parts]
    if len(leaves) == before and type(value) not in (list, dict):
        return value
    return _with_items(value, items)


def _put(value: object, leaves: Mapping[str, Any], convert: Callable[[Any], Any] | None) -> Any:
    """``value`` with a leaf for each TensorRef in it."""
    if isinstance(value, TensorRef):
        leaf = leaves[value.name]
        return leaf if convert is None else convert(leaf)
    parts = _parts(value)
    if parts is None:
        return value
    items = [_put(part, leaves, convert) for _, part in parts]
    if type(value) not in (list, dict) and all(
        new is old for new, (_, old) in zip(items, parts, strict=True)
    ):
        return value
    return _with_items(value, items)


def _parts(value: object) -> list[tuple[str, Any]] | None:
    """The named parts of a container; ``None`` for anything that is not one."""
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return [(str(position), part) for position, part in enumerate(value)]
    names = _field_names(value)
    if names is None:
        return None
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def _field_names(value: object) -> list[str] | None:
    """The fields of a dataclass or an attrs class; ``None`` for other objects."""
    if isinstance(value, (type, TensorRef)):
        return None
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    attributes = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else [attribute.name for attribute in attributes]


def _is_unnamed(value: object) -> bool:
    return isinstance(value, (list, tuple)) and not hasattr(value, "_fields")


def _with_items(container: object, items: list[Any]) -> Any:
    """A container like ``container``, with other parts in the same order."""
    if type(container) is dict:
        return dict(zip(container, items, strict=True))
    if isinstance(container, Mapping):
        filled: Any = copy.copy(container) if isinstance(container, MutableMapping) else {}
        for key, item in zip(container, items, strict=True):
            filled[key] = item
        return filled
    if isinstance(container, tuple) and hasattr(container, "_make"):
        return cast("Any", container)._make(items)
    if isinstance(container, (list, tuple)):
        return cast("Any", type(container))(items)
    # Not through __init__: a dataclass may check its fields, and while the
    # call is apart they hold references in place of tensors.
    filled = copy.copy(container)
    names = [name for name in _field_names(container) or () if hasattr(container, name)]
    for name, item in zip(names, items, strict=True):
        object.__setattr__(filled, name, item)
    return filled


def _objects(value: object, name: str) -> Iterator[tuple[str, object]]:
    if value is None or value is Ellipsis or isinstance(value, (TensorRef, *_PLAIN)):
        return
    parts = _parts(value)
    if parts is None:
        if type(value).__module__ != "torch":
            yield name, value
        return
    for key, part in parts:
        yield from _objects(part, f"{name}.{key}")


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """``name``, or with a number behind it where two paths read alike."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
