"""``lexer engines check``: does an engine conform to the contract?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from lexer_core.cli.engine_listing import LONGEST_TIMEOUT
from lexer_core.cli.main import GATE_FAILED
from lexer_core.cli.printing import print_json
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.testing.outcomes import CheckResult, Level

__all__ = ["SCHEMA_VERSION", "check"]

SCHEMA_VERSION = 1
"""Incremented when a field of the JSON is removed or changes its meaning."""

_SAME_REASON = "same reason as above"


@click.command()
@click.argument("name")
@click.option(
    "--level",
    type=click.Choice(["basic", "full"]),
    default="full",
    show_default=True,
    help="basic: what every engine needs; full: everything.",
)
@click.option(
    "--device",
    default="",
    metavar="DEVICE",
    help="Device to check. Default: the declared one, or else cpu.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Threads per call. Default: the declared number, or else 1.",
)
@click.option(
    "--declarations",
    default="",
    metavar="MODULE:CLASS",
    help="The author's declarations: a subclass of EngineUnderTest or EngineConformance. Default: "
    "those that the plugin ships. Engines with their own model format may need them.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=LONGEST_TIMEOUT, min_open=True),
    default=120.0,
    show_default=True,
    metavar="X",
    help="Time limit for one check, in seconds.",
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
    """Check whether an engine conforms to the contract.

    Runs the conformance kit in a separate process: outputs, sessions, devices,
    timing, options, errors and resources, on small models. A check that crashes
    or hangs fails, and the next one runs in a new process. Exits with 1 if a
    check fails.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "kit": "…",
    "engine": "…", "plugin": "…", "level": "…", "passed", "failed", "skipped",
    "checks": […]}. Each check has
      name, suite, level    its name, suite and level
      protects              what users cannot rely on if it fails
      status                passed, failed or skipped
      reason, hint          why it failed or was skipped; how to fix it
      details               a traceback or output; may be empty
      seconds               how long it took
    """  # noqa: D301 - to click, \b is the character
    # Slow to import, and --help does not need them.
    from lexer_core.testing.check_table import checks_of
    from lexer_core.testing.isolated import CheckPlan, run_isolated

    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder was deleted; checks compare what is in it.",
            hint="Change to another folder.",
        ) from error
    with stdout_to_stderr():
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
        print_json(SCHEMA_VERSION, _as_json(done, engine=name, plugin=plugin, level=level))
    else:
        done = _print_table(results, f"{plugin}, level {level}")
    return GATE_FAILED if any(result.status == "failed" for result in done) else 0


def _print_table(results: Iterator[CheckResult], what: str) -> list[CheckResult]:
    """Print each result as it arrives, then the details of failures."""
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
        reason = _SAME_REASON if result.reason in known else result.reason
        click.echo(f"  {result.name:<{width}}  {result.status:<7}  {reason}".rstrip())
        done.append(result)
    for failures in _by_reason(done):
        _print_failure(*failures)
    click.echo(f"\n{_counted(done)}")
    return done


def _by_reason(results: Sequence[CheckResult]) -> list[list[CheckResult]]:
    """Group failed checks by their reason."""
    failures: dict[str, list[CheckResult]] = {}
    for result in results:
        if result.status == "failed":
            failures.setdefault(result.reason, []).append(result)
    return list(failures.values())


def _print_failure(result: CheckResult, *others: CheckResult) -> None:
    from lexer_core.testing.check_table import CHECKS

    click.echo(f"\n{result.name} failed: {result.reason}")
    if others:
        click.echo(f"  Same reason: {', '.join(each.name for each in others)}.")
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


def _as_json(
    results: Sequence[CheckResult], *, engine: str, plugin: str, level: Level
) -> dict[str, object]:
    from lexer_core.testing import KIT_VERSION
    from lexer_core.testing.check_table import CHECKS, SUITES

    suites = {each.name: suite.title for suite in SUITES for each in suite.checks}
    return {
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
