"""What do the samples of a run say?

Applies the statistics to the results of a run, and adds the warnings and the reasons
for no verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from lexer_core.benchmark.precision_siblings import with_slower_precisions
from lexer_core.benchmark.stop_rule import centres_of_rounds
from lexer_core.records import Device
from lexer_core.results import BenchmarkResult, Comparison, Interval
from lexer_core.results.set_up import payback
from lexer_core.statistics import (
    CaseComparison,
    Comparisons,
    Diagnosis,
    Summary,
    Suspicion,
    compare_cases,
    diagnose,
    order_effect,
    position_effect,
    round_medians,
    summarise,
    weigh_suspicions,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.benchmark.outcome import CaseOutcome, RunOutcome

__all__ = ["RunAnalysis", "analyse_run", "hidden_work"]

_STEAL_WARNING = 0.01
_CPU_WAIT_WARNING = 0.05
_POSITION_WARNING = 0.01
_THROTTLED_LIMIT = 0.05
_ROUNDS_FOR_ORDER = 10
_MS = 1000.0
_LARGEST_LOG = 256 * 1024
_PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0}


@frozen(kw_only=True)
class RunAnalysis:
    """Rows and comparisons of a run, and notes on the whole run."""

    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()


def analyse_run(run: RunOutcome, *, tie: float) -> RunAnalysis:
    """Return the rows and comparisons of a run.

    Parameters
    ----------
    run
        The cases with their samples, facts and failures.
    tie
        Relative difference below which two cases are a tie.

    Returns
    -------
    RunAnalysis
        One row for each case, in order, and the comparisons of all pairs; those with
        the first case come first.
    """
    summaries = {
        outcome.case.label: summarise(
            outcome.log.samples, outcome.log.rounds, loops=outcome.log.loops
        )
        for outcome in run.cases
        if len(outcome.log)
    }
    diagnoses = {
        outcome.case.label: diagnose(outcome.log.samples, outcome.log.rounds)
        for outcome in run.cases
        if len(outcome.log)
    }
    comparisons = _compare(run, tie)
    ranks = {standing.label: standing.rank for standing in comparisons.standings}
    reference = next((outcome.case.label for outcome in run.cases), "")
    rows = tuple(
        _row(
            outcome,
            run,
            summaries.get(outcome.case.label),
            diagnoses.get(outcome.case.label),
            rank=ranks.get(outcome.case.label),
        )
        for outcome in run.cases
    )
    pairs = sorted(comparisons.pairs, key=lambda pair: reference not in (pair.a, pair.b))
    compared = tuple(_comparison(pair) for pair in pairs)
    return RunAnalysis(
        results=_with_break_even(with_slower_precisions(rows, compared)),
        comparisons=compared,
        notes=_order_notes(run),
    )


def _order_notes(run: RunOutcome) -> tuple[str, ...]:
    """Return a note if the order within rounds affected the latencies."""
    centres = {
        outcome.case.label: dict(zip(*_medians(outcome), strict=True))
        for outcome in run.cases
        if len(outcome.log)
    }
    complete = [
        (number, order)
        for number, order in run.orders.items()
        if len(order) == len(centres) and all(number in centres[label] for label in order)
    ]
    changed = len({order for _, order in complete}) > 1
    if len(centres) < 2 or len(complete) < _ROUNDS_FOR_ORDER or not changed:  # noqa: PLR2004
        return ()
    effect = order_effect(
        [[centres[label][number] for label in centres] for number, _ in complete],
        [[order.index(label) for label in centres] for _, order in complete],
    )
    return (effect.warning,) if effect.warning else ()


def _medians(outcome: CaseOutcome) -> tuple[list[int], list[float]]:
    centres = round_medians(outcome.log.samples, outcome.log.rounds)
    return centres.rounds.tolist(), centres.values.tolist()


def _compare(run: RunOutcome, tie: float) -> Comparisons:
    measured = [outcome for outcome in run.cases if outcome.status == "ok" and len(outcome.log)]
    centres = centres_of_rounds(measured, per_item=run.per_item)
    comparisons = compare_cases(
        centres,
        delta=tie,
        look=run.looks or None,
        launches=min((_launches(outcome) for outcome in measured), default=1),
        withheld={
            outcome.case.label: reason
            for outcome in measured
            if (reason := _withheld(outcome, run))
        },
    )
    suspicions = [
        Suspicion(label=outcome.case.label, reason=reason)
        for outcome in measured
        if (reason := _suspicion(outcome))
    ]
    return weigh_suspicions(comparisons, centres, suspicions)


def _launches(outcome: CaseOutcome) -> int:
    return int(outcome.log.launches[-1]) + 1


def _withheld(outcome: CaseOutcome, run: RunOutcome) -> str:
    """Return why a measured case gets no verdict; empty if it gets one."""
    if outcome.parity is not None and outcome.parity.status == "fail":
        return "its outputs disagree with the model's own"
    if outcome.not_comparable:
        return f"not comparable: {outcome.not_comparable}"
    if hidden := hidden_work(outcome, run.cases):
        return hidden
    if outcome.completion is not None and not outcome.completion.plausible:
        return "its samples do not account for the elapsed time"
    return ""


def hidden_work(outcome: CaseOutcome, others: Iterable[CaseOutcome]) -> str:
    """Return which work of a case is not in its samples; empty if all is."""
    if outcome.fresh_calls is None:
        return ""
    if outcome.fresh_calls.problem:
        return outcome.fresh_calls.problem
    if outcome.fresh_calls.outputs == "same" and any(
        other.fresh_calls is not None and other.fresh_calls.outputs == "other"
        for other in others
        if other.case.model == outcome.case.model
    ):
        return "the engine remembers outputs: for other inputs, it returns the same ones"
    return ""


def _suspicion(outcome: CaseOutcome) -> str:
    """Return what could make the verdicts on a case wrong; empty if nothing is known."""
    if outcome.settling is not None and outcome.settling.steady is False:
        return f"its {outcome.settling.reason}"
    throttled = outcome.log.disturbance.throttled_share
    if throttled is not None and throttled > _THROTTLED_LIMIT:
        return f"its CPU quota was exhausted in {throttled:.0%} of the blocks"
    return ""


def _comparison(pair: CaseComparison) -> Comparison:
    shown = pair.adjusted or pair.ratio
    ratio = (
        Interval(
            estimate=shown.estimate, low=shown.low, high=shown.high, confidence=shown.confidence
        )
        if shown is not None
        else Interval(estimate=float("nan"), low=None, high=None)
    )
    return Comparison(
        a=pair.a,
        b=pair.b,
        ratio=ratio,
        verdict=pair.verdict,
        delta=pair.delta,
        reason=pair.reason,
        rounds=pair.ratio.rounds if pair.ratio is not None else 0,
    )


def _with_break_even(rows: tuple[BenchmarkResult, ...]) -> tuple[BenchmarkResult, ...]:
    """Add the calls that pay back the set-up, compared with the baseline."""
    baseline = next((row for row in rows if row.num_samples), None)
    if baseline is None:
        return rows
    paid = [payback(row, baseline) for row in rows]
    return tuple(
        attrs.evolve(row, break_even_calls=each.calls) if each is not None else row
        for row, each in zip(rows, paid, strict=True)
    )


def _row(
    outcome: CaseOutcome,
    run: RunOutcome,
    summary: Summary | None,
    diagnosis: Diagnosis | None,
    *,
    rank: int | None,
) -> BenchmarkResult:
    case, prepared = outcome.case, outcome.prepared
    threads = case.threads or run.threads
    load = outcome.load_facts
    device = load.device if load is not None else None
    log = outcome.log
    position = position_effect(log.samples, log.block_lengths) if len(log) else None
    row = BenchmarkResult(
        engine=case.display_name,
        device=device.label if device else Device(kind=case.device.split(":")[0]).label,
        label=case.label,
        model=case.model_name,
        status=outcome.status,
        rank=rank,
        engine_name=case.engine,
        engine_version=case.engine_version,
        engine_distribution=case.engine_distribution,
        interpreter=case.python,
        options=dict(case.options),
        device_name=device.name if device else case.device,
        batch_size=case.items or run.batch_size,
        threads=threads,
        precision=case.precision,
        computed_precision=outcome.final_facts.computed_precision if outcome.final_facts else "",
        dtype=run.dtype,
        format=prepared.exported.format if prepared else "",
        exporter=prepared.exported.exporter if prepared else "",
        isolation=outcome.isolation,
        load_ms=load.load_seconds * _MS if load else None,
        compile_ms=_ms(load.phases.compile_seconds) if load else None,
        export_ms=prepared.seconds * _MS if prepared and prepared.seconds else None,
        export_cached=prepared.cached if prepared and prepared.seconds else None,
        first_call_ms=_ms(outcome.first_call_seconds),
        warm_up_calls=outcome.warm_up.calls if outcome.warm_up else None,
        warm_up_steady=outcome.settling.steady if outcome.settling else None,
        peak_memory_bytes=outcome.peak_memory_bytes,
        device_peak_memory_bytes=outcome.device_peak_memory_bytes,
        model_bytes=prepared.exported.size_bytes if prepared else None,
        parity=outcome.parity,
        placement=outcome.final_facts.placement if outcome.final_facts else None,
        profile=outcome.profile,
        withheld=_withheld(outcome, run) if summary is not None else "",
        warnings=(*outcome.warnings, *_warnings(outcome, diagnosis, position, threads)),
        error=outcome.failure,
        warm_up_samples=outcome.log.warm_up_samples,
        warm_up_launches=outcome.log.warm_up_launches,
        log=_printed(outcome.printed),
    )
    if summary is None:
        return row
    return attrs.evolve(row, **_numbers(outcome, run, summary, diagnosis, position))


def _printed(launches: Sequence[str]) -> str:
    """Join the output of the workers of all launches; keep the end if it is very long."""
    if len(launches) == 1:
        return launches[0]
    parts = [
        f"--- launch {number} ---\n{text}" for number, text in enumerate(launches, start=1) if text
    ]
    text = "\n".join(parts)
    if len(text) <= _LARGEST_LOG:
        return text
    end = text[-_LARGEST_LOG:]
    end = end.partition("\n")[2] or end
    return f"[... earlier output was dropped ...]\n{end}"


def _numbers(
    outcome: CaseOutcome,
    run: RunOutcome,
    summary: Summary,
    diagnosis: Diagnosis | None,
    position: float | None,
) -> dict[str, Any]:
    """Return the fields that come from samples, converted from seconds."""
    log = outcome.log
    numbers: dict[str, Any] = {}
    notes: dict[str, str] = {}
    intervals: dict[str, Interval] = {}
    for name, percent in _PERCENTILES.items():
        entry = summary.percentile(percent)
        numbers[name] = estimate = _ms(entry.estimate)
        if entry.note:
            notes[name] = entry.note
        if estimate is not None and entry.low is not None and entry.high is not None:
            intervals[name] = Interval(
                estimate=estimate,
                low=entry.low * _MS,
                high=entry.high * _MS,
                confidence=entry.confidence,
            )
    if summary.mean_low is not None and summary.mean_high is not None:
        intervals["mean_ms"] = Interval(
            estimate=summary.mean * _MS,
            low=summary.mean_low * _MS,
            high=summary.mean_high * _MS,
            confidence=summary.confidence,
        )
    device_samples = log.device_samples
    disturbed = log.disturbance
    observed = {
        "position_effect": position,
        "steal_share": disturbed.steal_share,
        "throttled_share": disturbed.throttled_share,
        "cpu_wait_share": disturbed.cpu_wait_share,
        "involuntary_switches": disturbed.involuntary_switches,
        "major_faults": disturbed.major_faults,
        "gpu_power_share": disturbed.gpu_power_share,
        "gpu_heat_share": disturbed.gpu_heat_share,
    }
    if outcome.final_facts is not None:
        observed |= {
            f"threads_{pool}": count for pool, count in outcome.final_facts.threads.items()
        }
    if diagnosis is not None:
        observed |= {
            "sample_autocorrelation": diagnosis.sample_autocorrelation,
            "round_autocorrelation": diagnosis.round_autocorrelation,
            "design_effect": diagnosis.design_effect,
            "drift": diagnosis.drift,
            "round_spread": diagnosis.round_spread,
        }
    return numbers | {
        "num_samples": summary.count,
        "throughput_per_sec": summary.calls_per_second
        * (outcome.case.items or run.batch_size or 1),
        "variance": None if summary.variance is None else summary.variance * _MS**2,
        "mean_ms": summary.mean * _MS,
        "std_ms": _ms(summary.std),
        "min_ms": summary.min * _MS,
        "max_ms": summary.max * _MS,
        "effective_samples": summary.effective_count,
        "intervals": intervals,
        "notes_on_percentiles": notes,
        "loops": summary.loops,
        "sampled_ms": log.seconds * _MS,
        "rounds": summary.rounds,
        "launches": _launches(outcome),
        "outliers_mild": summary.outliers_mild,
        "outliers_severe": summary.outliers_severe,
        "device_p50_ms": None if device_samples is None else float(np.median(device_samples)) * _MS,
        "diagnosis": {name: value for name, value in observed.items() if value is not None},
        "samples": log.samples,
        "sample_rounds": log.rounds,
        "sample_launches": log.launches,
    }


def _warnings(
    outcome: CaseOutcome, diagnosis: Diagnosis | None, position: float | None, threads: int
) -> list[str]:
    warnings = list(outcome.prepared.notes if outcome.prepared else ())
    if outcome.prepared is not None:
        warnings += outcome.prepared.exported.notes
    asked, facts = outcome.case.precision, outcome.final_facts
    if facts is not None and facts.computed_precision not in ("", asked):
        warnings.append(f"asked {asked}, computes {facts.computed_precision}")
    if outcome.parity is not None:
        warnings += outcome.parity.notes
    if outcome.completion is not None and not outcome.completion.plausible:
        check = outcome.completion
        warnings.append(
            f"samples add up to {check.sampled * _MS:.3g} ms, but took "
            f"{(check.elapsed + check.waited) * _MS:.3g} ms: the engine returns before its work is "
            "done, or reports wrong times"
        )
    if outcome.load_facts is not None and outcome.load_facts.phases.cache_warm:
        warnings.append("compiled code came from a cache; the very first load takes longer")
    if outcome.settling is not None and outcome.settling.steady is False:
        warnings.append(outcome.settling.reason)
    warnings += _thread_warnings(outcome, threads)
    warnings += _position_warning(position)
    if diagnosis is not None:
        warnings += diagnosis.warnings
        disturbed = outcome.log.disturbance
        if disturbed.steal_share is not None and disturbed.steal_share > _STEAL_WARNING:
            warnings.append(
                f"other machines on this host took {disturbed.steal_share:.1%} of the CPU time"
            )
        if (disturbed.cpu_wait_share or 0.0) > _CPU_WAIT_WARNING:
            warnings.append(
                f"its calls waited for a CPU {disturbed.cpu_wait_share:.0%} of the time, which "
                "other programs or threads used"
            )
        if disturbed.throttled_share:
            warnings.append(
                f"the CPU quota was exhausted in {disturbed.throttled_share:.0%} of the blocks"
            )
        for cause, share in (
            ("power", disturbed.gpu_power_share),
            ("heat", disturbed.gpu_heat_share),
        ):
            if share:
                warnings.append(f"{cause} limited the GPU's clocks in {share:.0%} of the blocks")
    return warnings


def _position_warning(effect: float | None) -> list[str]:
    """Report that more calls after a switch between processes are slow than were discarded."""
    if effect is None or abs(effect) <= _POSITION_WARNING:
        return []
    slower = "slower" if effect > 0 else "faster"
    return [f"the first sample of a block is {abs(effect):.1%} {slower} than the others"]


def _thread_warnings(outcome: CaseOutcome, threads: int) -> list[str]:
    """Warn about thread pools of the worker that are larger than requested."""
    if outcome.final_facts is None or outcome.isolation == "none":
        return []
    return [
        f"{pool} has {count} threads, but {threads} were requested"
        for pool, count in outcome.final_facts.threads.items()
        if pool != "process" and count > threads
    ]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * _MS
