"""How is a plan executed on this machine?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lexer_core.artifact.write import save_as_set
from lexer_core.context import LexerContext
from lexer_core.engines.choice import parse_engine_choice
from lexer_core.errors import UsageError
from lexer_core.target.example_inputs import example_inputs, read_request
from lexer_core.target.load import load_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.load_report import LoadReport
    from lexer_core.report import BenchmarkReport
    from lexer_core.run_plan.record import RunPlan
    from lexer_core.target.example_inputs import InputRequest

__all__ = ["execute_load_test", "execute_plan"]


def execute_plan(
    plan: RunPlan,
    *,
    context: LexerContext | None = None,
    progress: ProgressCallback | None = None,
    save_to: Path | None = None,
    resume: str | None = None,
    command: str = "",
) -> BenchmarkReport:
    """Measure what a plan says, in this process and on this machine.

    Loads the user's code, unless all targets are files.

    Parameters
    ----------
    plan
        What to measure.
    context
        The engines and settings of an embedding program.
    progress
        Called with every step. Default: a display, if the settings say so.
    save_to
        A ``.lexer`` file for the result. A tuning also writes it as it goes on.
    resume
        The result of the same tuning, interrupted, which goes on.
    command
        The command line that repeats it, for the report.

    Returns
    -------
    BenchmarkReport
        The result; of a tuning, a :class:`~lexer_core.tuning_report.TuningReport`.

    Raises
    ------
    UsageError
        A target, input, engine or setting is wrong.
    ModelError
        The model does not run with these inputs.
    OutputFileError
        ``save_to`` cannot be written.
    """
    context = context or LexerContext()
    if plan.is_tuning:
        if len(plan.targets) > 1:
            raise UsageError("a tuning has one target.", hint="Write a run for each model.")
        return context.tune(
            **_single_model(plan, progress, command),
            vary=plan.vary,
            minimize=plan.minimize,
            maximize=plan.maximize,
            limits=plan.limits,
            slo=plan.slo,
            save_to=save_to,
            resume=resume,
        )
    seed = _seed(plan)
    request = read_request(plan.inputs, plan.inputs_file, plan.batch_size, seed)
    second = _second_request(plan.second_inputs, plan.batch_size, seed)
    loaded = [load_target(target, seed=seed) for target in plan.targets]
    inputs = [example_inputs(each, request) for each in loaded]
    report = context.benchmark(
        torch_model=loaded[0].model
        if len(loaded) == 1
        else {
            target: (each.model, its.value)
            for target, each, its in zip(plan.targets, loaded, inputs, strict=True)
        },
        input=inputs[0].value,
        input_options=inputs[0].options,
        second_input=None if second is None else example_inputs(loaded[0], second).value,
        interpreters=plan.interpreters,
        batch_size=plan.batch_size,
        target=plan.targets[0] if len(plan.targets) == 1 else "",
        **_common(plan, progress, command),
    )
    if save_to is not None:
        save_as_set(report, save_to)
    return report


def execute_load_test(
    plan: RunPlan, *, context: LexerContext, command: str = "", **load: Any
) -> LoadReport:
    """Test the one model of a plan under load.

    Parameters
    ----------
    plan, context, command
        As for :func:`execute_plan`.
    **load
        The limit, rates and instances: arguments of :meth:`LexerContext.load`.
    """
    return context.load(**_single_model(plan, None, command), **load)


def _seed(plan: RunPlan) -> int:
    return cast("int", plan.settings.get("seed") or 0)


def _common(plan: RunPlan, progress: ProgressCallback | None, command: str) -> dict[str, Any]:
    """Return the arguments that every method of the context takes."""
    return {
        "input_names": list(plan.input_names) or None,
        "output_names": list(plan.output_names) or None,
        "progress": progress,
        "command": command,
        "print_report": False,
        **_with_choices(plan.settings),
    }


def _single_model(plan: RunPlan, progress: ProgressCallback | None, command: str) -> dict[str, Any]:
    """Return these, and the model, inputs and target of a plan with one target."""
    seed = _seed(plan)
    request = read_request(plan.inputs, plan.inputs_file, plan.batch_size, seed)
    loaded = load_target(plan.targets[0], seed=seed)
    inputs = example_inputs(loaded, request)
    return {
        "torch_model": loaded.model,
        "input": inputs.value,
        "input_options": inputs.options,
        "target": plan.targets[0],
        **_common(plan, progress, command),
    }


def _with_choices(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings with the engines parsed."""
    engines = settings.get("engines")
    if engines is None or isinstance(engines, str):
        return dict(settings)
    choices = [parse_engine_choice(text) for text in cast("Sequence[str]", engines)]
    return {**settings, "engines": choices}


def _second_request(
    described: Sequence[str], batch_size: int | None, seed: int
) -> InputRequest | None:
    """Read the values of --second-input; ``None`` if there are none."""
    if not described:
        return None
    files = [text for text in described if text.endswith(".npz")]
    if files and len(described) > 1:
        raise UsageError(
            f"--second-input is given {len(described)} times, once as the file {files[0]}.",
            hint="Write one file, or describe every input.",
        )
    # Another seed, or the same description would generate the same values.
    return read_request(
        () if files else described, files[0] if files else None, batch_size, seed + 1
    )
