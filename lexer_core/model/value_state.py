"""Did a call change a value, such as its arguments?

Two states of a value are equal if nothing in it changed: the bits of its tensors, the
items of its containers and the attributes of its objects.
"""

from __future__ import annotations

import collections
import enum
import functools
import hashlib
import random
import sys
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.model.structure import is_tensor
from lexer_core.model.tensors import to_numpy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ValueState", "state_of"]

_FIXED = (
    *(bool, int, str, bytes, range, slice, enum.Enum, np.generic, np.dtype, type(None)),
    *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
)
_SEQUENCES = (list, tuple, collections.deque)
_ELEMENTS_AT_ONCE = 2**20
_PYTHON_CLASS = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: the class was made by a class statement."""


@frozen
class ValueState:
    """The state of a value, to compare with a later one.

    ``is_complete``: no part of the value can change without a difference in
    ``description``.
    """

    description: object
    is_complete: bool


def state_of(value: object) -> ValueState:
    """Return the state of a value, which is not modified.

    Modules and functions are described by their identity, and so is an object whose
    state cannot be read; only the latter makes the state incomplete.
    """
    reader = _Reader()
    description = reader.read(value)
    return ValueState(description, reader.is_complete)


class _Identity:
    """Equal only for the same object, which it keeps alive."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


class _Reader:
    def __init__(self) -> None:
        self.is_complete = True
        self._visited: dict[int, int] = {}

    def read(self, value: object) -> object:
        if isinstance(value, (float, complex)):
            return type(value), repr(value)
        if isinstance(value, _FIXED):
            return type(value), _Identity(value) if callable(value) else repr(value)
        if is_tensor(value):
            return self._read_tensor(value)
        if id(value) in self._visited:
            return "visited", self._visited[id(value)]
        self._visited[id(value)] = len(self._visited)
        random_state = _random_state(value)
        if random_state is not None:
            return type(value), self.read(random_state)
        return type(value), self._read_contents(value), self._read_attributes(value)

    def _read_contents(self, value: Any) -> object:
        if isinstance(value, Mapping):
            return tuple((self.read(key), self.read(part)) for key, part in value.items())
        if isinstance(value, _SEQUENCES):
            return tuple(self.read(part) for part in value)
        if isinstance(value, (set, frozenset)):
            return frozenset(self.read(part) for part in value)
        if isinstance(value, functools.partial):
            return self.read((value.func, value.args, value.keywords))
        if isinstance(value, bytearray):
            return bytes(value)
        return None

    def _read_attributes(self, value: Any) -> object:
        kind = type(value)
        if kind.__module__ == "torch":  # such as torch.device
            return repr(value)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            return _Identity(value)
        names = [name for base in kind.__mro__ for name in _slots(base)]
        attributes = {name: getattr(value, name) for name in names if hasattr(value, name)}
        attributes |= getattr(value, "__dict__", {})
        if not _is_readable(kind):
            self.is_complete = False
            return _Identity(value), self.read(attributes)
        return tuple((name, self.read(part)) for name, part in attributes.items())

    def _read_tensor(self, value: Any) -> object:
        facts = (str(value.dtype), tuple(value.shape), getattr(value, "requires_grad", False))
        digest = hashlib.blake2b(digest_size=16)
        try:
            for part in _parts(value):
                digest.update(part.reshape(-1).view(np.uint8).data)
        except Exception:
            self.is_complete = False
            return _Identity(value)
        return *facts, digest.digest()


def _parts(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Iterate over the elements in arrays of at most some megabytes.

    A copy of a large tensor would count in the memory that its engine needs.
    """
    if isinstance(value, np.ndarray):
        yield np.ascontiguousarray(value)
        return
    elements = value.detach().reshape(-1)
    for start in range(0, max(1, elements.shape[0]), _ELEMENTS_AT_ONCE):
        # Of a clone, because numpy() makes the memory of a tensor unresizable.
        yield to_numpy(elements[start : start + _ELEMENTS_AT_ONCE].clone())


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(
        f"_{kind.__name__.lstrip('_')}{name}"
        if name.startswith("__") and not name.endswith("__")
        else name
        for name in names
        if name not in ("__dict__", "__weakref__")
    )


def _random_state(value: Any) -> object:
    """Return the state of a generator of random numbers; ``None`` for anything else."""
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if isinstance(value, random.Random):
        return value.getstate()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Generator):
        return value.get_state()
    return None


_READABLE = (
    *(object, dict, *_SEQUENCES, set, frozenset, functools.partial, bytearray),
    *(collections.OrderedDict, collections.defaultdict),
    *(types.MappingProxyType, types.SimpleNamespace),
)


def _is_readable(kind: type) -> bool:
    """Whether instances have no state but contents, attributes and slots."""
    return all(
        base in _READABLE or base.__flags__ & _PYTHON_CLASS or base.__module__ == "collections.abc"
        for base in kind.__mro__
    )
