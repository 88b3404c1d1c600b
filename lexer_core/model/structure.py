"""Which tensors does a call contain, and how is the call rebuilt from them?

Pure functions. Containers are tuples, lists, mappings, named tuples, dataclasses
and attrs classes, nested to any depth; a tensor is a ``torch.Tensor`` or a numpy
array of numbers. In arguments, an object that consists only of its attributes, such
as a cache of ``transformers``, is a container, too, if it holds tensors of torch.
Everything else is a constant of the call.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import enum
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from operator import attrgetter
from typing import Any, cast

import numpy as np
from attrs import frozen

from lexer_core.records import CallStructure, TensorRef

__all__ = [
    "FlatCall",
    "FlatOutputs",
    "ObjectState",
    "attributes_of",
    "constants_of",
    "flatten_call",
    "flatten_outputs",
    "frozen_tensors",
    "is_tensor",
    "names_in_lists",
    "rebuild",
    "rename",
    "walk_outputs",
    "with_own_constants",
]

_NOT_NUMBERS = "OUSMm"
"""numpy's kinds for objects, text, bytes and times. ml_dtypes types have kind V."""

_PYTHON_CLASS = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: the class was made by a class statement."""

_PLAIN = (bool, int, float, complex, str, bytes, range, slice, enum.Enum, type, np.generic)


@frozen(eq=False)
class ObjectState:
    """An object with tensors in the structure of a call: its class and its attributes."""

    kind: type
    attributes: Mapping[str, Any]


@frozen(kw_only=True, eq=False)
class FlatCall:
    """The tensors of a call by name, in order, and its structure."""

    leaves: Mapping[str, Any]
    structure: CallStructure


@frozen(kw_only=True, eq=False)
class FlatOutputs:
    """The tensors that a model returned, by name, in order.

    ``notes`` lists returned values that are not tensors.
    """

    tensors: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False)
class _TupleParts:
    """A named tuple with references, whose class checks or converts its fields.

    Pickle calls ``__new__`` of such a class, which would refuse a reference:
    ``torch.nn.utils.rnn.PackedSequence`` asks its tensor for the device.
    """

    type: type[Any]
    items: tuple[Any, ...]


@frozen
class SubclassRef(TensorRef):
    """A reference to a tensor of a subclass: the call gets a tensor of that class again."""

    tensor_class: type
    attributes: Mapping[str, Any]

    def restore(self, leaf: Any) -> Any:
        """Return a leaf as a tensor of the class; a reference keeps the class."""
        if isinstance(leaf, TensorRef):
            return SubclassRef(leaf.name, self.tensor_class, self.attributes)
        tensor = leaf.as_subclass(self.tensor_class)
        vars(tensor).update(self.attributes)
        return tensor


def is_tensor(value: object) -> bool:
    """Whether a value is a ``torch.Tensor`` or a numpy array of numbers.

    torch is looked up, not imported: until it is imported, there are no tensors.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.names is None and value.dtype.kind not in _NOT_NUMBERS
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def flatten_call(
    args: Sequence[object], kwargs: Mapping[str, object], arg_names: Sequence[str]
) -> FlatCall:
    """Replace the tensors in a call by named references.

    Parameters
    ----------
    args, kwargs
        The arguments, with tensors or arrays at any depth.
    arg_names
        A name for each of ``args``: ``forward``'s parameters.

    Returns
    -------
    FlatCall
        An argument that is a tensor has the argument's name; a tensor in a
        container is named by its path: ``batch.ids``, ``pair.0``. Containers are
        copies; tensors and constants are the same objects.
    """
    taker = _Taker()
    structure = CallStructure(
        args=tuple(taker.take(arg, name) for arg, name in zip(args, arg_names, strict=True)),
        kwargs={name: taker.take(value, name) for name, value in kwargs.items()},
    )
    return FlatCall(leaves=taker.leaves, structure=structure)


def rebuild(
    structure: CallStructure,
    leaves: Mapping[str, Any],
    convert: Callable[[Any], Any] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Rebuild the arguments of a call.

    Parameters
    ----------
    structure
        The structure, from :func:`flatten_call`.
    leaves
        The value for each name in the structure; other names are ignored.
    convert
        Applied to each leaf.

    Returns
    -------
    tuple[tuple, dict]
        ``args`` and ``kwargs``, with new lists, mappings and objects.

    Raises
    ------
    KeyError
        A name of the structure is not in ``leaves``.
    """
    args = tuple([_put(arg, leaves, convert, revive=True) for arg in structure.args])
    kwargs = {
        name: _put(value, leaves, convert, revive=True) for name, value in structure.kwargs.items()
    }
    return args, kwargs


def rename(call: FlatCall, names: Mapping[str, str]) -> FlatCall:
    """Rename the tensors of a call; ``names`` has a new name for each."""
    references = {old: TensorRef(new) for old, new in names.items()}
    structure = call.structure
    return FlatCall(
        leaves={names[old]: leaf for old, leaf in call.leaves.items()},
        structure=CallStructure(
            args=tuple([_put(arg, references, None) for arg in structure.args]),
            kwargs={name: _put(arg, references, None) for name, arg in structure.kwargs.items()},
        ),
    )


def constants_of(structure: CallStructure) -> Iterator[tuple[str, object]]:
    """Yield the path and value of every constant that may have state.

    Such an object (a configuration, a random generator) is passed to ``forward`` as it
    is. Numbers, text, ``None`` and torch's own constants are left out.
    """
    for position, arg in enumerate(structure.args):
        yield from _objects(arg, f"argument {position}")
    for name, value in structure.kwargs.items():
        yield from _objects(value, name)


def names_in_lists(structure: CallStructure) -> set[str]:
    """Return the names of the tensors that are, at any depth, in a list or plain tuple."""
    arguments = [*structure.args, *structure.kwargs.values()]
    return {name for argument in arguments for name in _listed_names(argument, in_list=False)}


def with_own_constants(structure: CallStructure) -> CallStructure:
    """Copy the constants of a call that may have state, because a model may write to them."""
    if not any(True for _ in constants_of(structure)):
        return structure
    return copy.deepcopy(structure)


def names_in_objects(structure: CallStructure) -> frozenset[str]:
    """Return the names of the tensors that are in objects, not only in containers."""
    return frozenset(
        name
        for each in (*structure.args, *structure.kwargs.values())
        for name in _referenced(each, in_object=False)
    )


def _referenced(value: object, *, in_object: bool) -> Iterator[str]:
    if isinstance(value, TensorRef):
        if in_object:
            yield value.name
        return
    for _, part in _parts(value) or ():
        yield from _referenced(part, in_object=in_object or isinstance(value, ObjectState))


def frozen_tensors(structure: CallStructure) -> tuple[str, ...]:
    """Return the paths of the constants that hold tensors.

    An export of the model contains these tensors as they are in the example, although
    the model reads them from its arguments. Modules are not looked into: their weights
    are constants of the model itself.
    """
    return tuple(path for path, value in constants_of(structure) if _holds_tensors(value))


def attributes_of(value: object) -> dict[str, Any] | None:
    """Return the attributes of an object that consists of nothing else, or ``None``.

    Such an object is an instance of a Python class without slots that leaves copying
    and pickling to Python, so a new instance with the same attributes is its copy.
    """
    kind = type(value)
    if _is_of_torch(value, "nn.Module") or not hasattr(value, "__dict__"):
        return None
    plain = (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ is object.__getstate__
        and not any(hasattr(kind, name) for name in ("__setstate__", "__copy__", "__deepcopy__"))
        and all(map(_is_plain_class, kind.__mro__))
    )
    return dict(vars(value)) if plain else None


def _is_plain_class(kind: type) -> bool:
    is_python = bool(kind.__flags__ & _PYTHON_CLASS) and not vars(kind).get("__slots__")
    return kind is object or is_python


def flatten_outputs(outputs: object) -> FlatOutputs:
    """Name the tensors that a model returned.

    A single tensor is ``output``; the items of a tuple or list are ``output_0``,
    ``output_1``, …; those of mappings, dataclasses and named tuples have their keys.
    Deeper levels are joined by dots: ``past.0.1``. ``None`` is ignored, because an
    optional output is ``None``; any other value that is not a tensor gets a note.
    """
    tensors, others = walk_outputs(outputs, is_tensor)
    notes = tuple(
        f"output '{name}' is not a tensor but {_article(type(value).__name__)}: ignored"
        for name, value in others
    )
    return FlatOutputs(tensors=tensors, notes=notes)


def walk_outputs(
    outputs: object, is_leaf: Callable[[object], bool]
) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """Do the same as :func:`flatten_outputs` with plain containers, which can be traced.

    Returns
    -------
    tuple[dict, list]
        Leaves by name, and the names and values that are not leaves.
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


class _Taker:
    """Replaces the tensors in values by references, and collects them."""

    def __init__(self) -> None:
        self.leaves: dict[str, Any] = {}
        self._objects: dict[int, bool] = {}
        """By the id of an object: whether it may hold tensors."""
        self._depth = 0

    def take(self, value: object, name: str) -> Any:
        """Return ``value`` with a reference for each tensor in it."""
        # An array in an object stays an array: the model expects what the object holds.
        if is_tensor(value) and not (self._depth and isinstance(value, np.ndarray)):
            unused = _unused(name, self.leaves)
            self.leaves[unused] = value
            if not _is_subclass(value):
                return TensorRef(unused)
            return SubclassRef(unused, type(value), dict(vars(value)))
        parts = _parts(value)
        if parts is None:
            attributes = None if isinstance(value, _PLAIN) else attributes_of(value)
            return value if attributes is None else self._take_object(value, attributes, name)
        before = len(self.leaves)
        items = [self.take(part, f"{name}.{key}") for key, part in parts]
        if len(self.leaves) == before and type(value) not in (list, dict):
            return value
        return _with_items(value, items)

    def _take_object(self, value: object, attributes: dict[str, Any], name: str) -> object:
        """Return the state of an object with tensors; the object itself if it has none."""
        if self._objects.get(id(value)) is False:
            return value
        if id(value) in self._objects:
            raise _SharedObjectError
        before = dict(self.leaves), dict(self._objects)
        self._objects[id(value)] = True
        self._depth += 1
        try:
            items = {key: self.take(part, f"{name}.{key}") for key, part in attributes.items()}
        except (_SharedObjectError, RecursionError):
            if self._depth > 1:
                raise
            # Its parts refer to each other, which a copy made from them would not preserve.
            self.leaves, self._objects = before
            return value
        finally:
            self._depth -= 1
        if len(self.leaves) > len(before[0]):
            return ObjectState(type(value), items)
        self._objects[id(value)] = False
        return value


class _SharedObjectError(Exception):
    """An object with tensors is reachable in two ways."""


def _holds_tensors(value: object) -> bool:
    """Whether pickling an object comes across a tensor of torch."""
    finder = _TensorFinder(io.BytesIO())
    with contextlib.suppress(Exception):  # an object may refuse to be pickled in any way
        finder.dump(value)
    return finder.found


class _TensorFinder(pickle.Pickler):
    found = False

    def persistent_id(self, obj: Any) -> str | None:
        found = _is_of_torch(obj, "Tensor")
        self.found = self.found or found
        return "" if found or _is_of_torch(obj, "nn.Module") else None


def _is_of_torch(value: object, name: str) -> bool:
    """Whether a value is of one of torch's classes, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, attrgetter(name)(torch))


def _put(
    value: object,
    leaves: Mapping[str, Any],
    convert: Callable[[Any], Any] | None,
    *,
    revive: bool = False,
) -> Any:
    """Return ``value`` with a leaf for each reference in it.

    ``revive``: make an object of the state of one.
    """
    if isinstance(value, TensorRef):
        leaf = leaves[value.name]
        leaf = leaf if convert is None else convert(leaf)
        return value.restore(leaf) if isinstance(value, SubclassRef) else leaf
    parts = _parts(value)
    if parts is None:
        return value
    items = [_put(part, leaves, convert, revive=revive) for _, part in parts]
    if revive and isinstance(value, ObjectState):
        revived: Any = object.__new__(value.kind)
        vars(revived).update(zip(value.attributes, items, strict=True))
        return revived
    if type(value) not in (list, dict) and all(
        new is old for new, (_, old) in zip(items, parts, strict=True)
    ):
        return value
    return _with_items(value, items)


def _is_subclass(value: Any) -> bool:
    """Whether it is a tensor of a class that is not torch's own."""
    if isinstance(value, np.ndarray):
        return False
    return type(value).__module__.partition(".")[0] != "torch"


def _parts(value: object) -> list[tuple[str, Any]] | None:
    """Return the named parts of a container, or ``None`` if the value is not one."""
    if isinstance(value, ObjectState):
        return list(value.attributes.items())
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, _TupleParts):
        return list(zip(value.type._fields, value.items, strict=True))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return [(str(position), part) for position, part in enumerate(value)]
    names = _field_names(value)
    if names is None:
        return None
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def _field_names(value: object) -> list[str] | None:
    """Return the fields of a dataclass or attrs class; ``None`` for other objects."""
    if isinstance(value, (type, TensorRef)):
        return None
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    attributes = getattr(type(value), "__attrs_attrs__", None)
    return None if attributes is None else [attribute.name for attribute in attributes]


def _listed_names(value: object, *, in_list: bool) -> Iterator[str]:
    if isinstance(value, TensorRef):
        if in_list:
            yield value.name
        return
    for _, part in _parts(value) or ():
        yield from _listed_names(part, in_list=in_list or _is_unnamed(value))


def _is_unnamed(value: object) -> bool:
    return isinstance(value, (list, tuple)) and not hasattr(value, "_fields")


def _with_items(container: object, items: list[Any]) -> Any:
    """Return a container like ``container`` with other parts, in the same order."""
    if type(container) is dict:
        return dict(zip(container, items, strict=True))
    if isinstance(container, ObjectState):
        return ObjectState(container.kind, dict(zip(container.attributes, items, strict=True)))
    if isinstance(container, Mapping):
        filled: Any = copy.copy(container) if isinstance(container, MutableMapping) else {}
        for key, item in zip(container, items, strict=True):
            filled[key] = item
        return filled
    if isinstance(container, _TupleParts):
        return _named_tuple(container.type, items)
    if isinstance(container, tuple) and hasattr(container, "_make"):
        return _named_tuple(type(container), items)
    if isinstance(container, (list, tuple)):
        return cast("Any", type(container))(items)
    # Without __init__: a dataclass may check its fields, which are references here.
    filled = copy.copy(container)
    names = [name for name in _field_names(container) or () if hasattr(container, name)]
    for name, item in zip(names, items, strict=True):
        object.__setattr__(filled, name, item)
    return filled


def _named_tuple(kind: Any, items: list[Any]) -> Any:
    if _has_own_new(kind) and any(_has_reference(item) for item in items):
        return _TupleParts(type=kind, items=tuple(items))
    return kind._make(items)


def _has_own_new(kind: type[Any]) -> bool:
    """Whether a class has another ``__new__`` than that of its ``namedtuple`` base."""
    return next("_fields" not in vars(each) for each in kind.__mro__ if "__new__" in vars(each))


def _has_reference(value: object) -> bool:
    if isinstance(value, (TensorRef, _TupleParts)):
        return True
    return any(_has_reference(part) for _, part in _parts(value) or ())


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
    """Return ``name``, with a number if it is already taken."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
