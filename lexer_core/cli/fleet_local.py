"""``lexer fleet local``: how is a fleet tried on one machine?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from lexer_core.cli.fleet_run import run_and_show
from lexer_core.cli.main import DONE
from lexer_core.cli.options import output_option
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["local_command"]

_WAIT = 120.0


@click.command("local")
@click.argument("count", metavar="N", type=click.IntRange(min=1, max=100))
@click.option("--plan", metavar="PLAN", help="Measure this plan, and end. Default: until Ctrl-C.")
@output_option(
    "File of merged runs to write, with --plan.",
    metavar="FILE.lexer",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="PATH",
    help="Python interpreter of the workers, with lexer-core[fleet]; repeat for several, which "
    "the workers use in turn. Default: this one.",
)
@click.pass_context
def local_command(
    context: click.Context,
    /,
    *,
    count: int,
    plan: str | None,
    output_file: str | None,
    pythons: Sequence[str],
) -> None:
    """Start a scheduler and N workers on this machine, with TLS.

    To try a plan before machines are rented, or to measure with several Python
    interpreters. The workers measure one after the other.

    \b
    Examples:
      lexer fleet local 2 --plan plan.toml -o fleet.lexer
      lexer fleet local 2 --python .venv-a/bin/python --python .venv-b/bin/python
    """  # noqa: D301  click looks for the real \b
    if (plan is None) != (output_file is None):
        raise UsageError("--plan and -o belong together.", hint="--plan plan.toml -o fleet.lexer")
    from lexer_core.fleet.dask_executor import DaskExecutor  # imports numpy
    from lexer_core.fleet.local import LocalFleet
    from lexer_core.fleet.plan_file import read_plan

    checked = None if plan is None else read_plan(plan)
    with LocalFleet(count, pythons=pythons) as local:
        if checked is not None and output_file is not None:
            executor = DaskExecutor(local.address)
            local.wait_for_workers(_WAIT)
            context.exit(run_and_show(checked, executor, output_file, _WAIT))
        tls = local.address.tls
        assert tls is not None
        click.echo(
            f"{count} worker{'s' * (count > 1)} on {local.address.url}, until Ctrl-C. "
            "In another terminal:\n"
            f"lexer fleet run plan.toml --scheduler {local.address.url} -o fleet.lexer "
            f"--tls-ca-file {tls.ca_file} --tls-cert {tls.cert} --tls-key {tls.key}"
        )
        threading.Event().wait()
    context.exit(DONE)
