"""What is the cause in an error of OpenVINO?"""

from __future__ import annotations

import re

from attrs import frozen

from lexer_core.engine_helpers import first_line
from lexer_core.errors import EngineError, UnsupportedError

__all__ = ["openvino_error"]

_NO_CONVERSION = re.compile(r"No conversion rule found for operations: (?P<operators>[^\n]+)")
_FAILED_OPERATION = re.compile(
    r"^-- (?P<operator>[\w.]+?)(?:-(?P<opset>\d+))? with a message:\n(?P<message>.*?)"
    r"(?=\n\s*\n|\nSummary:|\n-- |\Z)",
    re.MULTILINE | re.DOTALL,
)
_IN_A_PASS = re.compile(
    r"END: node: (?:\w+::)?(?P<operator>\w+) .*?CALLBACK HAS THROWN: (?P<message>.+)"
)
_NODE = re.compile(r"<Node\((?P<type>[^)]*)\): (?P<name>[^>]+)>")
_STEP = re.compile(
    r"^(?:Exception from |FrontEnd API failed with |While validating |Summary:|"
    r"-- Conversion is failed for|Model wasn't fully converted|Check '|.*\.[ch]pp:\d+:$)"
)
_CANNOT = re.compile(
    r"unsupported|not supported|only supported|not implemented|doesn't support|does not support",
    re.IGNORECASE,
)
_FRONTEND_OPERATOR = "/frontend/src/op/"
"""Where OpenVINO's ONNX frontend converts operators; what fails there is its limit, while
other places also find mistakes of the model."""


@frozen(kw_only=True)
class _Cause:
    reason: str
    is_limit: bool


def openvino_error(error: BaseException, *, where: str) -> EngineError:
    """Convert OpenVINO's exception to an error of one line.

    Parameters
    ----------
    error
        The exception. Its text is a trace of source files, with the cause at the
        end: the operator that failed, and why.
    where
        What failed, for the message.

    Returns
    -------
    EngineError
        ``UnsupportedError`` if OpenVINO lacks something that the model needs;
        otherwise a plain ``EngineError``.
    """
    text = str(error)
    missing = _NO_CONVERSION.search(text)
    if missing:
        return UnsupportedError(
            f"{where}: cannot convert {_named(missing['operators'])}.",
            hint="The model has an operator that OpenVINO's ONNX frontend does not support.",
        )
    cause = _of_operations(text) or _of_a_pass(text) or _last_line(text, type(error).__name__)
    kind = UnsupportedError if cause.is_limit else EngineError
    return kind(f"{where}: {cause.reason}")


def _named(operators: str) -> str:
    """Return the operators with their opsets in words: ``Det-18`` → ``Det (opset 18)``."""
    return re.sub(r"([\w.]+?)-(\d+)\b", r"\1 (opset \2)", operators.strip())


def _of_operations(text: str) -> _Cause | None:
    """Return the cause in the list of operators that could not be converted."""
    failed = list(_FAILED_OPERATION.finditer(text))
    if not failed:
        return None
    first = failed[0]
    message = first["message"]
    node = _NODE.search(message)
    name = first["operator"] + (f" (opset {first['opset']})" if first["opset"] else "")
    others = list(dict.fromkeys(each["operator"] for each in failed[1:]))
    return _Cause(
        reason=f"cannot convert {name}"
        + (f", node {node['name']!r}" if node else "")
        + f": {_specific(message)}"
        + (f" It cannot convert {', '.join(others)} either." if others else ""),
        is_limit=_FRONTEND_OPERATOR in message or bool(_CANNOT.search(message)),
    )


def _of_a_pass(text: str) -> _Cause | None:
    """Return the cause of an error while the graph was transformed."""
    match = _IN_A_PASS.search(text)
    if match is None:
        return None
    # The model was read, so it is valid: the device has no code for it.
    return _Cause(reason=f"{match['operator']}: {first_line(match['message'])}", is_limit=True)


def _last_line(text: str, otherwise: str) -> _Cause:
    return _Cause(reason=_specific(text) or otherwise, is_limit=bool(_CANNOT.search(text)))


def _specific(text: str) -> str:
    """Return the last line that is not a step on the way to the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    specific = [line for line in lines if not _STEP.match(line)]
    return first_line((specific or lines or [""])[-1])
