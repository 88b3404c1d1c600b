"""What do the numbers of a result rest on?

Intervals, parity, comparisons, failures, and the machine: the records that a
row or a report is made of. They are public under :mod:`lexer_core.results`.
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
]
"""Where on its path a case ended."""

Verdict = Literal["faster", "slower", "tie", "undecided", "none"]
"""What a comparison says of ``b`` against ``a`` (see :class:`Comparison`)."""


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
        Where on its path the case ended.
    kind
        The name of the error's type, such as ``"HookError"``, or of the
        signal, such as ``"SIGSEGV"``.
    reason
        What happened, in one line.
    hint
        What to do next; may have several lines, may be empty.
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
    """How far one output is from the reference's.

    ``max_abs_error`` and ``rmse`` are in the unit of the output, ``cosine`` is
    from -1 to 1, ``mismatched_share`` is the part of the elements outside the
    tolerance, 0 to 1. ``None``: there was nothing to compare (``note`` says
    why).
    """

    name: str
    max_abs_error: float | None = number()
    rmse: float | None = number()
    cosine: float | None = number()
    mismatched_share: float | None = number()
    passed: bool
    note: str = ""


@frozen(kw_only=True)
class Parity:
    """How far an engine's outputs are from the reference's, and whether that is near enough.

    Parameters
    ----------
    status
        ``"pass"``, ``"fail"``, or ``"not_judged"`` (``reason`` says why).
    reference
        Whose outputs are the right ones: ``"AmazingNet (eager)"``.
    max_abs_error, rmse, cosine, mismatched_share
        The worst over all outputs, as in :class:`OutputParity`.
    rtol, atol
        The tolerance that was applied.
    rule
        Which rule decided: the tolerance of the element type, the error of the
        reference itself against float64, or a metric of the user's own; empty
        when nothing was judged.
    reason
        Why the outputs fail or were not judged.
    outputs
        Each output by itself.
    """

    status: Literal["pass", "fail", "not_judged"]
    reference: str = ""
    max_abs_error: float | None = number()
    rmse: float | None = number()
    cosine: float | None = number()
    mismatched_share: float | None = number()
    rtol: float | None = number()
    atol: float | None = number()
    rule: Literal["tolerance", "float64", "metric", ""] = ""
    reason: str = ""
    outputs: tuple[OutputParity, ...] = field(default=(), converter=tuple)


@frozen(kw_only=True)
class Comparison:
    """Two cases against each other.

    Parameters
    ----------
    a, b
        Labels of the two rows; ``a`` is the baseline.
    ratio
        Time of ``a`` over time of ``b``: above 1, ``b`` is the faster one. The
        interval is the one that the verdict rests on, corrected for the number
        of comparisons.
    verdict
        Of ``b`` against ``a``: ``"faster"`` or ``"slower"`` when the interval
        lies wholly outside [1/(1 + delta), 1 + delta]; ``"tie"`` wholly inside;
        ``"undecided"`` across its edge; ``"none"`` when the data do not allow
        a verdict at all, whatever the interval (``reason`` says why).
    delta
        The smallest difference that counts, as a share: 0.02 is 2 %.
    reason
        Why there is no verdict.
    rounds
        Rounds that the ratio comes from.
    """

    a: str
    b: str
    ratio: Interval
    verdict: Verdict
    delta: float = number(0.02)
    reason: str = ""
    rounds: int = count(0)


# Named, because mypy loses the element type of the bare ``tuple`` as a converter.
def _seconds(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


@frozen(kw_only=True)
class ReferenceWorkloadTimes:
    """How fast the machine was, for work that is the same in every run.

    Parameters
    ----------
    version
        Of the work. Canaries of different versions are not comparable.
    made_with
        What did the work: numpy and the library that multiplies its matrices,
        with their versions. Where these differ, so may their speed.
    launch_medians
        Median of its samples in each launch, in seconds.
    samples
        Raw samples: seconds per call, float64, shape ``(n,)``. Kept out of
        ``to_dict``, equality and ``repr``, like the two below.
    sample_rounds, sample_launches
        Round and launch of each sample, int, the same shape; the rounds are
        those of the cases.
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
    """The machine and the software that a benchmark was measured on.

    ``cores_usable`` is what this process may use: its affinity and its cgroup's
    quota, so it may be a fraction. ``memory_limit_bytes`` is the cgroup's.
    ``virtualised`` names the hypervisor or container where that is known,
    ``"no"`` where it is known not to be there, and is empty otherwise. ``gpus``
    and ``gpu_driver`` are what the system says of them, where it does.
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
