"""What is the cause in a long error of ONNXRuntime or an exporter?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from lexer_core.engine_helpers import first_line, headline
from lexer_core.errors import EngineError, LexerError, UnsupportedError
from lexer_core.export.trace_errors import TraceFailure, causes, code_at, explain_trace_error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["export_failure", "load_error", "own_error"]

_ORT_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_STEP = re.compile(
    r"^(?:Load model from .*? failed: ?|Exception during initialization: |Fatal error: )"
)
_SOURCE_PLACE = re.compile(
    r"^\S*\.(?:cc|h|cpp|hpp):\d+ .*?\)(?: const)?(?: \[with [^\]]*\])? (?=\S)"
)
_NO_KERNEL = re.compile(
    r"Could not find an implementation for (?P<operator>[\w.:]+)\((?P<version>-?\d+)\) node"
    r"(?: with name '(?P<node>[^']+)')?"
)
_NOT_AN_OPERATOR = re.compile(r"(?P<operator>[\w.:]+)\(-?\d+\) is not a registered function/op")
_TOO_NEW = re.compile(r"Unsupported model IR version|under development|only \*?guarantees\*?")

_NO_TRANSLATION = re.compile(
    r"No ONNX function found for <?OpOverload\(op='(?P<operator>[^']+)'"
    r"(?:, overload='(?P<overload>[^']+)')?"
)
_UNSUPPORTED_OPERATOR = re.compile(
    r"Exporting the operator '?(?P<operator>[\w:.]+)'? to ONNX opset version (?P<opset>\d+)"
)
_ADVICE = re.compile(r"\s*Please (?:feel free to )?(?:request|open|report|submit|file) .*$")
_ADDED_IN = re.compile(r"[Ss]upport for this operator was added in version (?P<opset>\d+)")
_STACK_ENTRY = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')


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
        node = f", node {missing['node']!r}," if missing["node"] else ""
        return UnsupportedError(
            f"{where}: no kernel for {missing['operator']} (opset {missing['version']}){node} "
            f"with the element types of this model ({types}).",
        )
    unknown = _NOT_AN_OPERATOR.search(text)
    if unknown:
        return UnsupportedError(
            f"{where}: the operator {unknown['operator']} is not part of this build.",
            hint="The model uses a custom operator, whose library ONNXRuntime would need.",
        )
    if _TOO_NEW.search(text):
        return UnsupportedError(
            f"{where}: {_cause(text)}",
            hint="Export with a lower opset, or install a newer onnxruntime.",
        )
    return EngineError(f"{where}: {_cause(text)}")


def export_failure(
    error: BaseException, printed: str = "", input_names: Sequence[str] = ()
) -> TraceFailure:
    """Return the cause of a failed export.

    Parameters
    ----------
    error
        The exporter's exception, which wraps the cause in pages of advice.
    printed
        The exporter's output. It has the place of an operator that TorchScript does
        not translate; its last line is used if the exceptions have no message.
    input_names
        Names of the tensors, for an error about the shape of one.
    """
    chain = list(causes(error))
    for link in chain:
        failure = _missing_operator(str(link), chain, printed)
        if failure is not None:
            return failure
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    failure = explain_trace_error(error, input_names)
    if lines and not any(str(link).strip() for link in chain):
        return attrs.evolve(failure, reason=first_line(lines[-1]))
    return attrs.evolve(failure, reason=_ADVICE.sub("", failure.reason))


def own_error(error: BaseException) -> LexerError | None:
    """Return the Lexer error that an exporter wrapped in its own errors, if there is one."""
    return next((link for link in causes(error) if isinstance(link, LexerError)), None)


def _missing_operator(
    text: str, chain: Sequence[BaseException], printed: str
) -> TraceFailure | None:
    traced, scripted = _NO_TRANSLATION.search(text), _UNSUPPORTED_OPERATOR.search(text)
    match = traced or scripted
    if match is None:
        return None
    operator = match["operator"]
    if traced and traced["overload"] not in (None, "default"):
        operator = f"{operator}.{traced['overload']}"
    place = _place_of_node(chain) if traced else _place_in_graph(operator, printed)
    added = _ADDED_IN.search(text)
    return TraceFailure(
        reason=f"operator {operator} has no translation to ONNX"
        + (f" opset {scripted['opset']}" if scripted else "")
        + (f": {place}" if place else ""),
        fix=f"Export with opset={added['opset']} or higher."
        if added
        else f"Replace {operator} in the model by operators that ONNX has.",
    )


def _place_of_node(chain: Sequence[BaseException]) -> str:
    """Return the model's line of the node that the dynamo exporter was translating."""
    for link in reversed(chain):
        entry = link.__traceback__
        while entry is not None:
            # No exception has the node, only the exporter's local variable.
            meta = getattr(entry.tb_frame.f_locals.get("node"), "meta", None)
            entries = _STACK_ENTRY.findall(str((meta or {}).get("stack_trace") or ""))
            if entries:
                file, line = entries[-1]
                return code_at(file, int(line))
            entry = entry.tb_next
    return ""


def _place_in_graph(operator: str, printed: str) -> str:
    """Return the model's line of an operator in the graph that TorchScript prints."""
    pattern = rf"= {re.escape(operator)}\(.*# (?P<file>\S.*?):(?P<line>\d+):\d+\s*$"
    match = re.search(pattern, printed, re.MULTILINE)
    return code_at(match["file"], int(match["line"])) if match else ""


def _cause(text: str) -> str:
    """Return the message without the steps and the places in C++ before it."""
    previous = ""
    while text != previous:
        previous = text
        text = _SOURCE_PLACE.sub("", _STEP.sub("", text))
    return headline(text)
