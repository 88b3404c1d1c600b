"""``lexer fleet run``: how is a plan measured on many machines?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lexer_core.cli.main import DONE, ENGINE_FAILED, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.options import output_option
from lexer_core.reporting.layout_records import printable
from lexer_core.reporting.terminal_table import print_layouts

if TYPE_CHECKING:
    from lexer_core.fleet import FleetOutcome
    from lexer_core.fleet.executor import Executor
    from lexer_core.fleet.records import FleetPlan

__all__ = ["run_and_show", "run_command"]

_WAIT = 60.0


@click.command("run")
@click.argument("plan", metavar="PLAN")
@click.option(
    "--scheduler",
    required=True,
    metavar="ADDRESS",
    help="Address of the Dask scheduler, tls://HEAD:8786; or this-machine, to measure here "
    "without a network.",
)
@output_option(
    "File of merged runs to write. What it has already is not measured again.",
    required=True,
    metavar="FILE.lexer",
)
@click.option("--tls-ca-file", metavar="FILE", help="Certificates to trust, in PEM.")
@click.option("--tls-cert", metavar="FILE", help="Certificate of this computer, in PEM.")
@click.option("--tls-key", metavar="FILE", help="Private key of this computer, in PEM.")
@click.option(
    "--insecure",
    is_flag=True,
    help="Use plain TCP to another machine. Whoever can reach the scheduler can then run any "
    "code on the machines.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=_WAIT,
    metavar="SECONDS",
    help=f"How long to wait until the machines of the plan are connected. Default: {_WAIT:g}.",
)
@click.pass_context
def run_command(
    context: click.Context,
    /,
    *,
    plan: str,
    scheduler: str,
    output_file: str,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    insecure: bool,
    wait: float,
) -> None:
    """Measure a plan on many machines, and merge the runs into one file.

    PLAN is a TOML file; `lexer fleet plan --example` prints one. The machines are the
    workers of a Dask scheduler (docs/fleet.md). Machines measure at the same time, and
    each one measures one run after the other.

    \b
    Examples:
      lexer fleet run plan.toml --scheduler this-machine -o fleet.lexer
      lexer fleet run plan.toml --scheduler tls://HEAD:8786 -o fleet.lexer \\
          --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem

    Start it again to go on: what FILE.lexer has is not measured again, and what a machine
    has finished meanwhile is fetched.

    \b
    Exit status: 0 success, 2 wrong usage or input, 3 a machine failed (the others are
    in the file), 4 nothing was measured, 130 interrupted (keeps what was fetched).
    """  # noqa: D301  click looks for the real \b
    from lexer_core.fleet import choose_executor, read_plan  # imports numpy

    checked = read_plan(plan)
    executor = choose_executor(
        scheduler, tls_ca_file=tls_ca_file, tls_cert=tls_cert, tls_key=tls_key, insecure=insecure
    )
    context.exit(run_and_show(checked, executor, output_file, wait))


def run_and_show(plan: FleetPlan, executor: Executor, output: str, wait: float) -> int:
    """Measure a plan, print the table, and return the exit status."""
    from lexer_core.fleet.progress import FleetDisplay
    from lexer_core.fleet.run import execute_fleet  # as above

    with FleetDisplay() as display:
        outcome = execute_fleet(plan, executor, Path(output), wait=wait, notify=display)
    return _show(outcome, output)


def _show(outcome: FleetOutcome, output: str) -> int:
    if outcome.merged is not None:
        print_layouts(outcome.merged.layouts())
        click.echo(f"Saved to {output}.", err=True)
    else:
        for each in outcome.failed:
            reason = printable(each.reason.splitlines())
            click.echo(f"{each.machine} did not measure {each.run}: " + "\n".join(reason), err=True)
        click.echo(f"Nothing was measured, so {output} was not written.", err=True)
    if outcome.is_interrupted:
        click.echo(
            "Interrupted. Start the same command again to go on; what other machines finish "
            "meanwhile is fetched then.",
            err=True,
        )
        return INTERRUPTED
    if outcome.merged is None:
        return NOTHING_MEASURED
    return ENGINE_FAILED if outcome.failed else DONE
