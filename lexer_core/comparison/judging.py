"""Which cases became slower from one saved run to another?

The unit is the launch: each launch of a case is divided by the reference
workload in the same rounds, and the launches of both runs are compared. Holm's
correction over all cases of a pair keeps the rate of false alarms independent of
their number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np
from attrs import frozen

from lexer_core.comparison.changes import changes_between, changes_of_case, model_note
from lexer_core.comparison.conditions import (
    check_threshold,
    default_threshold,
    refusals,
    row_refusals,
)
from lexer_core.comparison.records import CaseVerdict, RunPair
from lexer_core.reporting.numbers import percent_text
from lexer_core.reporting.sentences import problem
from lexer_core.results import Interval
from lexer_core.statistics import compare_launches, compared_by_means, holm_confidences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.comparison.loading import LoadedRun
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult, ReferenceWorkloadTimes
    from lexer_core.statistics import LaunchComparison

    FloatArray = npt.NDArray[np.float64]

__all__ = ["judge_pair"]

_CONFIDENCE = 0.95
_MIN_LAUNCHES = 2
_RECOMMENDED_LAUNCHES = 5


@frozen(kw_only=True, eq=False)
class _Launches:
    """Centres of one case and of the reference workload, in seconds, one per launch."""

    case: FloatArray
    reference: FloatArray

    @property
    def mean_log_ratio(self) -> float:
        """The mean of the logarithms of case over reference workload."""
        return float(np.log(self.case / self.reference).mean())


@frozen(kw_only=True, eq=False)
class _Draft:
    """A case before it is judged: a provisional verdict, and launches if they can decide it."""

    verdict: CaseVerdict
    base: _Launches | None = None
    new: _Launches | None = None


def judge_pair(base: LoadedRun, new: LoadedRun, *, threshold: float | None = None) -> RunPair:
    """Compare two saved runs case by case, launch by launch.

    Parameters
    ----------
    base, new
        The runs.
    threshold
        Smallest slowdown that counts, as a fraction. Default: depends on the
        hosts.

    Raises
    ------
    SettingError
        The threshold is not above 0.

    Notes
    -----
    Cases are judged by Welch's t interval on the logarithms of launch medians
    (:func:`~lexer_core.statistics.compare_launches`), at confidence levels from
    Holm's correction over the cases of the pair.
    """
    if threshold is None:
        threshold, threshold_reason = default_threshold(base.report, new.report)
    else:
        check_threshold(threshold)
        threshold_reason = "as requested"
    refused = refusals(base.report, new.report)
    drafts = [
        _draft(label, base.report, new.report, refused)
        for label in dict.fromkeys(row.label for row in (*base.report.results, *new.report.results))
    ]
    note = model_note(base.report, new.report)
    return RunPair(
        base=base.run,
        new=new.run,
        cases=_judge(drafts, threshold),
        threshold=threshold,
        threshold_reason=threshold_reason,
        changes=changes_between(base.report, new.report),
        notes=(note,) if note else (),
    )


def _draft(
    label: str, base: BenchmarkReport, new: BenchmarkReport, refused: Sequence[str]
) -> _Draft:
    """Compare the conditions of a case, and its launches if the conditions are the same."""
    old_row = {row.label: row for row in base}.get(label)
    new_row = {row.label: row for row in new}.get(label)
    if old_row is None or new_row is None:
        missing = "new run" if new_row is None else "base"
        return _Draft(
            verdict=CaseVerdict(
                label=label,
                verdict="NOT COMPARABLE",
                reason=f"missing from the {missing}",
                base_p50_ms=old_row.p50_ms if old_row is not None else None,
                new_p50_ms=new_row.p50_ms if new_row is not None else None,
            )
        )
    verdict = CaseVerdict(
        label=label,
        verdict="NOT COMPARABLE",
        changes=changes_of_case(old_row, new_row),
        base_p50_ms=old_row.p50_ms,
        new_p50_ms=new_row.p50_ms,
        base_launches=old_row.launches,
        new_launches=new_row.launches,
    )
    reasons = [*refused, *row_refusals(base, new, old_row, new_row)]
    for where, row in (("in the base", old_row), ("in the new run", new_row)):
        if row.status != "ok":
            reasons.append(f"{where} it {problem(row)}")
        elif row.p50_ms is None:
            reasons.append(f"{where} it has no samples")
    if reasons:
        return _Draft(verdict=attrs.evolve(verdict, reason="; ".join(reasons)))
    return _comparable(verdict, base, new, old_row, new_row)


def _comparable(
    verdict: CaseVerdict,
    base: BenchmarkReport,
    new: BenchmarkReport,
    old_row: BenchmarkResult,
    new_row: BenchmarkResult,
) -> _Draft:
    """Compute the ratio of a comparable case, from its launches if it has any."""
    means = compared_by_means((old_row.loops, new_row.loops))
    old_launches = _launches(old_row, base.canary, by_means=means)
    new_launches = _launches(new_row, new.canary, by_means=means)
    reasons = _undecidable(
        ("the base", base, old_row, old_launches), ("the new run", new, new_row, new_launches)
    )
    if old_launches is None or new_launches is None:
        assert old_row.p50_ms is not None
        assert new_row.p50_ms is not None
        ratio = new_row.p50_ms / old_row.p50_ms
    else:
        ratio = math.exp(new_launches.mean_log_ratio - old_launches.mean_log_ratio)
        verdict = attrs.evolve(
            verdict, base_launches=len(old_launches.case), new_launches=len(new_launches.case)
        )
    verdict = attrs.evolve(
        verdict,
        verdict="INCONCLUSIVE",
        ratio=Interval(estimate=ratio, low=None, high=None, confidence=_CONFIDENCE),
        reason="; ".join(reasons),
    )
    if reasons:
        return _Draft(verdict=verdict)
    return _Draft(verdict=verdict, base=old_launches, new=new_launches)


def _undecidable(
    *sides: tuple[str, BenchmarkReport, BenchmarkResult, _Launches | None],
) -> list[str]:
    """Return why a case with results in both runs gets no verdict; empty if it may get one."""
    reasons = []
    for where, report, row, launches in sides:
        if row.withheld:
            reasons.append(f"in {where}, {row.withheld}")
        if report.canary is None:
            reasons.append(f"{where} did not measure the reference workload")
        elif launches is None and (row.samples is None or report.canary.samples is None):
            reasons.append(f"{where} has no raw samples: save it as a .lexer file")
        elif launches is None:
            reasons.append(f"{where} did not measure the reference workload in the same rounds")
        elif len(launches.case) < _MIN_LAUNCHES:
            reasons.append(
                f"{where} has only 1 launch, so the variation between launches is unknown: "
                f"benchmark with --launches {_RECOMMENDED_LAUNCHES}"
            )
    device = sides[0][2].device_name
    if not device.startswith("cpu"):
        reasons.append(f"the reference workload runs on the CPU, so it says nothing about {device}")
    return reasons


def _launches(
    row: BenchmarkResult, workload: ReferenceWorkloadTimes | None, *, by_means: bool
) -> _Launches | None:
    """Return the centres of each launch and of the reference workload in the same rounds.

    ``None`` without raw samples. A launch that ended before the reference
    workload ran is left out.
    """
    if (
        workload is None
        or row.samples is None
        or row.sample_rounds is None
        or row.sample_launches is None
        or workload.samples is None
        or workload.sample_rounds is None
    ):
        return None
    case, reference = [], []
    for launch in np.unique(row.sample_launches):
        of_launch = row.sample_launches == launch
        same_rounds = np.isin(workload.sample_rounds, np.unique(row.sample_rounds[of_launch]))
        if same_rounds.any():
            samples = row.samples[of_launch]
            case.append(float(samples.mean() if by_means else np.median(samples)))
            reference.append(float(np.median(workload.samples[same_rounds])))
    if not case:
        return None
    return _Launches(case=np.asarray(case), reference=np.asarray(reference))


def _judge(drafts: Sequence[_Draft], threshold: float) -> tuple[CaseVerdict, ...]:
    """Judge the cases that have launches, with Holm's correction over all of them."""
    uncorrected = {
        at: comparison
        for at, draft in enumerate(drafts)
        if (comparison := _compare(draft, threshold, _CONFIDENCE)) is not None
    }
    p_values = [comparison.p_value for comparison in uncorrected.values()]
    levels = dict(zip(uncorrected, holm_confidences(p_values, _CONFIDENCE), strict=True))
    verdicts = []
    for at, draft in enumerate(drafts):
        comparison = _compare(draft, threshold, levels[at]) if at in levels else None
        verdicts.append(
            draft.verdict if comparison is None else _verdict(draft.verdict, comparison, threshold)
        )
    return tuple(verdicts)


def _compare(draft: _Draft, threshold: float, confidence: float) -> LaunchComparison | None:
    if draft.base is None or draft.new is None:
        return None
    return compare_launches(
        draft.new.case,
        draft.new.reference,
        draft.base.case,
        draft.base.reference,
        delta=threshold,
        confidence=confidence,
    )


def _verdict(draft: CaseVerdict, comparison: LaunchComparison, threshold: float) -> CaseVerdict:
    reason = ""
    if comparison.verdict == "INCONCLUSIVE":
        fewest = min(comparison.candidate_launches, comparison.baseline_launches)
        slower = comparison.low > 1.0
        reason = (
            f"{'slower, but ' if slower else ''}{fewest} launches are not enough to tell whether "
            f"{'' if slower else 'it is slower '}by {percent_text(threshold)} or more: "
            "use more launches"
        )
    elif comparison.verdict == "OK" and comparison.low > 1.0:
        reason = "slower, but by less than the threshold"
    return attrs.evolve(
        draft,
        verdict=comparison.verdict,
        ratio=Interval(
            estimate=comparison.ratio,
            low=comparison.low,
            high=comparison.high,
            confidence=comparison.confidence,
        ),
        reason=reason,
    )
