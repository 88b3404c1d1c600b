"""What does a rerun say of each row?

Where both models took turns, the ratio of their rounds; where the base's could
not be measured again, what its saved samples say, set against the canary. Each
row says which of the two it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.benchmark.rounds import compared_by_means
from lexer_core.comparison.records import CaseVerdict, Change, ChangeKind, RunPair
from lexer_core.reporting.numbers import error_text, percent_text
from lexer_core.reporting.sentences import problem
from lexer_core.results import Interval
from lexer_core.statistics import RoundCentres, find_slowdowns, round_means, round_medians
from lexer_core.validation import judge

if TYPE_CHECKING:
    from lexer_core.benchmark.outcome import CaseOutcome, RunOutcome
    from lexer_core.comparison.rerun_plan import RerunPlan
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.statistics import Slowdown

__all__ = ["judge_rerun", "outputs_apart"]


def judge_rerun(
    saved: RunPair,
    run: RunOutcome,
    plan: RerunPlan,
    *,
    again: BenchmarkReport,
    new: BenchmarkReport,
    threshold: float,
) -> RunPair:
    """Put the verdicts of a rerun in the place of those from the saved samples.

    Parameters
    ----------
    saved
        The new run against the saved one, through the canary.
    run
        What the rerun left behind, of both models.
    plan
        Which case is whose partner, and what was not measured again.
    again, new
        The rows of the rerun: the base's, under their labels in the base, and
        the new model's.
    threshold
        Smallest slowdown that counts, as a share.

    Returns
    -------
    RunPair
        The same cases; the notes say which were measured again.
    """
    outcomes = {outcome.case.label: outcome for outcome in run.cases}
    measured = {
        label: (outcomes[label], outcomes[partner])
        for label, partner in plan.partners.items()
        if _has_numbers(outcomes[label]) and _has_numbers(outcomes[partner])
    }
    slowdowns = find_slowdowns(
        {label: _centres(*pair) for label, pair in measured.items()},
        delta=threshold,
        launches=min((_launches(now) for now, _ in measured.values()), default=1),
    )
    kinds: list[ChangeKind] = [
        change.kind for change in saved.changes if change.kind in ("weights", "code")
    ]
    before, now_rows = _by_label(again), _by_label(new)
    cases = []
    for case in saved.cases:
        if case.label in slowdowns:
            cases.append(
                _measured_again(
                    case,
                    slowdowns[case.label],
                    before[case.label],
                    now_rows[case.label],
                    _change_of_outputs(*measured[case.label], kinds[0] if kinds else "weights"),
                )
            )
        elif case.label in plan.not_at_all:
            cases.append(
                attrs.evolve(
                    case, verdict="NOT COMPARABLE", ratio=None, reason=plan.not_at_all[case.label]
                )
            )
        else:
            failed = before.get(case.label)
            why = plan.not_again.get(case.label) or (
                f"the base's model {problem(failed)}" if failed is not None else ""
            )
            cases.append(_through_canary(case, why, saved.threshold, threshold))
    notes = [_how(slowdowns)] if slowdowns else []
    return attrs.evolve(
        saved, cases=tuple(cases), threshold=threshold, notes=(*notes, *saved.notes)
    )


def outputs_apart(one: CaseOutcome, other: CaseOutcome) -> str:
    """Say how far the outputs of two cases are apart; empty where they agree or are not known."""
    if one.final_facts is None or other.final_facts is None:
        return ""
    parity = judge(
        one.final_facts.outputs, other.final_facts.outputs, reference_name=other.case.label
    )
    if parity.status != "fail":
        return ""
    if parity.max_abs_error is None or any(each.max_abs_error is None for each in parity.outputs):
        return parity.reason
    return f"up to {error_text(parity.max_abs_error)} apart (RMSE {error_text(parity.rmse)})"


def _by_label(report: BenchmarkReport) -> dict[str, BenchmarkResult]:
    return {row.label: row for row in report}


def _has_numbers(outcome: CaseOutcome) -> bool:
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


def _measured_again(
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
                f"{ratio.rounds} rounds do not tell whether it is slower by so much as the "
                "threshold: take more of them, or more launches"
            )
        elif verdict == "OK" and ratio.low > 1.0:
            reason = "it is slower, by less than the threshold"
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


def _change_of_outputs(new: CaseOutcome, base: CaseOutcome, kind: ChangeKind) -> tuple[Change, ...]:
    """Outputs that are not the base's are what another model gives, and no fault."""
    apart = outputs_apart(new, base)
    return (Change(kind=kind, name=f"outputs: {apart}"),) if apart else ()


def _through_canary(case: CaseVerdict, why: str, threshold: float, of_rerun: float) -> CaseVerdict:
    """Say why a case was not measured again, and that its saved samples had to do."""
    if not why:
        return case
    reason = f"not measured again: {why}"
    if case.verdict != "NOT COMPARABLE":
        reason += "; compared through the canary"
    if case.verdict != "NOT COMPARABLE" and threshold != of_rerun:
        reason += f", with a threshold of {percent_text(threshold)}"
    return attrs.evolve(case, reason=f"{reason}; {case.reason}" if case.reason else reason)


def _how(slowdowns: dict[str, Slowdown]) -> str:
    rounds = max((each.ratio.rounds for each in slowdowns.values() if each.ratio), default=0)
    return (
        f"measured again, both models taking turns in {rounds} "
        f"round{'' if rounds == 1 else 's'}: {', '.join(slowdowns)}"
    )
