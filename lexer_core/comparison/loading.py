"""Which runs are compared, and what are they called?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.comparison.records import ComparedRun
from lexer_core.errors import ReportFormatError, TargetError, UsageError
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["LoadedRun", "load_run", "load_runs"]

_FEWEST = 2


@frozen(kw_only=True, eq=False)
class LoadedRun:
    """A report, and what is shown of where it came from."""

    report: BenchmarkReport
    shown: ComparedRun


def load_runs(
    runs: Sequence[BenchmarkReport | str | os.PathLike[str]],
    titles: Sequence[str] | None = None,
) -> tuple[LoadedRun, ...]:
    """Read the runs that are files, and give each a title.

    Parameters
    ----------
    runs
        Reports, or paths of ``.lexer`` files; the first is the base.
    titles
        One for each run, all different; made from the files' names unless
        given.

    Raises
    ------
    UsageError
        There are fewer than two, a file cannot be read, or the titles do not
        fit.
    """
    if len(runs) < _FEWEST:
        raise UsageError(
            f"a comparison needs two runs or more, and {len(runs)} was given.",
            hint="Give the base first: lexer compare base.lexer new.lexer",
        )
    names = _titles(runs) if titles is None else tuple(titles)
    if len(names) != len(runs) or len(set(names)) != len(names):
        raise UsageError(
            f"{len(runs)} runs need as many different titles, not {', '.join(names) or 'none'}."
        )
    return tuple(load_run(run, name) for run, name in zip(runs, names, strict=True))


def _titles(runs: Sequence[BenchmarkReport | str | os.PathLike[str]]) -> tuple[str, ...]:
    """Name files after themselves, and reports after their place."""
    paths = [None if isinstance(run, BenchmarkReport) else Path(run) for run in runs]
    plain = [
        ("base" if at == 0 else "new" if len(runs) == _FEWEST else f"new {at}")
        if path is None
        else path.stem
        for at, path in enumerate(paths)
    ]
    if len(set(plain)) == len(plain):
        return tuple(plain)
    # Of one name in different folders; and the same file twice is two runs.
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
        What tables call it.

    Raises
    ------
    TargetError
        The file is not there, or is no saved run.
    """
    path = ""
    if not isinstance(run, BenchmarkReport):
        path = str(Path(run))
        run = _read(Path(run))
    return LoadedRun(
        report=run,
        shown=ComparedRun(
            title=title,
            path=path,
            model_name=run.model_name,
            created_at=run.created_at,
            cpu_model=run.environment.cpu_model,
        ),
    )


def _read(path: Path) -> BenchmarkReport:
    from lexer_core.artifact import load  # reads archives, which reports at hand do not need

    if not path.is_file():
        raise TargetError(f"there is no file {str(path)!r}.")
    try:
        return load(path)
    except ReportFormatError as error:
        # To whoever reads a report, a fault of the file; here, of the request.
        raise TargetError(
            f"{str(path)!r} is not a saved run: {error.message}",
            hint=error.hint or "A run is saved by: lexer benchmark … -o run.lexer",
        ) from error
