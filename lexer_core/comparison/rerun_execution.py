"""Has a model become slower, measured together with the base's models?

This is the strongest check: the base's models run again, on this machine and in
the same rounds as the new model, so the machine and its state cancel out of the
ratio.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.artifact.write import save_as_set
from lexer_core.benchmark.run import BenchmarkRun
from lexer_core.build_report import RunOrigin, assemble_report
from lexer_core.comparison.base_location import BaseLocation
from lexer_core.comparison.changes import wrong_base
from lexer_core.comparison.conditions import QUIET_THRESHOLD, check_threshold
from lexer_core.comparison.judging import judge_pair
from lexer_core.comparison.loading import LoadedRun, load_run
from lexer_core.comparison.records import ComparedRun, ComparisonMethod, RunPair
from lexer_core.comparison.rerun_inputs import recreate_inputs
from lexer_core.comparison.rerun_models import base_models, split_run
from lexer_core.comparison.rerun_plan import BASE_EXPORTS, BASE_MODEL, RerunPlan, plan_rerun
from lexer_core.comparison.rerun_verdicts import judge_rerun, output_difference
from lexer_core.comparison.run_comparison import RunComparison
from lexer_core.context import LexerContext
from lexer_core.errors import InputError, SettingError
from lexer_core.machine.affinity import usable_threads
from lexer_core.machine.memory import return_freed_memory
from lexer_core.model.model_input import adapt_model_input
from lexer_core.output_files import check_writable
from lexer_core.settings.table import DEFAULT, resolve_settings
from lexer_core.target.example_inputs import ExampleInputs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.report import BenchmarkReport
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.table import Settings

__all__ = ["RerunResult", "execute_rerun"]

_INHERITED = ("launches", "exporter", "opset", "onnx_checks", "rtol", "atol")
"""Settings taken from the base unless they are set elsewhere."""

_ROW_SETTINGS = ("engines", "device")
"""Settings that choose the rows; in a rerun, the base does."""

_THRESHOLD_REASON = "both models were measured in the same rounds"


@frozen(kw_only=True, eq=False)
class RerunResult:
    """The result of a rerun.

    Parameters
    ----------
    comparison
        The verdicts.
    new
        The new model's rows: a complete report, which may be the next base.
    base
        The base's rows, measured again, with their labels in the base.
    """

    comparison: RunComparison
    new: BenchmarkReport
    base: BenchmarkReport


def execute_rerun(
    base: BenchmarkReport | LoadedRun | str | os.PathLike[str],
    torch_model: Any,
    input: object = None,
    *,
    base_model: Any = None,
    threshold: float | None = None,
    save: str | os.PathLike[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    context: LexerContext | None = None,
    progress: ProgressCallback | None = None,
    command: str = "",
    target: str = "",
    **settings: Any,
) -> RerunResult:
    """Do what :func:`lexer_core.comparison.rerun` does, and return the measured rows as well.

    ``base`` may be a loaded run, ``input`` an :class:`ExampleInputs`; ``target`` is the
    TARGET of the command line, for the report.
    """
    # Check everything that can be checked without running a model first.
    if threshold is not None:
        check_threshold(threshold)
    for setting in _ROW_SETTINGS:
        if settings.get(setting) is not None:
            raise SettingError(
                f"a rerun does not accept {setting!r}: it measures the rows of its base.",
                hint="Use another base, or compare two saved runs.",
            )
    if save is not None:
        check_writable(Path(save))
    if isinstance(base_model, str):
        base_model = BaseLocation.find(base_model)
    loaded = base if isinstance(base, LoadedRun) else load_run(base, "base")
    name = Path(loaded.run.path).name if loaded.run.path else "the base"
    context = context or LexerContext()
    registry = context.registry
    plan = plan_rerun(loaded.report, registry, with_model=base_model is not None, name=name)
    configuration = context.configuration(torch_model, **settings)
    effective, notes = _settings(configuration, loaded.report)
    if input is None:
        inputs = recreate_inputs(loaded.report)
    else:
        inputs = input if isinstance(input, ExampleInputs) else ExampleInputs(value=input)
    if inputs.seed is not None and configuration.setting_origins["seed"] == DEFAULT:
        effective = attrs.evolve(effective, seed=inputs.seed)
    notes += filter(None, [inputs.note])
    with _base_inputs_in_errors(loaded):
        model = adapt_model_input(
            torch_model,
            inputs.value,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes={},
        )
    others = base_models(
        plan,
        name,
        base_model,
        inputs.value,
        effective,
        input_names=input_names,
        output_names=output_names,
    )
    origin = RunOrigin(command=command, target=target, input_options=inputs.options)
    base_origin = attrs.evolve(origin, command=loaded.report.command, target=loaded.report.target)
    run = BenchmarkRun(
        model, inputs.value, plan.selection, effective, progress, others=others
    ).execute()
    new, remeasured = (
        assemble_report(part, effective, part_origin, configuration, registry)
        for part, part_origin in zip(split_run(run, plan), (origin, base_origin), strict=True)
    )
    return_freed_memory()
    if save is not None:
        save_as_set(new, Path(save))
    pair = _judge(loaded, run, plan, new=new, base=remeasured, threshold=threshold, save=save)
    notes += [*_base_notes(run, plan, name), *_version_notes(loaded.report, new)]
    pair = attrs.evolve(pair, notes=(*pair.notes, *notes))
    any_rerun = any(case.method == "rerun" for case in pair.cases)
    method: ComparisonMethod = "rerun" if any_rerun else "canary"
    comparison = RunComparison(pairs=(pair,), method=method)
    return RerunResult(comparison=comparison, new=new, base=remeasured)


def _judge(
    loaded: LoadedRun,
    run: RunOutcome,
    plan: RerunPlan,
    *,
    new: BenchmarkReport,
    base: BenchmarkReport,
    threshold: float | None,
    save: str | os.PathLike[str] | None,
) -> RunPair:
    """Judge all rows by their saved samples first, then those of the rerun by its rounds."""
    title = "new" if save is None else Path(save).stem
    if title == loaded.run.title:
        title = f"{title} (again)"
    new_run = ComparedRun(
        title=title,
        path="" if save is None else str(save),
        model_name=new.model_name,
        created_at=new.created_at,
        cpu_model=new.environment.cpu_model,
    )
    saved = judge_pair(loaded, LoadedRun(report=new, run=new_run), threshold=threshold)
    pair = judge_rerun(
        saved,
        run,
        plan,
        base=base,
        new=new,
        threshold=QUIET_THRESHOLD if threshold is None else threshold,
    )
    pair = _without_wrong_base(pair, loaded.report, run, plan, new)
    if threshold is None:
        return attrs.evolve(pair, threshold_reason=_THRESHOLD_REASON)
    return pair


def _without_wrong_base(
    pair: RunPair, base: BenchmarkReport, run: RunOutcome, plan: RerunPlan, new: BenchmarkReport
) -> RunPair:
    """Withdraw the verdicts on rows for which the new model was compared with itself."""
    problem = wrong_base(base, run.other_fingerprints.get(BASE_MODEL, {}), new)
    if not problem:
        return pair
    labels = {case.paired_with for case in plan.selection.cases if case.model == BASE_MODEL}
    cases = [
        attrs.evolve(case, verdict="NOT COMPARABLE", ratio=None, reason=problem)
        if case.label in labels
        else case
        for case in pair.cases
    ]
    return attrs.evolve(pair, cases=cases, wrong_base=problem)


def _settings(configuration: Configuration, base: BenchmarkReport) -> tuple[Settings, list[str]]:
    """Return the effective settings, with the base's as defaults, and notes on them."""
    of_base = {name: base.settings.get(name) for name in _INHERITED}
    notes = []
    threads = next((row.threads for row in base.results if row.threads is not None), None)
    if threads is not None:
        of_base["threads"] = usable = min(threads, usable_threads())
        if usable < threads:
            notes.append(
                f"the base used {threads} threads, but only {usable} are available: "
                f"both models used {usable}"
            )
    of_base |= {name: base.settings.get(name) for name in _ROW_SETTINGS}
    base_settings, base_origins = resolve_settings([("the base", of_base)])
    inherited = {
        name: getattr(base_settings, name)
        for name in of_base
        if name in _ROW_SETTINGS
        or (base_origins[name] != DEFAULT and configuration.setting_origins[name] == DEFAULT)
    }
    return attrs.evolve(configuration.settings, **inherited), notes


@contextmanager
def _base_inputs_in_errors(loaded: LoadedRun) -> Iterator[None]:
    """Add the base's inputs to the error if a model does not accept the inputs."""
    try:
        yield
    except InputError as error:
        specs = ", ".join(map(str, loaded.report.input_specs))
        raise InputError(
            error.message,
            hint=f"{error.hint}\nThe base was measured with {specs}.\n"
            "Use inputs that both models accept.",
        ) from error


def _base_notes(run: RunOutcome, plan: RerunPlan, name: str) -> list[str]:
    """Return a note if the base's TARGET is not the model saved in the base."""
    outcomes = {outcome.case.label: outcome for outcome in run.cases}
    of_base = [outcomes[label] for label in plan.base_labels.values()]
    target = next((each for each in of_base if each.case.model == BASE_MODEL), None)
    saved = next((each for each in of_base if each.case.model == BASE_EXPORTS), None)
    difference = output_difference(target, saved) if target and saved else ""
    if not difference:
        return []
    what = f"the base's TARGET is not the model saved in {name}, or has different weights"
    return [f"{what}: outputs {difference}"]


def _version_notes(base: BenchmarkReport, new: BenchmarkReport) -> list[str]:
    """Return a note if engine versions changed, which a rerun cannot see."""
    if base.environment.engines == new.environment.engines:
        return []
    what = "engine versions changed since the base was saved"
    return [f"{what}; both models ran with the current ones, so the ratios do not show it"]
