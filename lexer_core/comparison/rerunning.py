"""Has a model become slower, measured beside the base's own models?

The gate that is worth most: the base's exported models run again, on this
machine and in the same rounds as the new ones, so that neither the machine nor
its mood is in the ratio.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.comparison.conditions import QUIET_THRESHOLD
from lexer_core.comparison.records import (
    ComparedRun,
    ComparisonMethod,
    RunPair,
)
from lexer_core.comparison.rerun_inputs import recreate_inputs
from lexer_core.comparison.rerun_plan import BASE_EXPORTS, BASE_MODEL, RerunPlan, plan_rerun
from lexer_core.comparison.rerun_target import BaseTarget
from lexer_core.comparison.rerun_verdicts import judge_rerun, outputs_apart
from lexer_core.comparison.run_comparison import RunComparison
from lexer_core.errors import InputError, SettingError
from lexer_core.output_files import check_writable
from lexer_core.settings.table import DEFAULT, resolve_settings
from lexer_core.target.example_inputs import ExampleInputs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.comparison.loading import LoadedRun
    from lexer_core.context import LexerContext
    from lexer_core.report import BenchmarkReport
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.table import Settings

__all__ = ["Rerun", "measure_again"]

_TAKEN_OVER = ("launches", "exporter", "opset", "onnx_checks", "rtol", "atol")
"""Settings of the base that hold again, unless something says otherwise."""

_ROWS = ("engines", "device")
"""Settings that say which rows there are, which the base does here."""

_THRESHOLD_REASON = "both models took turns on one machine"


@frozen(kw_only=True, eq=False)
class Rerun:
    """What a rerun left behind.

    Parameters
    ----------
    comparison
        The verdicts.
    new
        The new model's rows: a benchmark like any other, which may be the next
        base.
    again
        The base's rows, measured again, under their labels in the base.
    """

    comparison: RunComparison
    new: BenchmarkReport
    again: BenchmarkReport


def measure_again(
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
    **settings: Any,
) -> Rerun:
    """Do what :func:`lexer_core.comparison.rerun` does; gives the measured rows as well."""
    # Imported on use: whoever reads a comparison measures nothing.
    from lexer_core.benchmark.run import BenchmarkRun
    from lexer_core.build_report import assemble_report
    from lexer_core.comparison.loading import LoadedRun, load_run
    from lexer_core.comparison.rerun_models import models_of_base, part_run
    from lexer_core.context import LexerContext
    from lexer_core.machine.memory import return_freed_memory
    from lexer_core.model.lexer_metadata import metadata_of
    from lexer_core.model.model_input import adapt_model_input, unwrap_compiled

    # What can be wrong without running anything comes first.
    _check_threshold(threshold)
    for setting in _ROWS:
        if settings.get(setting) is not None:
            raise SettingError(
                f"a rerun takes no {setting}: it measures the rows that its base has.",
                hint="Take another base, or compare two saved runs.",
            )
    if save is not None:
        check_writable(Path(save))
    if isinstance(base_model, str):
        base_model = BaseTarget.find(base_model)
    loaded = base if isinstance(base, LoadedRun) else load_run(base, "base")
    name = Path(loaded.shown.path).name if loaded.shown.path else "the base"
    context = context or LexerContext()
    registry = context.registry
    plan = plan_rerun(loaded.report, registry, with_model=base_model is not None, name=name)
    configuration = context.configuration(torch_model, **settings)
    holding, notes = _settings(configuration, loaded.report)
    if input is None:
        inputs = recreate_inputs(loaded.report)
    else:
        inputs = input if isinstance(input, ExampleInputs) else ExampleInputs(value=input)
    if inputs.seed is not None and configuration.setting_origins["seed"] == DEFAULT:
        holding = attrs.evolve(holding, seed=inputs.seed)
    notes += filter(None, [inputs.note])
    with _fitting(loaded):
        model = adapt_model_input(
            torch_model,
            inputs.value,
            metadata_of(unwrap_compiled(torch_model)),
            input_names=input_names,
            output_names=output_names,
            dynamic_axes={},
        )
    others = models_of_base(
        plan,
        name,
        base_model,
        inputs.value,
        holding,
        input_names=input_names,
        output_names=output_names,
    )
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    run = BenchmarkRun(
        model, inputs.value, plan.selection, holding, progress, others=others
    ).execute()
    new, again = (
        assemble_report(
            part,
            holding,
            engines=registry.listings(),
            created_at=created_at,
            command=text,
            input_options=inputs.options,
            notes=(*configuration.origin_notes, *configuration.notes),
        )
        for part, text in zip(part_run(run, plan), (command, loaded.report.command), strict=True)
    )
    return_freed_memory()
    if save is not None:
        from lexer_core.artifact.write import save_as_set  # only where something is saved

        save_as_set(new, Path(save))
    pair = _judge(loaded, run, plan, new=new, again=again, threshold=threshold, save=save)
    notes += [*_notes_on_base(run, plan, name), *_notes_on_changes(loaded.report, new)]
    pair = attrs.evolve(pair, notes=(*pair.notes, *notes))
    again_any = any(case.method == "rerun" for case in pair.cases)
    method: ComparisonMethod = "rerun" if again_any else "canary"
    return Rerun(comparison=RunComparison(pairs=(pair,), method=method), new=new, again=again)


def _judge(
    loaded: LoadedRun,
    run: RunOutcome,
    plan: RerunPlan,
    *,
    new: BenchmarkReport,
    again: BenchmarkReport,
    threshold: float | None,
    save: str | os.PathLike[str] | None,
) -> RunPair:
    """Judge by the canary first, and then by the rerun whatever took part in it."""
    from lexer_core.comparison.judging import judge_pair
    from lexer_core.comparison.loading import LoadedRun

    title = "new" if save is None else Path(save).stem
    if title == loaded.shown.title:
        title = f"{title} (again)"
    shown = ComparedRun(
        title=title,
        path="" if save is None else str(save),
        model_name=new.model_name,
        created_at=new.created_at,
        cpu_model=new.environment.cpu_model,
    )
    saved = judge_pair(loaded, LoadedRun(report=new, shown=shown), threshold=threshold)
    pair = judge_rerun(
        saved,
        run,
        plan,
        again=again,
        new=new,
        threshold=QUIET_THRESHOLD if threshold is None else threshold,
    )
    if threshold is None:
        return attrs.evolve(pair, threshold_reason=_THRESHOLD_REASON)
    return pair


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not (threshold > 0.0 and math.isfinite(threshold)):
        raise SettingError(
            f"the threshold is {threshold!r}; it must be above 0.", hint="0.05 is 5 %."
        )


def _settings(configuration: Configuration, base: BenchmarkReport) -> tuple[Settings, list[str]]:
    """Lay the settings of the base below all others; and what to say of them."""
    from lexer_core.machine.affinity import usable_threads

    of_base = {name: base.settings.get(name) for name in _TAKEN_OVER}
    notes = []
    wanted = next((row.threads for row in base if row.threads is not None), None)
    if wanted is not None:
        of_base["threads"] = usable = min(wanted, usable_threads())
        if usable < wanted:
            notes.append(
                f"the base was measured with {wanted} threads; here there are {usable}, "
                "for both models"
            )
    # What to measure on is the base's to say, whatever the configuration prefers.
    of_base |= {name: base.settings.get(name) for name in _ROWS}
    said, places = resolve_settings([("the base", of_base)])
    taken = {
        name: getattr(said, name)
        for name in of_base
        if name in _ROWS
        or (places[name] != DEFAULT and configuration.setting_origins[name] == DEFAULT)
    }
    return attrs.evolve(configuration.settings, **taken), notes


@contextmanager
def _fitting(loaded: LoadedRun) -> Iterator[None]:
    """Say what the base was measured with, where a model does not take the inputs."""
    try:
        yield
    except InputError as error:
        specs = ", ".join(map(str, loaded.report.input_specs))
        raise InputError(
            error.message,
            hint=f"{error.hint}\nThe base was measured with {specs}.\n"
            "Give inputs that both models take.",
        ) from error


def _notes_on_base(run: RunOutcome, plan: RerunPlan, name: str) -> list[str]:
    """Say it where the base's TARGET is not the model that the base holds."""
    cases = {outcome.case.label: outcome for outcome in run.cases}
    partners = [cases[partner] for partner in plan.partners.values()]
    made = next((each for each in partners if each.case.model == BASE_MODEL), None)
    kept = next((each for each in partners if each.case.model == BASE_EXPORTS), None)
    apart = outputs_apart(made, kept) if made is not None and kept is not None else ""
    if not apart:
        return []
    return [f"the base's TARGET is not the model in {name}, or has other weights: outputs {apart}"]


def _notes_on_changes(base: BenchmarkReport, new: BenchmarkReport) -> list[str]:
    """Say that a rerun does not see what both models have in common now."""
    if base.environment.engines == new.environment.engines:
        return []
    what = "the engines' versions are others than when the base was saved"
    return [f"{what}; both models were measured with today's, so the ratios do not show it"]
