"""What is the cause in a long error of ONNXRuntime or an exporter?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexer_core.engine_helpers import first_line
from lexer_core.errors import EngineError, LexerError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["export_reason", "load_error", "own_error"]

_ORT_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_SOURCE_PLACE = re.compile(r"^\S*\.(?:cc|h|cpp):\d+ .*?\) (?:const )?")
_NO_KERNEL = re.compile(
    r"Could not find an implementation for (?P<operator>[\w.:]+)\((?P<version>-?\d+)\) node"
)
_NOT_AN_OPERATOR = re.compile(r"(?P<operator>[\w.:]+)\(-?\d+\) is not a registered function/op")
_TOO_NEW = re.compile(r"Unsupported model IR version|under development|only \*?guarantees\*?")

_NO_TRANSLATION = re.compile(r"No ONNX function found for <?OpOverload\(op='(?P<operator>[^']+)'")
_UNSUPPORTED_OPERATOR = re.compile(
    r"Exporting the operator '(?P<operator>[^']+)' to ONNX opset version (?P<opset>\d+)"
)


def load_error(error: BaseException, *, where: str, types: str) -> EngineError:
    """Convert an exception from loading a model to an error of one line.

    Parameters
    ----------
    error
        The exception.
    where
        The file and the device, for the message.
    types
        The model's element types, for the message about a missing kernel.

    Returns
    -------
    EngineError
        ``UnsupportedError`` if the runtime lacks a kernel or operator that the
        model needs; otherwise a plain ``EngineError``.
    """
    text = _ORT_PREFIX.split(str(error))[-1].strip()
    missing = _NO_KERNEL.search(text)
    if missing:
        return UnsupportedError(
            f"{where}: no kernel for {missing['operator']} (opset {missing['version']}) "
            f"with the element types of this model ({types}).",
        )
    unknown = _NOT_AN_OPERATOR.search(text)
    if unknown:
        return UnsupportedError(
            f"{where}: the operator {unknown['operator']} is not part of this build.",
            hint="The model uses a custom operator, whose library ONNXRuntime would need.",
        )
    reason = _headline(_SOURCE_PLACE.sub("", text))
    if _TOO_NEW.search(text):
        return UnsupportedError(
            f"{where}: {reason}", hint="Export with a lower opset, or install a newer onnxruntime."
        )
    return EngineError(f"{where}: {reason}")


def export_reason(error: BaseException, printed: str = "") -> str:
    """Return the cause of a failed export in one line.

    The exporter wraps the cause in pages of advice, so the innermost exception
    comes first. ``printed`` is the exporter's output; its last line is used if
    the exceptions have no message.
    """
    chain = list(_chain(error))
    for link in chain:
        match = _NO_TRANSLATION.search(str(link)) or _UNSUPPORTED_OPERATOR.search(str(link))
        if match:
            return f"operator {match['operator']} has no translation to ONNX"
    for link in reversed(chain):
        line = _headline(str(link))
        if line:
            return f"{type(link).__name__}: {line}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return first_line(lines[-1]) if lines else type(error).__name__


def own_error(error: BaseException) -> LexerError | None:
    """Return the Lexer error that an exporter wrapped in its own errors, if there is one."""
    return next((link for link in _chain(error) if isinstance(link, LexerError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    # From the outermost to the innermost, only through "raise … from …": an
    # exception in __context__ may be unrelated.
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _headline(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        # The first item of the list that follows says what is wrong.
        return first_line(f"{lines[0]} {lines[1].removeprefix('- ')}")
    return first_line(text)
