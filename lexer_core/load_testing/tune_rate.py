"""Which configuration of a space serves the most requests a second?

The configurations are loaded side by side and tested under load like those of
:mod:`lexer_core.load_testing.load_test`: those whose calls predict less than another
one's are not tested further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import UnsupportedError, UsageError
from lexer_core.load_testing.results import load_test_of
from lexer_core.load_testing.run import LoadRun
from lexer_core.load_testing.setups import Setup, refusal_of
from lexer_core.machine.affinity import usable_threads
from lexer_core.reporting.numbers import significant
from lexer_core.tuning.sized_models import SizedModels
from lexer_core.tuning.tune import plan_of, report_of_rows, search_of
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.errors import LexerError
    from lexer_core.load_testing.measure import LoadPlan
    from lexer_core.load_testing.slo import Slo
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.load_test import LoadConfiguration, LoadTest
    from lexer_core.results.tuning import Fate, TuningConfiguration
    from lexer_core.settings.layers import Configuration
    from lexer_core.tuning.goals import Limit
    from lexer_core.tuning.plan import Plan
    from lexer_core.tuning.tune import TuningRequest

__all__ = ["run_rate_tuning"]

_TIE = 1.05
"""Rates that are closer than the search resolves them are a tie."""

_MOST = 64
"""Configurations at most: each is loaded, and many are tested for seconds."""


def run_rate_tuning(
    model: AdaptedModel | Path,
    inputs: object,
    request: TuningRequest,
    load_plan: LoadPlan,
    configuration: Configuration,
    registry: EngineRegistry,
    progress: ProgressCallback | None = None,
) -> TuningReport:
    """Search a space for the highest rate of requests.

    Parameters
    ----------
    model, inputs, configuration, registry, progress
        As for :func:`lexer_core.tuning.tune.run_tuning`.
    request
        What to search. Its goals are not used.
    load_plan
        The objective and the arrivals.

    Raises
    ------
    UsageError
        The space is too large, or a tuning is to be resumed; or as for ``run_tuning``.
    ModelError
        The model does not run with these inputs.
    """
    if request.resumed is not None:
        raise UsageError("a tuning for rate cannot be resumed.", hint="Start it again.")
    plan = plan_of(request, configuration, registry)
    if plan.size > min(_MOST, plan.most):
        raise UsageError(
            f"{plan.size} configurations are too many to be tested under load; at most "
            f"{min(_MOST, plan.most)} are.",
            hint="Vary less, or tune for throughput first: --maximize throughput.",
        )
    models = SizedModels(model, inputs, request.axes)
    selection = models.assign(plan.select(range(plan.size)), plan.points)
    selection, setups = _with_setups(selection, plan)
    run = LoadRun(
        *models.first,
        selection,
        plan.settings,
        progress,
        setups=setups,
        plan=attrs.evolve(load_plan, across_engines=True),
        others=models.new(),
    )
    report = report_of_rows(run.execute(), models, request, plan, configuration, registry)
    test = load_test_of(report.results, run.logs, setups, load_plan)
    ended = _judged(report.results, test, plan, request.limits, load_plan.slo)
    search = search_of(request, plan)
    tuning = attrs.evolve(
        search,
        goals=("maximize rate",),
        limits=(str(load_plan.slo), *search.limits),
        configurations=ended,
    )
    return TuningReport.of(
        attrs.evolve(
            report,
            tuning=tuning,
            load_test=test,
            sentences=_sentences(ended, _by_label(test), load_plan.slo),
        )
    )


def _with_setups(selection: CaseSelection, plan: Plan) -> tuple[CaseSelection, dict[str, Setup]]:
    """Return the cases that fit on the cores and that their engines can have, and their setups."""
    cores = usable_threads()
    cases: list[Case] = []
    failures: list[tuple[Case, LexerError]] = list(selection.failures)
    setups: dict[str, Setup] = {}
    for case in selection.cases:
        point = plan.points[case.label]
        instances = point.instances or 1
        threads = point.threads or plan.settings.threads or max(1, cores // instances)
        setup = Setup(instances=instances, threads=threads, batch=point.batch or 1)
        engine = case.remote_engine or selection.engines[case.engine]
        refusal = refusal_of(engine.info.concurrency, case.device, setup)
        if instances * threads > cores:
            refusal = f"{instances} instances × {threads} threads are more than {cores} cores"
        if refusal:
            failures.append((case, UnsupportedError(f"{refusal}.", engine=case.engine)))
            continue
        cases.append(attrs.evolve(case, threads=threads))
        setups[case.label] = setup
    kept = attrs.evolve(selection, cases=tuple(cases), failures=tuple(failures))
    return kept, setups


def _by_label(test: LoadTest) -> dict[str, LoadConfiguration]:
    return {each.label: each for each in test.configurations}


def _judged(
    rows: Sequence[BenchmarkResult],
    test: LoadTest,
    plan: Plan,
    limits: Sequence[Limit],
    slo: Slo,
) -> tuple[TuningConfiguration, ...]:
    """Return how each configuration ended."""
    found = _by_label(test)
    ended = {row.label: _alone(row, found.get(row.label), plan, limits, slo) for row in rows}
    rates = {
        label: found[label].rate or 0.0 for label, each in ended.items() if each.fate == "winner"
    }
    if rates:
        winner = max(rates, key=lambda label: rates[label])
        for label, rate in rates.items():
            if label == winner:
                continue
            ratio = rates[winner] / rate
            ended[label] = attrs.evolve(
                ended[label],
                fate="tie" if ratio < _TIE else "slower",
                reason=f"{significant(rate)} requests/s",
                beaten_by="" if ratio < _TIE else winner,
                ratio=None if ratio < _TIE else ratio,
            )
    return tuple(ended[label] for label in sorted(ended, key=lambda label: plan.numbers[label]))


def _alone(
    row: BenchmarkResult,
    found: LoadConfiguration | None,
    plan: Plan,
    limits: Sequence[Limit],
    slo: Slo,
) -> TuningConfiguration:
    """Return how a configuration ended without the others; what may win is a winner."""
    configuration = plan.configuration_of(row)
    if row.error is not None:
        fate: Fate = "unsupported" if row.status == "unsupported" else "failed"
        return attrs.evolve(configuration, fate=fate, reason=row.error.reason)
    if row.withheld:
        return attrs.evolve(configuration, fate="failed", reason=row.withheld)
    for limit in limits:
        value = limit.figure.value(row)
        if value is not None and not limit.allows(value):
            return attrs.evolve(configuration, fate="over_limit", reason=limit.exceeded_by(value))
    assert found is not None
    if found.rate is not None:
        return attrs.evolve(configuration, fate="winner", confirmed=True)
    if not found.points:
        fate = "slower" if found.predicted_rate else "not_reached"
        return attrs.evolve(configuration, fate=fate, reason=found.reason)
    is_over = any(point.verdict == "fails" for point in found.points)
    return attrs.evolve(
        configuration,
        fate="over_limit" if is_over else "not_reached",
        reason=f"no rate keeps to {slo.text}" if is_over else found.reason,
    )


def _sentences(
    ended: Sequence[TuningConfiguration], found: Mapping[str, LoadConfiguration], slo: Slo
) -> tuple[str, ...]:
    winner = next((each for each in ended if each.fate == "winner"), None)
    if winner is None:
        return (_none(ended, found, slo),)
    best = found[winner.label]
    about = "" if best.rate == best.highest_passing else "about "
    rate = f"{about}{significant(best.rate)} requests/s with {slo.text}"
    sentences = [f"The best is {winner.label}: it serves {rate}."]
    ties = [each.label for each in ended if each.fate == "tie"]
    if ties:
        sentences.append(f"As good, as far as rates are resolved (5%): {', '.join(ties)}.")
    return tuple(sentences)


def _none(
    ended: Sequence[TuningConfiguration], found: Mapping[str, LoadConfiguration], slo: Slo
) -> str:
    """Say why no configuration has a rate."""
    tested = [each for each in ended if each.label in found and found[each.label].points]
    if not tested:
        return "No configuration could be tested under load."
    if any(each.fate == "over_limit" for each in tested):
        return f"No configuration keeps to {slo.text} at any rate that was tried."
    return f"No rate is certain to keep to {slo.text}; {tested[0].label}: {tested[0].reason}."
