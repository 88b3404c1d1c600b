"""Which runs are compared, and what are their titles?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.artifact import load
from lexer_core.comparison.records import ComparedRun
from lexer_core.errors import TargetError, UsageError
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["LoadedRun", "load_run", "load_runs"]

_FEWEST = 2


@frozen(kw_only=True, eq=False)
class LoadedRun:
    """A report, with its title and origin."""

    report: BenchmarkReport
    run: ComparedRun


def load_runs(
    runs: Sequence[BenchmarkReport | str | os.PathLike[str]],
    titles: Sequence[str] | None = None,
) -> tuple[LoadedRun, ...]:
    """Read the runs that are files, and choose their titles.

    Parameters
    ----------
    runs
        Reports, or paths of ``.lexer`` files; the first is the base.
    titles
        Distinct titles, one per run. Default: the file names.

    Raises
    ------
    UsageError
        There are fewer than two runs, a file cannot be read, or the titles do
        not match the runs.
    """
    if len(runs) < _FEWEST:
        raise UsageError(
            f"a comparison needs at least two runs, not {len(runs)}.",
            hint="Name the base first: lexer compare base.lexer new.lexer",
        )
    names = _titles(runs) if titles is None else tuple(titles)
    if len(names) != len(runs) or len(set(names)) != len(names):
        raise UsageError(
            f"{len(runs)} runs need {len(runs)} different titles, not {', '.join(names) or 'none'}."
        )
    return tuple(load_run(run, name) for run, name in zip(runs, names, strict=True))


def _titles(runs: Sequence[BenchmarkReport | str | os.PathLike[str]]) -> tuple[str, ...]:
    """Return titles: the names of files, and ``base`` or ``new`` for reports."""
    paths = [None if isinstance(run, BenchmarkReport) else Path(run) for run in runs]
    plain = [
        ("base" if at == 0 else "new" if len(runs) == _FEWEST else f"new {at}")
        if path is None
        else path.stem
        for at, path in enumerate(paths)
    ]
    if len(set(plain)) == len(plain):
        return tuple(plain)
    # The same name in different folders, or the same file twice.
    longer = [name if path is None else str(path) for name, path in zip(plain, paths, strict=True)]
    return tuple(
        name if longer.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(longer)
    )


def load_run(run: BenchmarkReport | str | os.PathLike[str], title: str) -> LoadedRun:
    """Read one run, if it is a file.

    Parameters
    ----------
    run
        A report, or the path of a ``.lexer`` file.
    title
        The run's title in tables.

    Raises
    ------
    TargetError
        The file does not exist.
    ArtifactError
        It is not a saved run.
    """
    path = ""
    if not isinstance(run, BenchmarkReport):
        path = str(Path(run))
        if not Path(run).is_file():
            raise TargetError(f"file {path!r} does not exist.")
        run = load(run)
    return LoadedRun(
        report=run,
        run=ComparedRun(
            title=title,
            path=path,
            model_name=run.model_name,
            created_at=run.created_at,
            cpu_model=run.environment.cpu_model,
        ),
    )
