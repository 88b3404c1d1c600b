"""How does the parent pass on the structure of a call that a worker built?

As the pickle that the worker made: it may contain objects of any class, and
unpickling runs code. The next worker unpickles it.
"""

from __future__ import annotations

from attrs import frozen

from lexer_core.records import CallStructure

__all__ = ["PickledStructure"]


@frozen(kw_only=True)
class PickledStructure(CallStructure):
    """A structure that only a worker can read; the parent sees no arguments."""

    pickled: bytes
