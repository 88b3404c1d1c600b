"""What is the verdict of a rerun on each row?

If both models were measured, it follows from the ratio of their rounds. If the
base's model could not be measured again, it follows from its saved samples
relative to the reference workload. Each row names its method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.comparison.records import CaseVerdict, Change, ChangeKind, RunPair
from lexer_core.reporting.numbers import error_text, percent_text
from lexer_core.reporting.sentences import problem
from lexer_core.results import Interval
from lexer_core.statistics import (
    RoundCentres,
    compared_by_means,
    find_slowdowns,
    round_means,
    round_medians,
)
from lexer_core.validation import judge

if TYPE_CHECKING:
    from lexer_core.benchmark.outcome import CaseOutcome, RunOutcome
    from lexer_core.comparison.rerun_plan import RerunPlan
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.statistics import Slowdown

__all__ = ["judge_rerun", "output_difference"]


def judge_rerun(
    saved: RunPair,
    run: RunOutcome,
    plan: RerunPlan,
    *,
    base: BenchmarkReport,
    new: BenchmarkReport,
    threshold: float,
) -> RunPair:
    """Replace verdicts from saved samples by those of a rerun.

    Parameters
    ----------
    saved
        The new run against the saved one, relative to the reference workload.
    run
        The outcome of the rerun, for both models.
    plan
        Which case belongs to which row, and which rows were not measured again.
    base, new
        The rows of the rerun: the base's, with their labels in the base, and
        those of the new model.
    threshold
        Smallest slowdown that counts, as a fraction.

    Returns
    -------
    RunPair
        The same cases; a note lists those measured again.
    """
    outcomes = {outcome.case.label: outcome for outcome in run.cases}
    measured = {
        label: (outcomes[label], outcomes[base_label])
        for label, base_label in plan.base_labels.items()
        if _has_samples(outcomes[label]) and _has_samples(outcomes[base_label])
    }
    centres = {label: _centres(*pair) for label, pair in measured.items()}
    slowdowns = find_slowdowns(
        centres,
        delta=threshold,
        look=run.looks or None,
        launches=min((_launches(outcome) for outcome, _ in measured.values()), default=1),
    )
    kinds: list[ChangeKind] = [
        change.kind for change in saved.changes if change.kind in ("weights", "code")
    ]
    base_rows, new_rows = _by_label(base), _by_label(new)
    cases = []
    for case in saved.cases:
        if case.label in slowdowns:
            cases.append(
                _remeasured(
                    case,
                    slowdowns[case.label],
                    base_rows[case.label],
                    new_rows[case.label],
                    _output_changes(*measured[case.label], kinds[0] if kinds else "weights"),
                )
            )
        elif case.label in plan.skipped:
            cases.append(
                attrs.evolve(
                    case, verdict="NOT COMPARABLE", ratio=None, reason=plan.skipped[case.label]
                )
            )
        else:
            failed = base_rows.get(case.label)
            reason = plan.new_only.get(case.label) or (
                f"the base's model {problem(failed)}" if failed is not None else ""
            )
            cases.append(_from_saved_samples(case, reason, saved.threshold, threshold))
    notes = [_rounds_note(slowdowns)] if slowdowns else []
    return attrs.evolve(
        saved, cases=tuple(cases), threshold=threshold, notes=(*notes, *saved.notes)
    )


def output_difference(one: CaseOutcome, other: CaseOutcome) -> str:
    """Return by how much the outputs of two cases differ; empty if they agree or are unknown."""
    if one.final_facts is None or other.final_facts is None:
        return ""
    parity = judge(
        one.final_facts.outputs, other.final_facts.outputs, reference_name=other.case.label
    )
    if parity.status != "fail":
        return ""
    if parity.max_abs_error is None or any(each.max_abs_error is None for each in parity.outputs):
        return parity.reason
    return f"differ by up to {error_text(parity.max_abs_error)} (RMSE {error_text(parity.rmse)})"


def _by_label(report: BenchmarkReport) -> dict[str, BenchmarkResult]:
    return {row.label: row for row in report}


def _has_samples(outcome: CaseOutcome) -> bool:
    return outcome.status == "ok" and len(outcome.log) > 0


def _centres(new: CaseOutcome, base: CaseOutcome) -> tuple[RoundCentres, RoundCentres]:
    means = compared_by_means((new.log.loops, base.log.loops))
    centres_of = round_means if means else round_medians
    return (
        centres_of(new.log.samples, new.log.rounds),
        centres_of(base.log.samples, base.log.rounds),
    )


def _launches(outcome: CaseOutcome) -> int:
    return int(outcome.log.launches[-1]) + 1


def _remeasured(
    case: CaseVerdict,
    slowdown: Slowdown,
    base: BenchmarkResult,
    new: BenchmarkResult,
    outputs: tuple[Change, ...],
) -> CaseVerdict:
    ratio = slowdown.ratio
    withheld = [
        f"{whose}: {row.withheld}"
        for whose, row in (("the base's model", base), ("the new model", new))
        if row.withheld
    ]
    verdict, reason = slowdown.verdict, slowdown.reason
    if withheld:
        verdict, reason = "INCONCLUSIVE", "; ".join(withheld)
    elif not reason and ratio is not None and ratio.low is not None:
        if verdict == "INCONCLUSIVE":
            reason = (
                f"{ratio.rounds} rounds are not enough to tell whether it is slower by the "
                "threshold or more: use more rounds or launches"
            )
        elif verdict == "OK" and ratio.low > 1.0:
            reason = "slower, but by less than the threshold"
    return attrs.evolve(
        case,
        verdict=verdict,
        method="rerun",
        reason=reason,
        ratio=None
        if ratio is None
        else Interval(
            estimate=ratio.estimate, low=ratio.low, high=ratio.high, confidence=ratio.confidence
        ),
        changes=(*case.changes, *outputs),
        base_p50_ms=base.p50_ms,
        new_p50_ms=new.p50_ms,
        base_launches=base.launches,
        new_launches=new.launches,
    )


def _output_changes(new: CaseOutcome, base: CaseOutcome, kind: ChangeKind) -> tuple[Change, ...]:
    """Return different outputs as a change, not a failure: another model may cause them."""
    difference = output_difference(new, base)
    return (Change(kind=kind, name=f"outputs: {difference}"),) if difference else ()


def _from_saved_samples(
    case: CaseVerdict, cause: str, threshold: float, rerun_threshold: float
) -> CaseVerdict:
    """Add to a verdict from saved samples why the case was not measured again."""
    if not cause:
        return case
    reason = f"not measured again: {cause}"
    if case.verdict != "NOT COMPARABLE":
        reason += "; its saved samples were compared relative to the reference workload"
        if threshold != rerun_threshold:
            reason += f", with a threshold of {percent_text(threshold)}"
    return attrs.evolve(case, reason=f"{reason}; {case.reason}" if case.reason else reason)


def _rounds_note(slowdowns: dict[str, Slowdown]) -> str:
    rounds = max((each.ratio.rounds for each in slowdowns.values() if each.ratio), default=0)
    return (
        f"measured again in {rounds} interleaved round{'' if rounds == 1 else 's'}: "
        f"{', '.join(slowdowns)}"
    )
