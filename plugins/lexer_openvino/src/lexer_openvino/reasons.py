"""What is the useful part of OpenVINO's error?"""

from __future__ import annotations

import re

from lexer_core.errors import EngineError, UnsupportedError

__all__ = ["openvino_error"]

_LONGEST = 300

_NO_CONVERSION = re.compile(r"No conversion rule found for operations: (?P<operators>[^\n]+)")
_WHERE = re.compile(r"^(?:Exception from |Check '|FrontEnd API failed with |.*\.cpp:\d+:$)")
_CANNOT = re.compile(r"unsupported|not supported|not implemented|doesn't support", re.IGNORECASE)


def openvino_error(error: BaseException, *, where: str) -> EngineError:
    """Turn what OpenVINO raised into one line.

    Parameters
    ----------
    error
        What was raised; its text is a trace of source files with the reason at
        its end.
    where
        What was to be done, for the message.

    Returns
    -------
    EngineError
        ``UnsupportedError`` where OpenVINO works but lacks something that the
        model needs; otherwise a plain ``EngineError``.
    """
    text = str(error)
    missing = _NO_CONVERSION.search(text)
    if missing:
        return UnsupportedError(
            f"{where}: there is no conversion of {missing['operators'].strip()}.",
            hint="The model has an operator that OpenVINO's ONNX frontend does not know.",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if not _WHERE.match(line)]
    reason = next(iter(reasons or lines), type(error).__name__)
    if len(reason) > _LONGEST:
        reason = f"{reason[: _LONGEST - 1]}…"
    kind = UnsupportedError if _CANNOT.search(text) else EngineError
    return kind(f"{where}: {reason}")
