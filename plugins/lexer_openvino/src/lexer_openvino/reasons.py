"""What is the cause in an error of OpenVINO?"""

from __future__ import annotations

import re

from lexer_core.engine_helpers import first_line
from lexer_core.errors import EngineError, UnsupportedError

__all__ = ["openvino_error"]

_NO_CONVERSION = re.compile(r"No conversion rule found for operations: (?P<operators>[^\n]+)")
_WHERE = re.compile(r"^(?:Exception from |Check '|FrontEnd API failed with |.*\.cpp:\d+:$)")
_CANNOT = re.compile(r"unsupported|not supported|not implemented|doesn't support", re.IGNORECASE)


def openvino_error(error: BaseException, *, where: str) -> EngineError:
    """Convert OpenVINO's exception to an error of one line.

    Parameters
    ----------
    error
        The exception. Its text is a trace of source files that ends with the cause.
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
            f"{where}: OpenVINO cannot convert {missing['operators'].strip()}.",
            hint="The model has an operator that OpenVINO's ONNX frontend does not support.",
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if not _WHERE.match(line)]
    reason = first_line(next(iter(reasons or lines), type(error).__name__))
    kind = UnsupportedError if _CANNOT.search(text) else EngineError
    return kind(f"{where}: {reason}")
