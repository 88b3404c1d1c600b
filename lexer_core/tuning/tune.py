"""How is a space searched, from the user's model to a report?"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.artifact.write import SUFFIX, save_as_set
from lexer_core.benchmark.cases import PRECISION, CaseSelection, select_cases
from lexer_core.build_report import assemble_report
from lexer_core.engines.choice import EngineChoice
from lexer_core.errors import OutputFileError, UsageError
from lexer_core.output_files import check_writable
from lexer_core.reporting.sentences import is_interrupted
from lexer_core.results.tuning import Tuning
from lexer_core.tuning.judging import Judgement, judge_configurations
from lexer_core.tuning.plan import Plan
from lexer_core.tuning.resize import resized_model
from lexer_core.tuning.resume import check_same_model, finished_before
from lexer_core.tuning.run import TuningRun
from lexer_core.tuning.sampled_run import BATCH_OF_SAMPLER, SampledRun
from lexer_core.tuning.sampling import Suggestions, check_sampler
from lexer_core.tuning.sentences import tuning_sentences
from lexer_core.tuning.sized_models import SizedModels
from lexer_core.tuning.space import INSTANCES
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.build_report import RunOrigin
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.report import BenchmarkReport
    from lexer_core.results.tuning import TuningConfiguration
    from lexer_core.settings.layers import Configuration
    from lexer_core.tuning.goals import Goal, Limit
    from lexer_core.tuning.space import Space

__all__ = [
    "TuningRequest",
    "checked_destination",
    "plan_of",
    "report_of_rows",
    "run_tuning",
    "save_tuning",
    "search_of",
]


@frozen(kw_only=True, eq=False)
class TuningRequest:
    """What to search, for what.

    Parameters
    ----------
    space, goals, limits
        Axes, figures to optimise, and bounds.
    axes
        Names of the inputs' dynamic axes: dimension → name, by input.
    save_to
        The ``.lexer`` file that is written as the tuning goes on.
    resumed
        An earlier result of the same tuning, which goes on.
    origin
        Where the run came from.
    """

    space: Space
    goals: tuple[Goal, ...]
    origin: RunOrigin
    limits: tuple[Limit, ...] = ()
    axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    save_to: Path | None = None
    resumed: BenchmarkReport | None = None


def run_tuning(
    model: AdaptedModel | Path,
    inputs: object,
    request: TuningRequest,
    configuration: Configuration,
    registry: EngineRegistry,
    progress: ProgressCallback | None = None,
) -> TuningReport:
    """Search a space.

    Parameters
    ----------
    model
        An adapted model, or the path of an ``.onnx`` file.
    inputs
        Example inputs for an ``.onnx`` file; an adapted model has its own.
    request
        What to search.
    configuration
        The effective settings.
    registry
        The engines.
    progress
        Called with every step.

    Raises
    ------
    UsageError
        An axis, an option or a size is not possible, or the tuning to resume is another
        one.
    ModelError
        The model does not run with these inputs.
    """
    if request.space.has(INSTANCES):
        raise UsageError(
            "instances are varied to maximize the rate of requests.",
            hint="Add --maximize rate --slo 'p99<=50ms'. A single caller uses one instance.",
        )
    plan = plan_of(request, configuration, registry)
    asked = search_of(request, plan)
    if plan.is_sampled:
        check_sampler(plan.space, plan.size, plan.most)
    if request.resumed is not None:
        model_name = model.stem if isinstance(model, Path) else model.model_name
        check_same_model(request.resumed, model_name, request.origin.input_options)
    finished = finished_before(request.resumed, plan, asked)
    if request.resumed is not None and len(finished) >= min(plan.size, plan.most):
        return TuningReport.of(request.resumed)
    sampler = _sampler(request, plan) if plan.is_sampled else None
    models = SizedModels(model, inputs, request.axes)
    selection = models.assign(plan.select(_first(plan, finished, sampler)), plan.points)
    make: Callable[..., TuningRun] = TuningRun
    if sampler is not None:
        suggesting = _SamplerOfRun(plan=plan, suggestions=sampler, models=models)
        make = partial(SampledRun, sampler=suggesting)
    run = make(
        *models.first,
        selection,
        plan.settings,
        progress,
        others=models.new(),
        goals=request.goals,
        limits=request.limits,
        on_step=lambda run: save_so_far(run) if request.save_to else None,
        resumed=request.resumed,
    )

    def save_so_far(run: TuningRun) -> None:
        # What is measured is worth more than the file: that of the whole says why it fails.
        with suppress(OutputFileError):
            save_tuning(report_of(run), request.save_to)

    def report_of(run: TuningRun) -> TuningReport:
        report = report_of_rows(run.outcome(), models, request, plan, configuration, registry)
        judgement = Judgement(
            goals=request.goals,
            limits=request.limits,
            tie=plan.settings.tie,
            departures=run.departures,
            finalists=run.finalists,
            tied=run.tied,
        )
        search = attrs.evolve(asked, race_rounds=run.race_rounds, race_samples=run.race_blocks)
        return _judged(report, judgement, plan, finished, request, search)

    run.execute()
    return report_of(run)


def search_of(request: TuningRequest, plan: Plan) -> Tuning:
    """Return what is searched, before anything was measured."""
    return Tuning(
        goals=tuple(map(str, request.goals)),
        limits=tuple(map(str, request.limits)),
        bounds={limit.figure.name: limit.bound for limit in request.limits},
        vary={str(axis): axis.values for axis in request.space.axes},
        space_size=plan.size,
    )


def report_of_rows(
    outcome: RunOutcome,
    models: SizedModels,
    request: TuningRequest,
    plan: Plan,
    configuration: Configuration,
    registry: EngineRegistry,
) -> BenchmarkReport:
    """Return a report with a row per configuration, before these are judged."""
    origin = request.origin
    if origin.live_model is not None:
        resized = origin.live_model.with_resize(
            lambda label, adapted: resized_model(adapted, plan.points[label].sizes, request.axes)
        )
        origin = attrs.evolve(origin, live_model=resized)
    return assemble_report(
        attrs.evolve(outcome, batch_size=None) if models.differ else outcome,
        plan.settings,
        origin,
        configuration,
        registry,
    )


def plan_of(request: TuningRequest, configuration: Configuration, registry: EngineRegistry) -> Plan:
    """Return the configurations that a request and the settings describe."""
    settings = configuration.settings
    base = select_cases(
        registry,
        settings.engines,
        settings.device,
        tables=configuration.engines,
        named_in=str(configuration.setting_origins["engines"]),
        precisions=() if request.space.has(PRECISION) else settings.precision or (),
    )
    choices = [_choice_of(case) for case in (*base.cases, *(case for case, _ in base.failures))]
    names = {axis for named in request.axes.values() for axis in named.values()}
    request.space.check([choice.name for choice in choices], names)
    return Plan(
        request.space,
        choices,
        settings,
        lambda chosen: select_cases(
            registry, chosen, settings.device, tables=configuration.engines
        ),
        base.notes,
    )


def _choice_of(case: Case) -> EngineChoice:
    precision = {PRECISION: case.precision} if case.precision else {}
    return EngineChoice(
        case.engine,
        {**case.options, **precision},
        case.label if case.label != case.engine else "",
    )


@frozen(kw_only=True, eq=False)
class _SamplerOfRun:
    """Suggests the configurations of a plan as the cases and models of a run."""

    plan: Plan
    suggestions: Suggestions
    models: SizedModels

    def more(self, count: int) -> tuple[CaseSelection, Mapping[str, ModelUnderTest]]:
        wanted = min(count, self.plan.most - len(self.plan.numbers))
        numbers = self.suggestions.next(max(0, wanted))
        if not numbers:
            return CaseSelection(cases=(), engines={}), {}
        selection = self.models.assign(self.plan.select(numbers), self.plan.points)
        return selection, self.models.new()

    def tell(self, label: str, costs: Sequence[float] | None) -> None:
        self.suggestions.tell(self.plan.numbers[label], costs)


def _sampler(request: TuningRequest, plan: Plan) -> Suggestions:
    """Return a sampler that knows what an earlier run found."""
    resumed = request.resumed
    known = () if resumed is None or resumed.tuning is None else resumed.tuning.configurations
    assert plan.settings.seed is not None
    sampler = Suggestions(
        plan.space,
        plan.choices,
        goals=len(request.goals),
        seed=plan.settings.seed + len(known),
    )
    for each in known:
        assert resumed is not None
        cannot_win = each.fate in ("over_limit", "failed", "unsupported")
        costs = [goal.log_cost(resumed[each.label]) for goal in request.goals]
        known_costs = [cost for cost in costs if cost is not None]
        is_known = not cannot_win and len(known_costs) == len(costs)
        sampler.tell(plan.numbers[each.label], known_costs if is_known else None)
    return sampler


def _first(
    plan: Plan, finished: Mapping[str, TuningConfiguration], sampler: Suggestions | None
) -> list[int]:
    """Return the configurations that race first: those that an earlier run left undecided."""
    if plan.numbers and (sampler is None or len(finished) < len(plan.numbers)):
        return [number for label, number in plan.numbers.items() if label not in finished]
    if sampler is None:
        return list(range(plan.size))
    count = min(BATCH_OF_SAMPLER, plan.most - len(plan.numbers))
    if plan.numbers:
        return sampler.next(count)
    sampler.add(0)  # the baseline
    return [0, *sampler.next(count - 1)]


def _judged(
    report: BenchmarkReport,
    judgement: Judgement,
    plan: Plan,
    finished: Mapping[str, TuningConfiguration],
    request: TuningRequest,
    search: Tuning,
) -> TuningReport:
    measured = tuple(map(plan.configuration_of, report.results))
    decided = {each.label: each for each in judge_configurations(report, measured, judgement)}
    rows = {row.label: row for row in report.results}
    if request.resumed is not None:
        decided |= finished
        rows |= {label: request.resumed[label] for label in finished}
    tried = sorted(rows, key=lambda label: plan.numbers[label])
    configurations = tuple(decided[label] for label in tried)
    whole = attrs.evolve(report, results=tuple(rows[label] for label in tried))
    return TuningReport.of(
        attrs.evolve(
            whole,
            sentences=tuning_sentences(
                whole, configurations, request.goals, request.limits, plan.size
            ),
            tuning=attrs.evolve(search, configurations=configurations),
        )
    )


def checked_destination(path: str | PathLike[str] | None) -> Path | None:
    """Check that a tuning can be saved to a file, before anything is measured.

    Raises
    ------
    UsageError
        It is not a ``.lexer`` file.
    OutputFileError
        It cannot be written.
    """
    if path is None:
        return None
    destination = Path(path)
    if destination.suffix.lower() != SUFFIX:
        possible = destination.parent / f"{destination.stem or 'tuned'}{SUFFIX}"
        raise UsageError(
            f"a tuning is saved to a {SUFFIX} file, not to {str(path)!r}.",
            hint=f"Write {str(possible)!r}.",
        )
    check_writable(destination)
    return destination


def save_tuning(report: TuningReport, path: Path | None) -> None:
    """Save a tuning, unless it was interrupted before anything was measured."""
    if path is None or (report.results and all(map(is_interrupted, report))):
        return
    save_as_set(report, path)
