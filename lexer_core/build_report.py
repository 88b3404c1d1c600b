"""How is a report built from a finished run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.benchmark.analysis import analyse_run
from lexer_core.machine.environment import read_environment
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.sentences import verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.deploy.row_model import LiveModel
    from lexer_core.engines.states import EngineListing
    from lexer_core.results import Environment
    from lexer_core.settings.table import Settings

__all__ = ["assemble_report", "environment_with"]


def assemble_report(
    run: RunOutcome,
    settings: Settings,
    *,
    engines: Iterable[EngineListing],
    created_at: str,
    command: str = "",
    target: str = "",
    input_options: Sequence[str] = (),
    notes: Sequence[str] = (),
    not_run: Sequence[str] = (),
    live_model: LiveModel | None = None,
) -> BenchmarkReport:
    """Analyse a run, and add where and how it was measured.

    Parameters
    ----------
    run
        The results of the run.
    settings
        The effective settings.
    engines
        The engines whose versions the report contains.
    created_at
        Start time of the run: UTC, ISO 8601.
    command
        The equivalent command line.
    target
        The TARGET of the command line.
    input_options
        The ``--input`` options that recreate the inputs.
    notes
        Further notes, such as the origins of settings.
    not_run
        Ready engines that run only if they are named.
    live_model
        The model of this program.
    """
    analysis = analyse_run(run, tie=settings.tie)
    return BenchmarkReport(
        results=analysis.results,
        comparisons=analysis.comparisons,
        environment=environment_with(engines),
        settings=attrs.evolve(settings, threads=run.threads, seed=run.seed).to_dict(),
        sentences=verdict_sentences(analysis.results, analysis.comparisons),
        notes=(*notes, *run.notes, *analysis.notes),
        model_name=run.model_name,
        input_specs=run.input_specs,
        command=command,
        target=target,
        input_options=input_options,
        not_run=not_run,
        created_at=created_at,
        seed=run.seed,
        stopped_because=run.stopped_because,
        seconds=run.seconds,
        canary=run.canary,
        model_fingerprint=run.model_fingerprint,
        models=run.models,
        live_model=live_model,
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
