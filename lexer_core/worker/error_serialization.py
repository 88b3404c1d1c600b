"""How does an exception get from a worker to its parent?

A ``LexerError`` arrives as itself. Any other exception arrives as a
:class:`~lexer_core.errors.RemoteError` with its type, message and traceback as
text, because its class may belong to a runtime that the parent must not import.
"""

from __future__ import annotations

import pickle
import traceback
from typing import TypedDict

from lexer_core.errors import LexerError, RemoteError

__all__ = ["SerializedError", "deserialize_error", "serialize_error"]

_OUT_OF_MEMORY = "The worker ran out of memory: use a smaller batch or fewer cases at once."


class SerializedError(TypedDict):
    """An exception in builtin types."""

    type_name: str
    message: str
    traceback: str
    pickled: bytes | None


def serialize_error(error: BaseException) -> SerializedError:
    """Convert any exception to builtin types."""
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    try:
        message = str(error)
    except Exception as broken:  # an exception's own __str__ may raise anything
        message = f"(str() of the exception raised {type(broken).__name__})"
    pickled = None
    if isinstance(error, LexerError):
        try:
            pickled = pickle.dumps(error, protocol=5)
        except Exception:  # it is then sent as text
            pickled = None
    return SerializedError(
        type_name=module + kind.__qualname__,
        message=message,
        traceback="".join(traceback.format_exception(error)),
        pickled=pickled,
    )


def deserialize_error(serialized: SerializedError, method: str) -> LexerError:
    """Return the exception to raise in the parent.

    Parameters
    ----------
    serialized
        The result of :func:`serialize_error`.
    method
        The method that raised it.
    """
    origin = f"In the worker:\n{serialized['traceback']}"
    if serialized["pickled"] is not None:
        try:
            # The worker is trusted: no other process has an end of the connection.
            error = pickle.loads(serialized["pickled"])  # noqa: S301
        except Exception:  # its class exists only in the worker
            error = None
        if isinstance(error, LexerError):
            error.add_note(origin)
            return error
    lines = serialized["message"].strip().splitlines()
    type_name = serialized["type_name"]
    text = f"{type_name}: {lines[0]}" if lines else type_name
    remote = RemoteError(
        f"{method!r} raised {text}",
        method=method,
        type_name=type_name,
        remote_message=serialized["message"],
        traceback=serialized["traceback"],
        hint=_OUT_OF_MEMORY if type_name == "MemoryError" else "",
    )
    remote.add_note(origin)
    return remote
