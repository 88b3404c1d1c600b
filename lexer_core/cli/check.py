"""``lexer engines check``: does an engine keep the contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core.cli.streams import results_alone_on_stdout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.testing.outcomes import CheckResult, Level

__all__ = ["SCHEMA_VERSION", "check"]

SCHEMA_VERSION = 1
"""Raised when a field of the JSON is removed or changes its meaning."""

_GATE_SAID_NO = 1
_SAME = "for a reason that is above"


@click.command()
@click.argument("name")
@click.option(
    "--level",
    type=click.Choice(["basic", "full"]),
    default="full",
    show_default=True,
    help="How much to check: what every engine needs, or all of it.",
)
@click.option("--device", default="", help="The device to check it on; cpu unless declared.")
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    help="Threads that a call may use; 1 unless declared.",
)
@click.option(
    "--declarations",
    default="",
    metavar="MODULE:CLASS",
    help="What the author says of the engine: a class that derives from EngineUnderTest or "
    "EngineConformance. Needed for models in a format of the engine's own.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds that one check may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(
    name: str,
    level: Level,
    device: str,
    threads: int,
    declarations: str,
    timeout: float,
    as_json: bool,
) -> int:
    """Check whether an engine keeps the contract of hookspecs.py.

    Runs the conformance kit in a process of its own: outputs, sessions,
    devices, timing, options, errors and resources, on small models. A check
    during which that process dies or hangs has failed, and the next begins in
    a new one. Exits with 1 where a check failed.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "kit": "…",
    "engine": "…", "plugin": "…", "level": "…", "passed", "failed", "skipped",
    "checks": […]}; each check has
      name, suite, level    which it is
      protects              what a user could not rely on if it failed
      status                passed, failed or skipped
      reason, hint          what was seen or why it does not apply; what to do
      details               a traceback, or what was printed; may be empty
      seconds               how long it took
    """  # noqa: D301 - to click, \b is the character
    # Only here: they are heavy, and `lexer engines list` needs none of them.
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.testing.check_table import checks_of
    from lexer_core.testing.isolated import CheckPlan, run_isolated

    with results_alone_on_stdout():
        plugin = EngineRegistry().listing(name).distribution
    plan = CheckPlan(
        engine=name,
        checks=checks_of(level),
        device=device,
        threads=threads,
        declarations=declarations,
        timeout=timeout,
    )
    results = run_isolated(plan)
    if as_json:
        done = list(results)
        _print_json(done, engine=name, plugin=plugin, level=level)
    else:
        done = _print_table(results, f"{plugin}, level {level}")
    return _GATE_SAID_NO if any(result.status == "failed" for result in done) else 0


def _print_table(results: Iterator[CheckResult], what: str) -> list[CheckResult]:
    """Print each result as soon as it is there, and the rest below them."""
    from lexer_core.testing import KIT_VERSION
    from lexer_core.testing.check_table import CHECKS, SUITES

    width = max(map(len, CHECKS))
    titles = {each.name: suite.title for suite in SUITES for each in suite.checks}
    click.echo(f"Conformance kit {KIT_VERSION}: {what}")
    done: list[CheckResult] = []
    for result in results:
        if not done or titles[done[-1].name] != titles[result.name]:
            click.echo(f"\n{titles[result.name]}")
        known = {each.reason for each in done if each.status == "failed"}
        reason = _SAME if result.reason in known else result.reason
        click.echo(f"  {result.name:<{width}}  {result.status:<7}  {reason}".rstrip())
        done.append(result)
    for failures in _by_reason(done):
        _print_failure(*failures)
    click.echo(f"\n{_counted(done)}")
    return done


def _by_reason(results: Sequence[CheckResult]) -> list[list[CheckResult]]:
    """Put the checks together that failed for the same reason."""
    failures: dict[str, list[CheckResult]] = {}
    for result in results:
        if result.status == "failed":
            failures.setdefault(result.reason, []).append(result)
    return list(failures.values())


def _print_failure(result: CheckResult, *others: CheckResult) -> None:
    from lexer_core.testing.check_table import CHECKS

    click.echo(f"\n{result.name} failed: {result.reason}")
    if others:
        click.echo(f"  So did {', '.join(each.name for each in others)}.")
    for line in result.hint.splitlines():
        click.echo(f"  {line}")
    click.echo(f"  It protects: {CHECKS[result.name].protects}")
    if result.details.strip():
        click.echo("\n".join(f"  | {line}" for line in result.details.rstrip().splitlines()))


def _counted(results: Sequence[CheckResult]) -> str:
    counts = _counts(results)
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _counts(results: Sequence[CheckResult]) -> dict[str, int]:
    return {
        status: sum(result.status == status for result in results)
        for status in ("passed", "failed", "skipped")
    }


def _print_json(results: Sequence[CheckResult], *, engine: str, plugin: str, level: Level) -> None:
    import json  # only here: the table does not need it

    import attrs

    from lexer_core import __version__
    from lexer_core.testing import KIT_VERSION
    from lexer_core.testing.check_table import CHECKS, SUITES

    suites = {each.name: suite.title for suite in SUITES for each in suite.checks}
    document = {
        "schema_version": SCHEMA_VERSION,
        "lexer_version": __version__,
        "kit": KIT_VERSION,
        "engine": engine,
        "plugin": plugin,
        "level": level,
        **_counts(results),
        "checks": [
            {
                "suite": suites[result.name],
                "level": CHECKS[result.name].level,
                "protects": CHECKS[result.name].protects,
                **attrs.asdict(result),
            }
            for result in results
        ],
    }
    click.echo(json.dumps(document, indent=2))
