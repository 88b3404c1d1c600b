"""Which records is a report made of?

Intervals, parity, comparisons, failures, the machine. They are public in
:mod:`lexer_core.results`.
"""

from __future__ import annotations

# validated_data resolves the annotations.
from collections.abc import Mapping  # noqa: TC003
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from lexer_core.results.attrs_fields import RAW, as_float, comparable, count, mapping, number, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Comparison",
    "Environment",
    "Failure",
    "FirstDifference",
    "Interval",
    "OutputParity",
    "Parity",
    "Phase",
    "ReferenceWorkloadTimes",
    "Verdict",
]

Phase = Literal[
    "resolve",
    "export",
    "reference",
    "import",
    "load",
    "place",
    "first_call",
    "warm_up",
    "rounds",
    "fetch",
    "parity",
    "load_test",
]
"""The phase in which a case failed."""

_MOST_OTHERS = 3

Verdict = Literal["faster", "slower", "tie", "undecided", "none"]
"""The result for ``b`` relative to ``a`` (see :class:`Comparison`)."""


@frozen(kw_only=True)
class Interval:
    """A two-sided confidence interval.

    ``low`` and ``high`` are in the unit of ``estimate``; ``None`` means that
    the samples do not bound that side (see docs/measuring.md, "Honest tails").
    """

    estimate: float = field(converter=as_float, eq=comparable)
    low: float | None = field(converter=as_float, eq=comparable)
    high: float | None = field(converter=as_float, eq=comparable)
    confidence: float = 0.95


@frozen(kw_only=True)
class Failure:
    """Why a case has no numbers.

    Parameters
    ----------
    phase
        The phase in which the case failed.
    kind
        Type of the error, such as ``"HookError"``, or name of the signal, such as
        ``"SIGSEGV"``.
    reason
        What happened, in one line.
    hint
        How to fix it; may have several lines, may be empty.
    log
        The end of what the worker printed, and its traceback.
    """

    phase: Phase
    kind: str
    reason: str
    hint: str = ""
    log: str = ""


@frozen(kw_only=True)
class OutputParity:
    """The difference between one output and that of the reference.

    ``max_abs_error`` and ``rmse`` are in the unit of the output, ``relative_rmse`` is
    relative to the root mean square of the reference without fill values, ``cosine`` is
    from -1 to 1, and ``mismatched_share`` is the share of elements outside the
    tolerance, 0 to 1. They are ``None`` if there was nothing to compare (``note``
    says why).
    """

    name: str
    max_abs_error: float | None = number()
    rmse: float | None = number()
    relative_rmse: float | None = number()
    cosine: float | None = number()
    mismatched_share: float | None = number()
    passed: bool
    note: str = ""


@frozen(kw_only=True)
class FirstDifference:
    """Where in the model an engine's results first differ from the reference's.

    Parameters
    ----------
    module
        Path of the module, ``"blocks.3.attn"``; ``""`` is the model itself. What it takes
        agrees, as far as it could be compared. ``None`` if it was not found.
    kind
        The name of the module's class.
    call, calls
        Which of the module's calls it is, from 1, and how many there are.
    before
        Path of the submodule that it calls next, if what that takes differs already; or
        empty.
    within
        Whether the difference arises in operators of the module itself: its submodules
        return what they should.
    others
        Paths of other modules that may be the cause: they ran since the last result that
        agrees, and what they returned, or computed for a submodule, is not in the graph.
    max_abs_error
        The largest absolute error of the tensor that differs; ``None`` if it has elements
        that are NaN or infinite, and the reference has not.
    note
        How the tensor differs.
    compared, skipped
        Number of modules that were compared, and of those that could not be.
    reason
        Why the module was not found, or what else a reader should know.
    """

    module: str | None = None
    kind: str = ""
    call: int | None = count(1)
    calls: int | None = count(1)
    before: str = ""
    within: bool = False
    others: tuple[str, ...] = field(default=(), converter=texts)
    max_abs_error: float | None = number()
    note: str = ""
    compared: int | None = count(0)
    skipped: int | None = count(0)
    reason: str = ""

    @property
    def place(self) -> str:
        """The module in words: ``"'blocks.3', outside its submodules"``; empty if unknown."""
        if self.module is None:
            return ""
        place = _quoted(self.module)
        if self.calls is not None and self.calls > 1:
            place += f", call {self.call} of {self.calls}"
        if self.before:
            place += f", before it calls {_quoted(self.before)}"
        elif self.within:
            place += ", outside its submodules"
        if self.others:
            shown = [_quoted(each) for each in self.others[:_MOST_OTHERS]]
            rest = len(self.others) - len(shown)
            place += f", or in {' or '.join(shown)}{f' or {rest} more' if rest else ''}"
        return place


def _quoted(path: str) -> str:
    return f"'{' '.join(path.split())}'" if path else "the model itself"


@frozen(kw_only=True)
class Parity:
    """The difference between an engine's outputs and the reference's, and whether it is acceptable.

    Parameters
    ----------
    status
        ``"pass"``, ``"fail"``, or ``"not_judged"`` (``reason`` says why).
    reference
        The source of the expected outputs: ``"AmazingNet (eager)"``.
    max_abs_error, rmse, cosine, mismatched_share
        The worst over all outputs, as in :class:`OutputParity`.
    rtol, atol
        The tolerance.
    rule
        The rule that decided: the tolerance of the dtype, the error of the reference
        itself against float64, or the tolerance of a lower precision that was asked for;
        empty if nothing was judged.
    reason
        Why the outputs fail or were not judged.
    outputs
        Each output.
    notes
        What a reader should know about outputs that pass: another element type, or
        indices that differ where the values are equal.
    second_inputs
        Whether the outputs are also right for a second set of inputs, of the same
        shapes and other values: ``"pass"``, ``"fail"``, ``"not_judged"``, or empty if
        there was no such set.
    first_difference
        Where in the model the results first differ, if the outputs do.
    """

    status: Literal["pass", "fail", "not_judged"]
    reference: str = ""
    max_abs_error: float | None = number()
    rmse: float | None = number()
    cosine: float | None = number()
    mismatched_share: float | None = number()
    rtol: float | None = number()
    atol: float | None = number()
    rule: Literal["tolerance", "float64", "precision", ""] = ""
    reason: str = ""
    outputs: tuple[OutputParity, ...] = field(default=(), converter=tuple)
    notes: tuple[str, ...] = field(default=(), converter=texts)
    second_inputs: Literal["pass", "fail", "not_judged", ""] = ""
    first_difference: FirstDifference | None = None


@frozen(kw_only=True)
class Comparison:
    """The comparison of two cases.

    Parameters
    ----------
    a, b
        Labels of the two rows; ``a`` is the baseline.
    ratio
        Time of ``a`` ÷ time of ``b``: above 1, ``b`` is faster. The verdict is based
        on this interval, which is corrected for the number of comparisons.
    verdict
        For ``b`` relative to ``a``: ``"faster"`` or ``"slower"`` if the interval is
        entirely outside [1/(1 + delta), 1 + delta]; ``"tie"`` if entirely inside;
        ``"undecided"`` if across an edge; ``"none"`` if the data allow no verdict,
        whatever the interval (``reason`` says why).
    delta
        The smallest difference that counts, as a share: 0.02 is 2%.
    reason
        Why there is no verdict.
    rounds
        Number of rounds that the ratio is based on.
    """

    a: str
    b: str
    ratio: Interval
    verdict: Verdict
    delta: float = number(0.02)
    reason: str = ""
    rounds: int = count(0)


# A function, because mypy loses the element type of a bare ``tuple`` converter.
def _seconds(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


@frozen(kw_only=True)
class ReferenceWorkloadTimes:
    """Times of the reference workload, which is the same in every run.

    Parameters
    ----------
    version
        Version of the workload. Different versions are not comparable.
    made_with
        What executed it: numpy and its BLAS library, with versions. If these
        differ, the speed may differ, too.
    launch_medians
        Median of the samples of each launch, in seconds.
    samples
        Raw samples: seconds per call, float64, shape ``(n,)``. Like the two fields
        below, not part of ``to_dict``, equality and ``repr``.
    sample_rounds, sample_launches
        Round and launch of each sample, int, the same shape. The rounds are those
        of the cases.
    """

    version: int = count(1)
    made_with: str = ""
    launch_medians: tuple[float, ...] = field(default=(), converter=_seconds)
    samples: npt.NDArray[np.float64] | None = field(
        default=None, eq=False, repr=False, metadata=RAW
    )
    sample_rounds: npt.NDArray[np.int_] | None = field(
        default=None, eq=False, repr=False, metadata=RAW
    )
    sample_launches: npt.NDArray[np.int_] | None = field(
        default=None, eq=False, repr=False, metadata=RAW
    )


@frozen(kw_only=True)
class Environment:
    """The machine and software of a benchmark.

    ``cores_usable`` is what the process may use, by its affinity and the quota of
    its cgroup, so it may be a fraction. ``memory_limit_bytes`` is that of the
    cgroup. ``virtualised`` is the hypervisor's vendor, ``"container"``, ``"no"``, or
    empty if unknown. ``gpus`` and ``gpu_driver`` are as reported by the system.
    """

    cpu_model: str = ""
    cores_physical: int | None = count()
    cores_logical: int | None = count()
    cores_usable: float | None = number()
    memory_bytes: int | None = count()
    memory_limit_bytes: int | None = count()
    virtualised: str = ""
    os: str = ""
    machine: str = ""
    gpus: tuple[str, ...] = field(default=(), converter=texts)
    gpu_driver: str = ""
    python: str = ""
    lexer_version: str = ""
    engines: Mapping[str, str] = mapping()
    packages: Mapping[str, str] = mapping()
