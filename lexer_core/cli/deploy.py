"""``lexer deploy``: how does a measured model get into a folder, ready to serve?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

__all__ = ["deploy"]


@click.command()
@click.argument("run", metavar="RUN.lexer")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--engine",
    "label",
    metavar="LABEL",
    help="The row to save, by its label or its engine. Default: the fastest row.",
)
@click.option("--force", is_flag=True, help="Replace FOLDER if it already has a deployment.")
@click.option(
    "--target",
    metavar="TARGET",
    help="The Torch model that was measured, e.g. net.py:Net, for engines that run it live "
    "(torch, torch-compile, torch-export): a saved run does not have it.",
)
def deploy(*, run: str, folder: str, label: str | None, force: bool, target: str | None) -> None:
    """Save a measured model to a folder, ready to serve.

    RUN is a file written by `lexer benchmark … -o run.lexer`. FOLDER gets the
    model, lexer.json (engine, settings, measured figures, checksums) and run.py,
    a short script that runs the model without Lexer. In Python,
    lexer_core.load("FOLDER") returns a ready session.

    \b
    Examples:
      lexer deploy run.lexer deploy/
      lexer deploy run.lexer deploy/ --engine onnxruntime --force
      lexer deploy run.lexer deploy/ --engine torch --target net.py:Net
    """  # noqa: D301  click looks for the real \b
    from lexer_core.artifact import load  # imports numpy

    report = load(run)
    row = _row(report, label, run)
    options: dict[str, Any] = {}
    with stdout_to_stderr():
        if target is not None:
            options = _live_model(report, row, target)
        path = row.save(folder, overwrite=force, **options)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    click.echo(
        f"Wrote {path}: {row.label}, {bytes_text(size)}.\n"
        f"  run it            python {path / 'run.py'}\n"
        f"  load it           lexer_core.load({str(path)!r})"
    )


def _row(report: BenchmarkReport, label: str | None, run: str) -> BenchmarkResult:
    labels = ", ".join(report.labels) or "none"
    if label is not None:
        try:
            return report[label]
        except KeyError:
            raise UsageError(f"{run!r} has no row {label!r}.", hint=f"Rows: {labels}.") from None
    if report.fastest is None:
        raise UsageError(
            f"no row of {run!r} is ranked, so none is the fastest.",
            hint=f"Name a row: --engine LABEL. Rows: {labels}.",
        )
    return report.fastest


def _live_model(report: BenchmarkReport, row: BenchmarkResult, target: str) -> dict[str, Any]:
    """Load TARGET; return the arguments of ``save`` with it and inputs of the same shapes."""
    from lexer_core.comparison.rerun_inputs import recreate_inputs  # imports numpy
    from lexer_core.target.factory_call import parse_factory_call
    from lexer_core.target.load import load_target

    # The seed of weights that are created at random: 0 if none was set, as when it was measured.
    seed = (report.seed or 0) if "--seed" in report.command else 0
    model = load_target(target, seed=seed).model
    tried = () if report.tuning is None else report.tuning.configurations
    configuration = next((each for each in tried if each.label == row.label), None)
    batch = None if configuration is None else configuration.batch
    options = {"model": model, "input": recreate_inputs(report, batch).value}
    call = parse_factory_call(target)
    if call is None:
        return options
    if call.positional:
        raise UsageError(
            f"--target {target!r} has positional arguments, which lexer.json cannot hold.",
            hint="Write them with their names: net.py:Net(width=64).",
        )
    module = Path(call.where).stem if call.where.endswith(".py") else call.where
    return {**options, "build": f"{module}:{call.attribute}", "arguments": call.named}
