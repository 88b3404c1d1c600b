"""``lexer compare --rerun``: how is a base measured again from the command line?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lexer_core.cli.command_settings import command_configuration, lexer_context
from lexer_core.cli.main import DONE, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.options import (
    COMMON_SETTINGS,
    command_words,
    given_settings,
    input_options,
    name_list,
    setting_options,
)
from lexer_core.cli.sigint import exits_at_once_until_a_run_begins
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.choice import EngineChoice
from lexer_core.errors import TargetError, UsageError
from lexer_core.reporting.progress import ProgressDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.comparison.rerun_execution import RerunResult
    from lexer_core.report import BenchmarkReport
    from lexer_core.target.example_inputs import ExampleInputs

__all__ = [
    "BASE_OPTIONS",
    "INPUT_OPTIONS",
    "RERUN_SETTINGS",
    "refuse_rerun_options",
    "rerun_from_options",
    "rerun_options",
    "rerun_status",
]

RERUN_SETTINGS = (
    "num_iterations",
    "margin",
    "max_seconds",
    "min_seconds",
    "tails",
    "warm_up_seconds",
    "rounds",
    "launches",
    "threads",
    "isolation",
    *COMMON_SETTINGS,
)
BASE_OPTIONS = ("base_target", "base_folder", "save")
INPUT_OPTIONS = ("described", "inputs_file", "batch_size", "seed", "input_names", "output_names")
_RERUN_ONLY = (*BASE_OPTIONS, *INPUT_OPTIONS, *RERUN_SETTINGS)
_BASE_AND_TARGET = 2


def rerun_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add ``--rerun`` and the options that require it."""
    for option in reversed(
        (
            click.option(
                "--rerun",
                is_flag=True,
                help="Measure the base's exported models again, interleaved with the model that "
                "TARGET names: lexer compare --rerun base.lexer net.py:Net. All options below "
                "require this one. Inputs, launches, threads, export settings and tolerances "
                "default to those of the base.",
            ),
            click.option(
                "--base-target",
                metavar="TARGET",
                help="The base's own model, e.g. ../base/net.py:Net, for rows whose model is not "
                "saved in the base (Torch). Without it, their saved samples are compared relative "
                "to the reference workload.",
            ),
            click.option(
                "--base-folder",
                metavar="FOLDER",
                help="A checkout of the base, e.g. ../base. --base-target (or else TARGET) is "
                "loaded there, as if Lexer ran in that folder.",
            ),
            click.option(
                "--save",
                metavar="FILE.lexer",
                help="Save the new model's results, as the next base.",
            ),
            input_options,
            setting_options(*RERUN_SETTINGS),
        )
    ):
        command = option(command)
    return command


def rerun_from_options(
    context: click.Context,
    runs: Sequence[str],
    threshold: float | None,
    options: Mapping[str, Any],
) -> RerunResult:
    """Run a rerun as the command line requests it.

    Parameters
    ----------
    context
        The context of the command.
    runs
        The base's file, and TARGET.
    threshold
        Smallest slowdown that counts, as a fraction.
    options
        The options that :func:`rerun_options` adds.

    Raises
    ------
    UsageError
        Options conflict.
    LexerError
        As :func:`lexer_core.comparison.rerun`.
    """
    if len(runs) != _BASE_AND_TARGET:
        raise UsageError(
            f"--rerun needs a base and a TARGET, not {len(runs)} "
            f"argument{'' if len(runs) == 1 else 's'}.",
            hint="lexer compare --rerun base.lexer net.py:Net",
        )
    # They import numpy, which --help does not need.
    from lexer_core.comparison.base_location import BaseLocation
    from lexer_core.comparison.loading import load_run
    from lexer_core.comparison.rerun_execution import execute_rerun
    from lexer_core.comparison.rerun_inputs import recreate_inputs
    from lexer_core.target.example_inputs import example_inputs, read_request
    from lexer_core.target.load import load_target

    path, target = runs
    described, file = options["described"], options["inputs_file"]
    if options["batch_size"] is not None and not described:
        raise UsageError(
            "--batch-size requires --input.",
            hint="Without --input, both models get inputs of the base's shapes.",
        )
    seed = command_configuration({"seed": options["seed"]}).settings.seed or 0
    request = read_request(described, file, options["batch_size"], seed)
    base = load_run(path, Path(path).stem)
    settings = {name: options[name] for name in RERUN_SETTINGS}
    inputs = None if described or file else recreate_inputs(base.report)
    # Recreated inputs use the base's seed unless one is set.
    settings["seed"] = options["seed"] if inputs else seed
    weights_seed = settings["seed"] if settings["seed"] is not None else base.report.seed
    base_model = None
    if options["base_target"] is not None or options["base_folder"] is not None:
        if options["base_target"] is None:
            _check_other_model(target, options["base_folder"])
        # Before TARGET is loaded, which changes sys.path.
        base_model = BaseLocation.find(
            options["base_target"] or target, options["base_folder"], seed=weights_seed
        )
    with exits_at_once_until_a_run_begins(), stdout_to_stderr():
        loaded = load_target(target, seed=weights_seed)
        inputs = inputs or example_inputs(loaded, request)
        with ProgressDisplay() as progress:
            return execute_rerun(
                base,
                loaded.model,
                inputs,
                base_model=base_model,
                threshold=threshold,
                save=options["save"],
                input_names=name_list(options["input_names"]),
                output_names=name_list(options["output_names"]),
                context=lexer_context(context),
                progress=progress,
                command=_benchmark_command(context, target, base.report, inputs),
                target=target,
                **given_settings(settings),
            )


def _check_other_model(target: str, folder: str) -> None:
    """Refuse a folder in which TARGET is the same file as here.

    Raises
    ------
    TargetError
        It is.
    """
    from lexer_core.target.factory_call import parse_factory_call

    call = parse_factory_call(target)
    where = call.where if call is not None else target
    part = where if where.endswith(".py") else "."
    if (Path(folder) / part).resolve() != Path(part).resolve():
        return
    raise TargetError(
        f"with --base-folder {folder}, the base's TARGET {target!r} is the new model itself.",
        hint="Name the base's own model: --base-target path/to/file.py:Class. "
        "Or name another checkout: --base-folder ../base.",
    )


def rerun_status(result: RerunResult) -> int:
    """Return the exit status of a rerun: not 0 if it was interrupted or measured nothing."""
    if result.new.stopped_because == "interrupted":
        return INTERRUPTED
    return DONE if any(row.status == "ok" for row in result.new) else NOTHING_MEASURED


def refuse_rerun_options(context: click.Context) -> None:
    """Refuse options that require ``--rerun``.

    Raises
    ------
    UsageError
        One of them was used.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is ParameterSource.COMMANDLINE and parameter.name in _RERUN_ONLY:
            raise UsageError(
                f"{max(parameter.opts, key=len)} requires --rerun.",
                hint="Without --rerun, Lexer compares saved runs: "
                "lexer compare base.lexer new.lexer",
            )


def _benchmark_command(
    context: click.Context, target: str, base: BenchmarkReport, inputs: ExampleInputs
) -> str:
    """Return the command that benchmarks the new model in the same way, without the base."""
    from lexer_core.comparison.rerun_plan import engine_options  # imports numpy

    others = [
        parameter.name or ""
        for parameter in context.command.params
        if parameter.name not in (*INPUT_OPTIONS, *RERUN_SETTINGS)
    ]
    words = command_words(context, without=others)
    if not {"--input", "--inputs"} & set(words):
        words += [word for each in inputs.options for word in ("--input", each)]
    if inputs.seed is not None and "--seed" not in words:
        words += ["--seed", str(inputs.seed)]
    engines = base.settings.get("engines")
    if not isinstance(engines, list):  # none were named: use those that ran
        engines = [str(EngineChoice(row.engine_name, engine_options(row))) for row in base.results]
    words += [word for each in engines for word in ("--engine", str(each))]
    return shlex.join(["lexer", "benchmark", target, *words])
