"""``lexer compare --rerun``: how is a base measured again from the command line?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lexer_core.cli.here import configuration_here, lexer_context
from lexer_core.cli.main import DONE, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.options import (
    command_words,
    given_settings,
    input_options,
    name_list,
    setting_options,
)
from lexer_core.cli.streams import results_alone_on_stdout
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.comparison.rerunning import Rerun
    from lexer_core.records import OptionValue
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.target.example_inputs import ExampleInputs

__all__ = ["rerun_options", "run_again", "status_of_rerun"]

_SETTINGS = (
    "num_iterations",
    "precision",
    "max_seconds",
    "warm_up_seconds",
    "rounds",
    "launches",
    "threads",
    "isolation",
    "rtol",
    "atol",
    "load_timeout",
    "call_timeout",
    "memory_limit_mb",
    "exporter",
    "opset",
    "use_cache",
)
_OF_BASE = ("base_target", "base_folder", "keep")
_INPUTS = ("described", "inputs_file", "batch_size", "seed", "input_names", "output_names")
_OWN = (*_OF_BASE, *_INPUTS, *_SETTINGS)
_BASE_AND_TARGET = 2


def rerun_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add ``--rerun``, and the options that go with it alone."""
    for option in reversed(
        (
            click.option(
                "--rerun",
                is_flag=True,
                help="Measure the base's exported models again, taking turns with the model that "
                "TARGET names: lexer compare --rerun base.lexer net.py:Net. All options below are "
                "for this.",
            ),
            click.option(
                "--base-target",
                metavar="TARGET",
                help="The base's own model, for rows whose model the base does not hold (Torch), "
                "e.g. ../base/net.py:Net. Without it, they are compared through the canary.",
            ),
            click.option(
                "--base-folder",
                metavar="FOLDER",
                help="The base's checkout: --base-target, or TARGET without it, is loaded there "
                "as if Lexer had been called there, e.g. ../base.",
            ),
            click.option(
                "--save",
                "keep",
                metavar="FILE.lexer",
                help="Keep the new model's results, as the next base.",
            ),
            input_options,
            setting_options(*_SETTINGS),
        )
    ):
        command = option(command)
    return command


def run_again(
    context: click.Context,
    runs: Sequence[str],
    threshold: float | None,
    options: Mapping[str, Any],
) -> Rerun | None:
    """Carry out a rerun, if the command line asks for one.

    Parameters
    ----------
    context
        Of the command.
    runs
        The base's file, and TARGET.
    threshold
        Smallest slowdown that counts, as a share.
    options
        What :func:`rerun_options` added.

    Returns
    -------
    Rerun or None
        ``None`` where ``--rerun`` is not given.

    Raises
    ------
    UsageError
        Options do not fit each other.
    LexerError
        As :func:`lexer_core.comparison.rerun`.
    """
    if not options["rerun"]:
        _refuse_options(context)
        return None
    if len(runs) != _BASE_AND_TARGET:
        raise UsageError(
            f"--rerun needs a base and a TARGET, and {len(runs)} "
            f"argument{' was' if len(runs) == 1 else 's were'} given.",
            hint="lexer compare --rerun base.lexer net.py:Net",
        )
    # Not for --help.
    from lexer_core.cli.progress import ProgressLine
    from lexer_core.comparison.loading import load_run
    from lexer_core.comparison.rerun_inputs import recreate_inputs
    from lexer_core.comparison.rerun_target import BaseTarget
    from lexer_core.comparison.rerunning import measure_again
    from lexer_core.target.example_inputs import example_inputs, read_request
    from lexer_core.target.load import load_target

    path, target = runs
    described, file = options["described"], options["inputs_file"]
    own_inputs = bool(described or file)
    if options["batch_size"] is not None and not described:
        raise UsageError(
            "--batch-size goes with --input.",
            hint="Without it, both models get inputs of the base's shapes.",
        )
    # As for lexer benchmark: a command can be repeated as it is written.
    seed = configuration_here({"seed": options["seed"]}).settings.seed or 0
    request = read_request(described, file, options["batch_size"], seed)
    base_model = None
    if options["base_target"] is not None or options["base_folder"] is not None:
        # Before TARGET is loaded, which changes where modules are looked for.
        base_model = BaseTarget.find(options["base_target"] or target, options["base_folder"])
    base = load_run(path, Path(path).stem)
    settings = {name: options[name] for name in _SETTINGS}
    settings["seed"] = seed if own_inputs else options["seed"]
    inputs = None if own_inputs else recreate_inputs(base.report)
    with results_alone_on_stdout():
        loaded = load_target(target)
        inputs = inputs or example_inputs(loaded, request)
        with ProgressLine() as progress:
            return measure_again(
                base,
                loaded.model,
                inputs,
                base_model=base_model,
                threshold=threshold,
                save=options["keep"],
                input_names=name_list(options["input_names"]),
                output_names=name_list(options["output_names"]),
                context=lexer_context(context),
                progress=progress,
                command=_benchmark_command(context, target, base.report, inputs),
                **given_settings(settings),
            )


def status_of_rerun(done: Rerun) -> int:
    """Give the exit status where a rerun was broken off or came to nothing; else 0."""
    if done.new.stopped_because == "interrupted":
        return INTERRUPTED
    return DONE if any(row.status == "ok" for row in done.new) else NOTHING_MEASURED


def _refuse_options(context: click.Context) -> None:
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in _OWN:
            raise UsageError(
                f"{max(parameter.opts, key=len)} goes with --rerun.",
                hint="Saved runs are compared as they are: lexer compare base.lexer new.lexer",
            )


def _benchmark_command(
    context: click.Context, target: str, base: BenchmarkReport, inputs: ExampleInputs
) -> str:
    """Write the command that benchmarks the new model in the same way, without the base."""
    from lexer_core.engines.choice import EngineChoice  # as above

    others = [
        parameter.name or ""
        for parameter in context.command.params
        if parameter.name not in (*_INPUTS, *_SETTINGS)
    ]
    words = command_words(context, without=others)
    if not {"--input", "--inputs"} & set(words):
        words += [word for each in inputs.options for word in ("--input", each)]
    if inputs.seed is not None and "--seed" not in words:
        words += ["--seed", str(inputs.seed)]
    engines = base.settings.get("engines")
    if not isinstance(engines, list):  # none was named: these are what there was
        engines = [str(EngineChoice(row.engine_name, _options(row))) for row in base]
    words += [word for each in engines for word in ("--engine", str(each))]
    return shlex.join(["lexer", "benchmark", target, *words])


def _options(row: BenchmarkResult) -> dict[str, OptionValue]:
    return {
        name: value
        for name, value in row.options.items()
        if isinstance(value, (bool, int, float, str))
    }
