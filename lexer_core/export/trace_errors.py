"""Why can an exporter not trace a model, and what would have to change in it?

PyTorch's messages have pages of advice about PyTorch. What a user needs is the
cause in one line, the line of the model that has it, and a way around it.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import re
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.engine_helpers import error_summary, first_line, headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["TraceFailure", "causes", "code_at", "explain_trace_error", "model_line"]

_LONGEST_REASON = 240
_LONGEST_CODE = 100

_BARE_VALUE = re.compile(r"data-dependent expression [a-z]+\d+ \(unhinted")
_STATIC_AXIS = re.compile(
    r"inferred a static shape of (?P<size>\d+) for dimension "
    r"inputs(?P<path>[^.\s]*)\.shape\[(?P<axis>\d+)\]"
)
_CONSTANT_AXIS = re.compile(
    r"You marked (?P<name>\S+) as dynamic but your code specialized it to be a constant "
    r"\((?P<size>\d+)\)"
)
_SOURCE_OF_AXIS = re.compile(r"\[(?P<position>\d+)\]\.size\(\)\[(?P<axis>\d+)\]$")
"""How torch 2.8 calls an axis: ``L['tensors'][0].size()[1]``."""
_UNRELATED_AXES = re.compile(r"Constraints violated \((?P<names>[^)]*)\)")
_NUMPY = re.compile(r"\.numpy\(\) is not supported|[Cc]an't call numpy\(\)|numpy\.ndarray")
_IN_PLACE = re.compile(
    r"in-place operation|[Ii]n-place .*(?:view|leaf)|mutate tensors? with frozen|"
    r"more than one element of the written-to tensor"
)
_EXPLANATION = re.compile(r"^\s*Explanation: (?P<text>.+)$", re.MULTILINE)
_NUMBER = re.compile(r"\d+")

_AXES_HINT = (
    "Remove that axis from dynamic_axes, or use the input's shape instead of a constant in the "
    "model."
)


@frozen(kw_only=True)
class TraceFailure:
    """Why a model cannot be traced.

    Parameters
    ----------
    reason
        The cause in one line, with the line of the model if it is known.
    fix
        What to change in the model.
    branches
        Whether the model's Python code depends on the values of a tensor. An
        exporter that records one run can then export what that run did.
    needs_change
        Whether no exporter can export the model as it is declared.
    """

    reason: str
    fix: str
    branches: bool = False
    needs_change: bool = False


def explain_trace_error(error: BaseException, input_names: Sequence[str] = ()) -> TraceFailure:
    """Explain an exception of ``torch.export``, or of an exporter that uses it.

    Parameters
    ----------
    error
        The exception; causes are those that it was raised ``from``.
    input_names
        Names of the positional tensors, to name the input in an error about its shape.
    """
    chain = list(causes(error))
    text = "\n".join(map(str, reversed(chain)))
    failure = (
        _value_needed(chain)
        or _wrong_axis(text, input_names)
        or _unsupported_code(chain, text)
        or TraceFailure(
            reason=error_summary(_innermost(chain), longest=_LONGEST_REASON),
            fix="Rewrite this part of the model with other torch functions.",
        )
    )
    where = model_line(error)
    if not where:
        return failure
    return attrs.evolve(failure, reason=f"{failure.reason.rstrip('.')}: {where}")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, from the outermost to the innermost.

    Only those of ``raise … from …``: an exception in ``__context__`` may be unrelated.
    """
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def model_line(error: BaseException) -> str:
    """Return the innermost line of the model's code that an exception went through.

    Returns
    -------
    str
        Such as ``net.py:13, "if y.sum() > 0:"``; empty if the exception has none.
    """
    for link in reversed(list(causes(error))):
        frames: list[tuple[FrameType, int]] = []
        entry = link.__traceback__
        while entry is not None:
            frames.append((entry.tb_frame, entry.tb_lineno))
            entry = entry.tb_next
        for frame, line in reversed(frames):
            file = frame.f_code.co_filename
            if _is_the_models(file) and not _is_a_library_call(frame):
                return code_at(file, line)
    return ""


def code_at(file: str, line: int) -> str:
    """Return a place in the model's code and the source there."""
    code = first_line(linecache.getline(file, line), longest=_LONGEST_CODE)
    path = Path(file)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f'{shown}:{line}, "{code}"' if code else f"{shown}:{line}"


def _value_needed(chain: Sequence[BaseException]) -> TraceFailure | None:
    for link in chain:
        if type(link).__name__ != "GuardOnDataDependentSymNode":
            continue
        if "Could not guard on" in str(link) and not _BARE_VALUE.search(str(link)):
            return TraceFailure(
                reason="the model branches on the values of a tensor, which torch.export cannot "
                "trace",
                fix="Use torch.where or torch.cond in the model instead of Python's if, or decide "
                "outside of forward.",
                branches=True,
            )
        return TraceFailure(
            reason="the model uses the value of a tensor as a Python number, which torch.export "
            "cannot trace",
            fix="Keep the value in a tensor in the model, instead of reading it with item(), "
            "int(), float() or tolist().",
            branches=True,
        )
    return None


def _wrong_axis(text: str, input_names: Sequence[str]) -> TraceFailure | None:
    static = _STATIC_AXIS.search(text)
    if static:
        position = _NUMBER.findall(static["path"])
        known = position and int(position[-1]) < len(input_names)
        name = input_names[int(position[-1])] if known else static["path"].strip("[]'\"")
        return TraceFailure(
            reason=f"axis {static['axis']} of input {name!r} is in dynamic_axes, but the model's "
            f"code fixes its size to {static['size']}",
            fix=_AXES_HINT,
            needs_change=True,
        )
    constant = _CONSTANT_AXIS.search(text)
    if constant:
        source = _SOURCE_OF_AXIS.search(constant["name"])
        which = f"the axis {constant['name']!r}"
        if source and int(source["position"]) < len(input_names):
            name = input_names[int(source["position"])]
            which = f"axis {source['axis']} of input {name!r}"
        return TraceFailure(
            reason=f"{which} is in dynamic_axes, but the model's code fixes "
            f"its size to {constant['size']}",
            fix=_AXES_HINT,
            needs_change=True,
        )
    unrelated = _UNRELATED_AXES.search(text)
    if unrelated:
        return TraceFailure(
            reason=f"the model's code ties the sizes of {unrelated['names']} in dynamic_axes: "
            + headline(text[unrelated.end() :].partition("\n")[2], longest=_LONGEST_REASON),
            fix="Remove the axis from dynamic_axes, or give axes of equal size the same name.",
            needs_change=True,
        )
    return None


def _unsupported_code(chain: Sequence[BaseException], text: str) -> TraceFailure | None:
    if _NUMPY.search(text):
        return TraceFailure(
            reason="the model converts a tensor to a numpy array, which torch.export cannot trace",
            fix="Use torch's functions in the model instead of those of numpy or other libraries.",
            needs_change=True,
        )
    if _IN_PLACE.search(text):
        return TraceFailure(
            reason=error_summary(_innermost(chain), longest=_LONGEST_REASON),
            fix="Use an operation in the model that is not in place: x = x + 1 instead of "
            "x.add_(1).",
        )
    for link in chain:
        explanation = _EXPLANATION.search(str(link))
        if explanation:  # torch.compile's tracer has one for Python code that it does not support
            what = headline(str(link), longest=_LONGEST_REASON).rstrip(".")
            return TraceFailure(
                reason=f"{what}: {first_line(explanation['text'], longest=_LONGEST_REASON)}",
                fix="Rewrite this part of the model in plain Python and torch functions.",
            )
    return None


def _innermost(chain: Sequence[BaseException]) -> BaseException:
    return next((link for link in reversed(chain) if str(link).strip()), chain[-1])


def _is_the_models(file: str) -> bool:
    """Whether a file is neither Python's, torch's nor a part of Lexer."""
    return not file.startswith("<") and not file.startswith(_other_folders())


def _is_a_library_call(frame: FrameType) -> bool:
    """Whether a frame is in an installed package that defines no part of the model."""
    if not frame.f_code.co_filename.startswith(_package_folders()):
        return False
    import torch  # the model's errors come from torch, which is imported

    return not isinstance(frame.f_locals.get("self"), torch.nn.Module)


@cache
def _other_folders() -> tuple[str, ...]:
    packages = ("torch", "onnxscript", "onnx", "lexer_core", "lexer_torch", "lexer_ort")
    specs = [importlib.util.find_spec(name) for name in packages]
    return tuple(
        f"{Path(spec.origin).parent}{os.sep}" for spec in specs if spec is not None and spec.origin
    )


@cache
def _package_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})
