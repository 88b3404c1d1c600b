"""Which cases have become slower from one saved run to another?

The launch is the unit: each launch of a case is divided by the canary of its
own rounds, and the launches of both runs are compared. All cases of a pair are
one family, so that a gate cries wolf no oftener for having more of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np
from attrs import frozen

from lexer_core.benchmark.rounds import compared_by_means
from lexer_core.comparison.changes import changes_between, changes_of_case, model_note
from lexer_core.comparison.conditions import refusals, row_refusals, usual_threshold
from lexer_core.comparison.records import CaseVerdict, RunPair
from lexer_core.errors import SettingError
from lexer_core.reporting.numbers import percent_text
from lexer_core.reporting.sentences import problem
from lexer_core.results import Interval
from lexer_core.statistics import compare_launches, holm_confidences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.comparison.loading import LoadedRun
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult, ReferenceWorkloadTimes
    from lexer_core.statistics import LaunchComparison

    FloatArray = npt.NDArray[np.float64]

__all__ = ["judge_pair"]

_CONFIDENCE = 0.95
_FEWEST_LAUNCHES = 2
_SEVERAL = 5


@frozen(kw_only=True, eq=False)
class _Launches:
    """Medians of one case and of its canary, in seconds, one for each launch."""

    case: FloatArray
    canary: FloatArray

    @property
    def relative(self) -> float:
        """The mean of the logarithms of case over canary."""
        return float(np.log(self.case / self.canary).mean())


@frozen(kw_only=True, eq=False)
class _Draft:
    """A case that may get a verdict: its facts, and the launches that decide it, if they can."""

    verdict: CaseVerdict
    base: _Launches | None = None
    new: _Launches | None = None


def judge_pair(base: LoadedRun, new: LoadedRun, *, threshold: float | None = None) -> RunPair:
    """Compare two saved runs case by case, by canary and launches.

    Parameters
    ----------
    base, new
        The runs.
    threshold
        Smallest slowdown that counts, as a share; by the hosts unless given.

    Raises
    ------
    SettingError
        The threshold is not above 0.

    Notes
    -----
    Cases are judged by Welch's t interval on the logarithms of launch medians
    (:func:`~lexer_core.statistics.compare_launches`), at the confidence that
    Holm's correction asks for among the cases of the pair.
    """
    if threshold is None:
        threshold, why = usual_threshold(base.report, new.report)
    else:
        why = "as asked for"
    if not (threshold > 0.0 and math.isfinite(threshold)):
        raise SettingError(
            f"the threshold is {threshold!r}; it must be above 0.", hint="0.05 is 5 %."
        )
    refused = refusals(base.report, new.report)
    drafts = [
        _draft(label, base.report, new.report, refused)
        for label in dict.fromkeys(row.label for row in (*base.report, *new.report))
    ]
    note = model_note(base.report, new.report)
    return RunPair(
        base=base.shown,
        new=new.shown,
        cases=_decided(drafts, threshold),
        threshold=threshold,
        threshold_reason=why,
        changes=changes_between(base.report, new.report),
        notes=(note,) if note else (),
    )


def _draft(
    label: str, base: BenchmarkReport, new: BenchmarkReport, refused: Sequence[str]
) -> _Draft:
    """Gather what is known of a case, and say no where a verdict is out of the question."""
    old_row = {row.label: row for row in base}.get(label)
    new_row = {row.label: row for row in new}.get(label)
    if old_row is None or new_row is None:
        where = "new run" if new_row is None else "base"
        return _Draft(
            verdict=CaseVerdict(
                label=label,
                verdict="NOT COMPARABLE",
                reason=f"it is not in the {where}",
                base_p50_ms=old_row.p50_ms if old_row is not None else None,
                new_p50_ms=new_row.p50_ms if new_row is not None else None,
            )
        )
    facts = CaseVerdict(
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
        return _Draft(verdict=attrs.evolve(facts, reason="; ".join(reasons)))
    return _measured(facts, base, new, old_row, new_row)


def _measured(
    facts: CaseVerdict,
    base: BenchmarkReport,
    new: BenchmarkReport,
    old_row: BenchmarkResult,
    new_row: BenchmarkResult,
) -> _Draft:
    """Set the launches of a comparable case against the canary, as far as they are there."""
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
        ratio = math.exp(new_launches.relative - old_launches.relative)
        facts = attrs.evolve(
            facts, base_launches=len(old_launches.case), new_launches=len(new_launches.case)
        )
    facts = attrs.evolve(
        facts,
        verdict="INCONCLUSIVE",
        ratio=Interval(estimate=ratio, low=None, high=None, confidence=_CONFIDENCE),
        reason="; ".join(reasons),
    )
    if reasons:
        return _Draft(verdict=facts)
    return _Draft(verdict=facts, base=old_launches, new=new_launches)


def _undecidable(
    *sides: tuple[str, BenchmarkReport, BenchmarkResult, _Launches | None],
) -> list[str]:
    """Say why a case with numbers on both sides gets no verdict; empty where it may."""
    reasons = []
    for where, report, row, launches in sides:
        if row.withheld:
            reasons.append(f"in {where}, {row.withheld}")
        if report.canary is None:
            reasons.append(f"{where} has no canary to be set against")
        elif launches is None:
            reasons.append(f"{where} has no raw samples: save it with -o run.lexer")
        elif len(launches.case) < _FEWEST_LAUNCHES:
            reasons.append(
                f"{where} has 1 launch, and how much launches differ shows in several only: "
                f"benchmark with --launches {_SEVERAL}"
            )
    device = sides[0][2].device_name
    if not device.startswith("cpu"):
        reasons.append(f"the canary runs on the CPU and knows nothing of {device}")
    return reasons


def _launches(
    row: BenchmarkResult, canary: ReferenceWorkloadTimes | None, *, by_means: bool
) -> _Launches | None:
    """Take the centre of each launch, and that of the canary in the same rounds.

    ``None`` without raw samples. A launch that was broken off before the canary
    took its first block is left out.
    """
    if (
        canary is None
        or row.samples is None
        or row.sample_rounds is None
        or row.sample_launches is None
        or canary.samples is None
        or canary.sample_rounds is None
    ):
        return None
    case, reference = [], []
    for launch in np.unique(row.sample_launches):
        own = row.sample_launches == launch
        beside = np.isin(canary.sample_rounds, np.unique(row.sample_rounds[own]))
        if beside.any():
            samples = row.samples[own]
            case.append(float(samples.mean() if by_means else np.median(samples)))
            reference.append(float(np.median(canary.samples[beside])))
    if not case:
        return None
    return _Launches(case=np.asarray(case), canary=np.asarray(reference))


def _decided(drafts: Sequence[_Draft], threshold: float) -> tuple[CaseVerdict, ...]:
    """Judge the cases whose launches allow it, as one family."""
    compared = {
        at: compared_draft
        for at, draft in enumerate(drafts)
        if (compared_draft := _compare(draft, threshold, _CONFIDENCE)) is not None
    }
    levels = _levels(compared)
    verdicts = []
    for at, draft in enumerate(drafts):
        comparison = _compare(draft, threshold, levels[at]) if at in levels else None
        verdicts.append(
            draft.verdict if comparison is None else _verdict(draft.verdict, comparison, threshold)
        )
    return tuple(verdicts)


def _levels(compared: Mapping[int, LaunchComparison]) -> dict[int, float]:
    probabilities = [comparison.p_value for comparison in compared.values()]
    return dict(zip(compared, holm_confidences(probabilities, _CONFIDENCE), strict=True))


def _compare(draft: _Draft, threshold: float, confidence: float) -> LaunchComparison | None:
    if draft.base is None or draft.new is None:
        return None
    return compare_launches(
        draft.new.case,
        draft.new.canary,
        draft.base.case,
        draft.base.canary,
        delta=threshold,
        confidence=confidence,
    )


def _verdict(facts: CaseVerdict, comparison: LaunchComparison, threshold: float) -> CaseVerdict:
    reason = ""
    if comparison.verdict == "INCONCLUSIVE":
        fewest = min(comparison.candidate_launches, comparison.baseline_launches)
        what = "it is slower, but whether" if comparison.low > 1.0 else "whether it is slower"
        reason = (
            f"{what} by {percent_text(threshold)} or more, {fewest} launches do not tell: "
            "take more of them"
        )
    elif comparison.verdict == "OK" and comparison.low > 1.0:
        reason = "it is slower, by less than the threshold"
    return attrs.evolve(
        facts,
        verdict=comparison.verdict,
        ratio=Interval(
            estimate=comparison.ratio,
            low=comparison.low,
            high=comparison.high,
            confidence=comparison.confidence,
        ),
        reason=reason,
    )
