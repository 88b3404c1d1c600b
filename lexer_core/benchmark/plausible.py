"""Can what a worker returns be true?

Lexer checks what an engine returns in the worker (:mod:`lexer_core.engines.answer_checks`),
next to code that is not trusted. So the parent checks again what it uses, by what it asked
for and by its own clock. Each function returns what is wrong and what is possible, as the
object of "returned"; empty if nothing is.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from lexer_core.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from lexer_core.benchmark.case_records import (
        Block,
        CompletionCheck,
        FinalFacts,
        FirstCall,
        LoadFacts,
    )
    from lexer_core.benchmark.fresh_calls import FreshCalls
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.reference_workload_session import ReferenceWorkloadFacts
    from lexer_core.model.reference import Reference
    from lexer_core.records import ProfiledOperation, TensorSpec
    from lexer_core.worker.executor import Executor

    Samples = npt.NDArray[np.float64]

__all__ = [
    "block_problem",
    "call_export_problem",
    "call_plausibly",
    "completion_problem",
    "final_problem",
    "first_call_problem",
    "fresh_calls_problem",
    "load_problem",
    "operations_problem",
    "outputs_problem",
    "prepared_problem",
    "reference_problem",
    "samples_problem",
    "workload_problem",
]

_SHORTEST_SECONDS = 1e-10
"""Less than a clock cycle."""

_LONGEST_SECONDS = 1e9
"""30 years, for times that this run did not take."""

_TOLERANCE = 1.01
_TOLERANCE_SECONDS = 1e-3
"""What one clock may differ from the other."""

_MOST_CALLS = 1000
_MOST_CHARACTERS = 1_000_000
_MOST_THREADS = 1_000_000

_HINT = (
    "Lexer's own code does not return this: something in the worker process replaced functions "
    "of Lexer or of Python, or the system's clock is wrong."
)


def call_plausibly(
    executor: Executor,
    method: str,
    *args: Any,
    label: str,
    timeout: float | None,
    problem: Callable[[Any, float], str],
    **kwargs: Any,
) -> Any:
    """Call a method of a hosted object, and refuse a result that cannot be true.

    Parameters
    ----------
    executor, method, args, timeout, kwargs
        See :meth:`Executor.call`.
    label
        Name of the worker in errors.
    problem
        Gets the result and the seconds that the call took, and returns what is wrong.

    Raises
    ------
    WorkerError
        The result cannot be true, or the call failed.
    """
    start = time.perf_counter()
    result = executor.call(method, *args, timeout=timeout, **kwargs)
    wrong = problem(result, time.perf_counter() - start)
    if wrong:
        raise WorkerError(f"{method!r} in the worker of {label!r} returned {wrong}.", hint=_HINT)
    return result


def load_problem(facts: LoadFacts, waited: float) -> str:
    """Check the results of loading, which took ``waited`` seconds with all steps so far."""
    return (
        _implausible("a load time", facts.load_seconds, _tolerated(waited))
        or _implausible("a compile time", facts.phases.compile_seconds or 0.0, _tolerated(waited))
        or _below_zero("a device index", facts.device.index)
        or _too_long("a caveat", [facts.caveat])
    )


def first_call_problem(first: FirstCall, waited: float, names: tuple[str, ...]) -> str:
    """Check the first call; ``names`` are those of the outputs, in order."""
    return (
        _implausible("a time of the first call", first.seconds, _tolerated(waited))
        or outputs_problem(first.outputs, names)
        or _too_long("notes", first.notes)
    )


def outputs_problem(outputs: Mapping[str, object], names: tuple[str, ...]) -> str:
    """Check the names of outputs."""
    if tuple(outputs) == names:
        return ""
    return f"outputs named {_listed(outputs)} instead of {_listed(names)}"


def block_problem(block: Block, waited: float, count: int, loops: int) -> str:
    """Check a block of ``count`` samples of ``loops`` calls."""
    if block.loops != loops:
        return f"samples of {block.loops} calls instead of {loops}"
    problem = samples_problem(block.samples, waited, count, loops)
    if not problem and block.device_samples is not None:
        problem = samples_problem(block.device_samples, waited, count, loops, of="device ")
    return problem or _implausible("an elapsed time", block.elapsed, _tolerated(waited))


def samples_problem(
    samples: Samples, waited: float, count: int, loops: int = 1, *, of: str = ""
) -> str:
    """Check times in seconds per call."""
    if samples.shape != (count,):
        return f"{of}samples of shape {list(samples.shape)} instead of [{count}]"
    shortest, longest = float(samples.min()), float(samples.max())
    most = _tolerated(waited)
    # NaN is neither.
    if not (shortest >= _SHORTEST_SECONDS and longest <= most):
        return (
            f"{of}samples from {shortest:.3g} to {longest:.3g} s; from {_SHORTEST_SECONDS:g} s to "
            f"{most:.3g} s is possible"
        )
    total = float(samples.sum()) * loops
    if total > most:
        return (
            f"{of}samples of {total:.3g} s in total; at most {most:.3g} s is possible, because it "
            "returned them after that"
        )
    return ""


def completion_problem(check: CompletionCheck, waited: float, calls: int) -> str:
    """Check the times of ``calls`` calls with their fetch."""
    if check.calls != calls:
        return f"times of {check.calls} calls instead of {calls}"
    return next(
        filter(
            None,
            (
                _implausible(f"{name!r}", getattr(check, name), _tolerated(waited))
                for name in ("sampled", "elapsed", "waited")
            ),
        ),
        "",
    )


def final_problem(facts: FinalFacts, names: tuple[str, ...]) -> str:
    """Check what is read after the last sample."""
    share = facts.placement.share
    if share is not None and not 0.0 <= share <= 1.0:
        return f"a share of {share:.3g} on the device; from 0 to 1 is possible"
    for name, threads in facts.threads.items():
        if not 0 <= threads <= _MOST_THREADS:
            return f"{threads} threads of {name!r}; from 0 to {_MOST_THREADS} is possible"
    return outputs_problem(facts.outputs, names) or _too_long(
        "names of operators", [*facts.placement.fallbacks, *facts.threads]
    )


def fresh_calls_problem(facts: FreshCalls, waited: float, measured: float) -> str:
    """Check calls on new inputs; ``measured`` is the median of the samples."""
    most = _tolerated(waited)
    steps = facts.steps
    if not 1 <= facts.calls <= _MOST_CALLS:
        return f"{facts.calls} calls; from 1 to {_MOST_CALLS} is possible"
    return (
        _implausible("a time of a call", facts.usual, max(measured, most))
        or _implausible("a time of placing", steps.placing, most)
        or _implausible("a time of a call on new inputs", steps.running, most)
        or _implausible("a time of fetching", steps.fetching, most)
        or _implausible("a time of copying inputs", facts.copying_inputs, _LONGEST_SECONDS)
        or _implausible("a time of copying outputs", facts.copying_outputs, _LONGEST_SECONDS)
    )


def operations_problem(operations: Sequence[ProfiledOperation] | None, waited: float) -> str:
    """Check the operations of profiled calls; several may run side by side."""
    each = operations or ()
    if any(not operation.seconds >= 0.0 or operation.calls < 1 for operation in each):
        return "an operation of a negative time, or without calls"
    total = math.fsum(operation.seconds for operation in each)
    return _implausible(
        "operations", total, (os.cpu_count() or 1) * _tolerated(waited)
    ) or _too_long(
        "names of operations",
        (text for each_ in each for text in (each_.name, *each_.nodes, *each_.modules)),
    )


def prepared_problem(prepared: PreparedModel) -> str:
    """Check an export. Its time may be that of an earlier run."""
    exported = prepared.exported
    if (exported.path is None) == (prepared.model_file is None and exported.model is None):
        return "an export with neither or both of a file and a live model"
    for path in (exported.path, prepared.model_file):
        if path is not None and not (path.is_file() or path.is_dir()):
            return f"an export that is not a file: {path}"
    if exported.path is not None:
        most = shutil.disk_usage(exported.path).total
        if exported.size_bytes > most:
            return f"a size of {exported.size_bytes} bytes; at most {most} fit on its disk"
    return (
        _implausible("an export time", prepared.seconds, _LONGEST_SECONDS)
        or _below_zero("a size", exported.size_bytes)
        or _wrong_specs(exported.inputs)
        or _wrong_specs(exported.outputs)
        or _too_long(
            "notes", [*exported.notes, *prepared.notes, exported.exporter, prepared.exporter]
        )
    )


def call_export_problem(
    sets: Sequence[Mapping[str, object]], count: int, names: tuple[str, ...]
) -> str:
    """Check the outputs of ``count`` calls of an exported file."""
    if len(sets) != count:
        return f"the outputs of {len(sets)} calls instead of {count}"
    return next(filter(None, (outputs_problem(outputs, names) for outputs in sets)), "")


def reference_problem(reference: Reference, waited: float) -> str:
    """Check the time of the model's own call."""
    return _implausible("a time of a call", reference.seconds, _tolerated(waited))


def workload_problem(facts: ReferenceWorkloadFacts, waited: float) -> str:
    """Check the warm-up of the reference workload."""
    return _implausible("a time of a call", facts.call_seconds, _tolerated(waited))


def _tolerated(waited: float) -> float:
    return _TOLERANCE * waited + _TOLERANCE_SECONDS


def _implausible(what: str, seconds: float, most: float) -> str:
    if 0.0 <= seconds <= most:  # NaN is not
        return ""
    return f"{what} of {seconds:.3g} s; from 0 to {most:.3g} s is possible"


def _below_zero(what: str, number: int) -> str:
    return "" if number >= 0 else f"{what} of {number}; at least 0 is possible"


def _too_long(what: str, texts: Iterable[str]) -> str:
    characters = sum(map(len, texts))
    if characters <= _MOST_CHARACTERS:
        return ""
    return f"{what} of {characters} characters; at most {_MOST_CHARACTERS} is possible"


def _wrong_specs(specs: Iterable[TensorSpec]) -> str:
    for spec in specs:
        for size in spec.shape:
            if isinstance(size, int) and size < 0:
                return f"tensor {spec.name!r} with a dimension of {size}; at least 0 is possible"
    return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in list(names)[:20]) or "nothing"
