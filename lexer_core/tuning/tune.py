"""How is a space searched, from the user's model to a report?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.artifact.write import SUFFIX, save
from lexer_core.benchmark.cases import select_cases
from lexer_core.benchmark.hosted_models import hosted_model
from lexer_core.build_report import assemble_report
from lexer_core.engines.choice import EngineChoice
from lexer_core.errors import UsageError
from lexer_core.output_files import check_writable
from lexer_core.results.tuning import Tuning, TuningConfiguration
from lexer_core.tuning.judging import Judgement, judge_configurations
from lexer_core.tuning.resize import resized_model, resized_onnx_inputs
from lexer_core.tuning.run import TuningRun
from lexer_core.tuning.sentences import tuning_sentences
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.deploy.row_model import LiveModel
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.report import BenchmarkReport
    from lexer_core.settings.layers import Configuration
    from lexer_core.tuning.goals import Goal, Limit
    from lexer_core.tuning.space import Point, Space

__all__ = ["TuningRequest", "checked_destination", "run_tuning"]

_FINAL = ("slower", "over_limit", "failed", "unsupported")
"""Fates that a resumed tuning does not look at again."""


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
    command, target, input_options
        As for :meth:`LexerContext.benchmark`.
    live_model
        The user's model, to save rows of engines that run it live.
    """

    space: Space
    goals: tuple[Goal, ...]
    limits: tuple[Limit, ...] = ()
    axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    save_to: Path | None = None
    resumed: BenchmarkReport | None = None
    command: str = ""
    target: str = ""
    input_options: Sequence[str] = ()
    live_model: LiveModel | None = None


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
    settings = configuration.settings
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    plan = _plan(request, configuration, registry)
    finished = _finished(request, plan)
    remaining = [label for label in plan.points if label not in finished]
    if not remaining:
        assert request.resumed is not None
        return TuningReport.of(request.resumed)
    selection = plan.select(remaining)
    hosted = {
        sizes: _sized(model, inputs, sizes, request.axes)
        for sizes in dict.fromkeys(plan.points[case.label].sizes for case in selection.cases)
    }
    first, *others = hosted
    run = TuningRun(
        *hosted[first],
        _with_models(selection, plan.points, first),
        settings,
        progress,
        others={_key(sizes): hosted_model(*hosted[sizes], title=_key(sizes)) for sizes in others},
        goals=request.goals,
        limits=request.limits,
        on_step=lambda run: _save(report_of(run), request.save_to),
    )

    def report_of(run: TuningRun) -> TuningReport:
        outcome = run.outcome()
        report = assemble_report(
            attrs.evolve(outcome, batch_size=None) if len(hosted) > 1 else outcome,
            settings,
            engines=registry.listings(),
            created_at=created_at,
            command=request.command,
            target=request.target,
            input_options=request.input_options,
            # Its inputs are those of the user, so only for configurations with the same.
            live_model=request.live_model if list(hosted) == [()] else None,
            notes=(*configuration.origin_notes, *configuration.notes),
        )
        judgement = Judgement(
            goals=request.goals,
            limits=request.limits,
            tie=settings.tie,
            departures=run.departures,
            finalists=run.finalists,
            tied=run.tied,
        )
        return _judged(report, judgement, plan, finished, request, run)

    run.execute()
    report = report_of(run)
    _save(report, request.save_to)
    return report


@frozen(kw_only=True, eq=False)
class _Plan:
    """The cases of a space, and the point of each by label."""

    selection: CaseSelection
    points: Mapping[str, Point]

    def select(self, labels: Sequence[str]) -> CaseSelection:
        chosen = set(labels)
        return attrs.evolve(
            self.selection,
            cases=tuple(case for case in self.selection.cases if case.label in chosen),
            failures=tuple(
                (case, error) for case, error in self.selection.failures if case.label in chosen
            ),
        )


def _plan(request: TuningRequest, configuration: Configuration, registry: EngineRegistry) -> _Plan:
    settings = configuration.settings
    base = select_cases(
        registry,
        settings.engines,
        settings.device,
        tables=configuration.engines,
        named_in=str(configuration.setting_origins["engines"]),
    )
    choices = [
        EngineChoice(case.engine, case.options, case.label if case.label != case.engine else "")
        for case in (*base.cases, *(case for case, _ in base.failures))
    ]
    names = {axis for named in request.axes.values() for axis in named.values()}
    request.space.check([choice.name for choice in choices], names)
    pairs = list(request.space.choices(choices))
    selection = select_cases(
        registry,
        [choice for choice, _ in pairs],
        settings.device,
        tables=configuration.engines,
    )
    return _Plan(
        selection=attrs.evolve(selection, notes=(*base.notes, *selection.notes)),
        points={choice.label: point for choice, point in pairs},
    )


def _with_models(
    selection: CaseSelection, points: Mapping[str, Point], first: tuple[tuple[str, int], ...]
) -> CaseSelection:
    def complete(case: Case) -> Case:
        point = points[case.label]
        return attrs.evolve(
            case,
            threads=point.threads,
            items=point.batch,
            model="" if point.sizes == first else _key(point.sizes),
        )

    return attrs.evolve(
        selection,
        cases=tuple(map(complete, selection.cases)),
        failures=tuple((complete(case), error) for case, error in selection.failures),
    )


def _key(sizes: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"{axis}={size}" for axis, size in sizes)


def _sized(
    model: AdaptedModel | Path,
    inputs: object,
    sizes: tuple[tuple[str, int], ...],
    axes: Mapping[str, Mapping[int, str]],
) -> tuple[AdaptedModel | Path, object]:
    if isinstance(model, Path):
        return model, resized_onnx_inputs(model, inputs, sizes)
    return resized_model(model, sizes, axes), inputs


def _finished(request: TuningRequest, plan: _Plan) -> dict[str, TuningConfiguration]:
    """Return the configurations that an earlier run has decided."""
    if request.resumed is None:
        return {}
    tuning = request.resumed.tuning
    if tuning is None:
        raise UsageError("the run to resume is a benchmark, not a tuning.")
    asked = tuple(map(str, request.goals)), tuple(map(str, request.limits)), _vary(request.space)
    saved = tuning.goals, tuning.limits, dict(tuning.vary)
    for what, mine, other in zip(("goals", "limits", "axes"), asked, saved, strict=True):
        if mine != other:
            raise UsageError(
                f"the run to resume has other {what}: {other}, not {mine}.",
                hint="Resume with the command that it was started with.",
            )
    labels = {each.label for each in tuning.configurations}
    if labels != set(plan.points):
        raise UsageError("the run to resume has other engines.", hint="Name the same engines.")
    if not any(each.fate == "not_reached" for each in tuning.configurations):
        return {each.label: each for each in tuning.configurations}
    return {each.label: each for each in tuning.configurations if each.fate in _FINAL}


def _vary(space: Space) -> dict[str, tuple[str, ...]]:
    return {str(axis): axis.values for axis in space.axes}


def _judged(
    report: BenchmarkReport,
    judgement: Judgement,
    plan: _Plan,
    finished: Mapping[str, TuningConfiguration],
    request: TuningRequest,
    run: TuningRun,
) -> TuningReport:
    points = {
        row.label: TuningConfiguration(
            label=row.label,
            engine=row.engine_name,
            batch=plan.points[row.label].batch,
            threads=plan.points[row.label].threads,
            shape=plan.points[row.label].shape,
            options=row.options,
        )
        for row in report.results
    }
    decided = {
        each.label: each for each in judge_configurations(report, tuple(points.values()), judgement)
    }
    rows = {row.label: row for row in report.results}
    if request.resumed is not None:
        decided |= finished
        rows |= {label: request.resumed[label] for label in finished}
    configurations = tuple(decided[label] for label in plan.points)
    whole = attrs.evolve(report, results=tuple(rows[label] for label in plan.points))
    return TuningReport.of(
        attrs.evolve(
            whole,
            sentences=tuning_sentences(whole, configurations, request.goals, request.limits),
            tuning=Tuning(
                goals=tuple(map(str, request.goals)),
                limits=tuple(map(str, request.limits)),
                vary=_vary(request.space),
                configurations=configurations,
                race_rounds=run.race_rounds,
                race_samples=run.race_blocks,
            ),
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
        raise UsageError(
            f"a tuning is saved to a {SUFFIX} file, not to {str(path)!r}.",
            hint=f"Write {str(destination.with_suffix(SUFFIX))!r}.",
        )
    check_writable(destination)
    return destination


def _save(report: TuningReport, path: Path | None) -> None:
    if path is not None:
        save(report, path)
