"""``lexer fleet plan``: is a plan right, and what does one look like?"""

from __future__ import annotations

import click

from lexer_core.errors import UsageError

__all__ = ["plan_command"]


@click.command("plan")
@click.argument("plan", metavar="PLAN", required=False)
@click.option("--example", is_flag=True, help="Print a commented plan.")
def plan_command(plan: str | None, example: bool) -> None:
    """Check a plan, and list what each kind of machines measures.

    Measures nothing and connects to nothing.

    \b
    Examples:
      lexer fleet plan --example > plan.toml
      lexer fleet plan plan.toml
    """  # noqa: D301  click looks for the real \b
    if example == (plan is not None):
        raise UsageError("name a plan, or use --example.", hint="lexer fleet plan plan.toml")
    if plan is None:
        from lexer_core.fleet.example_plan import EXAMPLE_PLAN

        click.echo(EXAMPLE_PLAN, nl=False)
        return
    from lexer_core.fleet import read_plan  # imports numpy

    checked = read_plan(plan)
    for kind in checked.machines:
        labels = f" with {', '.join(kind.labels)}" if kind.labels else ""
        count = "all that are connected" if kind.count is None else f"{kind.count} of them"
        click.echo(f"{kind.name}{labels}: {count}")
        for run in checked.runs_of(kind):
            what = "tune" if run.is_tuning else "measure"
            click.echo(f"  {what} {run.title}")
