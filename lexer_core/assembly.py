"""How does a run that is over become a report?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.analysis import judge_run
from lexer_core.environment import read_environment
from lexer_core.reporting.sentences import verdict_sentences
from lexer_core.results import BenchmarkReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.config import Settings
    from lexer_core.engines.states import EngineListing
    from lexer_core.measurement.outcome import RunOutcome

__all__ = ["assemble_report"]


def assemble_report(
    run: RunOutcome,
    settings: Settings,
    *,
    engines: Iterable[EngineListing],
    created_at: str,
    command: str = "",
    notes: Sequence[str] = (),
) -> BenchmarkReport:
    """Judge a run, and put beside it where and how it was measured.

    Parameters
    ----------
    run
        What it left behind.
    settings
        Those that held.
    engines
        Whose versions belong into the report.
    created_at
        When it began: UTC, ISO 8601.
    command
        The command line that asks for the same.
    notes
        What else a reader should know, such as where settings came from.
    """
    judged = judge_run(run, tie=settings.tie)
    return BenchmarkReport(
        results=judged.results,
        comparisons=judged.comparisons,
        environment=read_environment(engines),
        settings=attrs.evolve(settings, threads=run.threads, seed=run.seed).to_dict(),
        sentences=verdict_sentences(judged.results, judged.comparisons),
        notes=(*notes, *run.notes, *judged.notes),
        model_name=run.model_name,
        input_specs=run.input_specs,
        command=command,
        created_at=created_at,
        seed=run.seed,
        stopped_because=run.stopped_because,
        seconds=run.seconds,
        canary=run.canary,
        model_fingerprint=run.model_fingerprint,
        models=run.models,
    )
