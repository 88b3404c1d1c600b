"""How does an exception get from a worker to its parent?

An error of Lexer's own arrives as what it is. Any other arrives as a
:class:`~lexer_core.errors.RemoteError` with type, message and traceback as
text: its class may live in a runtime that the parent must not import.
"""

from __future__ import annotations

import pickle
import traceback
from typing import TypedDict

from lexer_core.errors import LexerError, RemoteError

__all__ = ["SerializedError", "deserialize_error", "serialize_error"]


class SerializedError(TypedDict):
    """An exception as it travels: builtins only."""

    type_name: str
    message: str
    traceback: str
    pickled: bytes | None


def serialize_error(error: BaseException) -> SerializedError:
    """Turn an exception into what can travel whatever it is made of."""
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    try:
        message = str(error)
    except Exception as broken:  # an exception's own __str__ may raise anything
        message = f"(its message could not be made: {type(broken).__name__})"
    pickled = None
    if isinstance(error, LexerError):
        try:
            pickled = pickle.dumps(error, protocol=5)
        except Exception:  # holds something that cannot travel
            pickled = None
    return SerializedError(
        type_name=module + kind.__qualname__,
        message=message,
        traceback="".join(traceback.format_exception(error)),
        pickled=pickled,
    )


def deserialize_error(packed: SerializedError, method: str) -> LexerError:
    """Make the exception to raise in the parent.

    Parameters
    ----------
    packed
        What :func:`serialize_error` made.
    method
        The method that raised it.
    """
    origin = f"In the worker:\n{packed['traceback']}"
    if packed["pickled"] is not None:
        try:
            # From one's own worker, over a connection that nobody else holds.
            error = pickle.loads(packed["pickled"])  # noqa: S301
        except Exception:  # its class exists in the worker only
            error = None
        if isinstance(error, LexerError):
            error.add_note(origin)
            return error
    lines = packed["message"].strip().splitlines()
    text = f"{packed['type_name']}: {lines[0]}" if lines else packed["type_name"]
    remote = RemoteError(
        f"{method!r} raised {text}",
        method=method,
        type_name=packed["type_name"],
        remote_message=packed["message"],
        traceback=packed["traceback"],
        hint=_OUT_OF_MEMORY if packed["type_name"] == "MemoryError" else "",
    )
    remote.add_note(origin)
    return remote


_OUT_OF_MEMORY = "The worker ran out of memory: a smaller batch or fewer cases at once need less."
