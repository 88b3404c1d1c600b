"""What is the useful part of a long error?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexer_core.errors import EngineError, LexerError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["export_reason", "load_error", "own_error"]

_LONGEST = 300

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
    """Turn what ONNXRuntime raised while it loaded a model into one line.

    Parameters
    ----------
    error
        What was raised.
    where
        What was to be loaded and on which device, for the message.
    types
        The model's element types, for the message about a missing kernel.

    Returns
    -------
    EngineError
        ``UnsupportedError`` where the runtime works but has no kernel or
        operator for the model; otherwise a plain ``EngineError``.
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
            hint="The model uses a custom operator; ONNXRuntime needs its library.",
        )
    reason = _shortened(_SOURCE_PLACE.sub("", text))
    if _TOO_NEW.search(text):
        return UnsupportedError(
            f"{where}: {reason}", hint="Export with a lower opset, or install a newer onnxruntime."
        )
    return EngineError(f"{where}: {reason}")


def export_reason(error: BaseException, printed: str = "") -> str:
    """Find the cause of a failed export, in one line.

    The exporter wraps the cause in pages of advice, so the innermost exception
    is asked first. ``printed`` is what the exporter said on the way; its last
    line is the answer where the exceptions carry no text.
    """
    chain = list(_chain(error))
    for link in chain:
        match = _NO_TRANSLATION.search(str(link)) or _UNSUPPORTED_OPERATOR.search(str(link))
        if match:
            return f"the operator {match['operator']} has no translation to ONNX"
    for link in reversed(chain):
        line = _first_line(str(link))
        if line:
            return f"{type(link).__name__}: {_shortened(line)}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return _shortened(lines[-1]) if lines else type(error).__name__


def own_error(error: BaseException) -> LexerError | None:
    """Find an error of Lexer's own that an exporter wrapped in errors of its own."""
    return next((link for link in _chain(error) if isinstance(link, LexerError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    # From the outermost to the innermost, through "raise … from …" alone: what
    # was merely being handled at the time may be unrelated.
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    # A headline that ends in a colon has its first item in the next line.
    with_item = len(lines) > 1 and lines[0].endswith(":")
    return f"{lines[0]} {lines[1].removeprefix('- ')}" if with_item else lines[0]


def _shortened(text: str) -> str:
    line = _first_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
