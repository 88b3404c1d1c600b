"""How is a report built from a finished run?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.benchmark.analysis import analyse_run
from lexer_core.machine.environment import read_environment
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.sentences import verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.deploy.row_model import LiveModel
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.engines.states import EngineListing
    from lexer_core.results import Environment
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.table import Settings

__all__ = ["RunOrigin", "assemble_report", "environment_with"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@frozen(kw_only=True, eq=False)
class RunOrigin:
    """Where a run came from, for its report.

    Parameters
    ----------
    command, target, input_options
        As for :meth:`LexerContext.benchmark`.
    live_model
        The model of this program, to save rows of engines that run it live.
    created_at
        Start time of the run: UTC, ISO 8601.
    """

    command: str = ""
    target: str = ""
    input_options: Sequence[str] = ()
    live_model: LiveModel | None = None
    created_at: str = field(factory=_now)


def assemble_report(
    run: RunOutcome,
    settings: Settings,
    origin: RunOrigin,
    configuration: Configuration,
    registry: EngineRegistry,
    *,
    not_run: Sequence[str] = (),
) -> BenchmarkReport:
    """Analyse a run, and add where and how it was measured.

    Parameters
    ----------
    run
        The results of the run.
    settings
        The effective settings.
    origin
        Where it came from.
    configuration
        Its notes are part of the report.
    registry
        The engines whose versions the report contains.
    not_run
        Ready engines that run only if they are named.
    """
    analysis = analyse_run(run, tie=settings.tie)
    return BenchmarkReport(
        results=analysis.results,
        comparisons=analysis.comparisons,
        environment=environment_with(registry.listings()),
        settings=attrs.evolve(settings, threads=run.threads, seed=run.seed).to_dict(),
        sentences=verdict_sentences(analysis.results, analysis.comparisons),
        notes=(*configuration.origin_notes, *configuration.notes, *run.notes, *analysis.notes),
        model_name=run.model_name,
        input_specs=run.input_specs,
        command=origin.command,
        target=origin.target,
        input_options=origin.input_options,
        not_run=not_run,
        created_at=origin.created_at,
        seed=run.seed,
        stopped_because=run.stopped_because,
        seconds=run.seconds,
        canary=run.canary,
        model_fingerprint=run.model_fingerprint,
        models=run.models,
        live_model=origin.live_model,
    )


def environment_with(engines: Iterable[EngineListing]) -> Environment:
    """Return the description of this machine, with the versions of the engines."""
    versions: dict[str, str] = {}
    distributions: list[str] = []
    for listing in engines:
        if listing.version is None:
            continue
        # Variants of one runtime may share a display name.
        name = listing.name if listing.display_name in versions else listing.display_name
        versions[name] = listing.version
        distributions += listing.distribution.split()[:1]
        if listing.runtime_distribution:
            distributions.append(listing.runtime_distribution)
    return read_environment(versions, distributions)
