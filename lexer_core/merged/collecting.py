"""Which runs are merged, and which of them are the same?"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import define, field, frozen

from lexer_core.artifact.manifest import LONGEST_NAME, FailedRun, is_name
from lexer_core.artifact.merged_file import (
    KeptFile,
    RunInFile,
    is_merged_file,
    kept_file,
    read_merged,
)
from lexer_core.artifact.read import read_report
from lexer_core.artifact.write import save_as_set
from lexer_core.errors import ArtifactError, UsageError
from lexer_core.load_report import LoadReport
from lexer_core.merged.prices import read_price
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.report_json import report_to_json
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from lexer_core.artifact.archive import Budget

__all__ = ["Candidate", "Collected", "collect", "read_run"]


@frozen(kw_only=True, eq=False)
class Candidate:
    """A run that was read.

    ``path`` is the path as the user gave it; ``label`` the user's name of its machine,
    ``price`` that machine's price as text, and ``plan`` the digest of what a fleet asked.
    """

    name: str
    report: BenchmarkReport
    kept: KeptFile
    path: str = ""
    label: str = ""
    price: str = ""
    plan: str = ""

    def is_called(self, text: str) -> bool:
        """Return whether this is its name or the end of its path, with or without suffix."""
        return text == self.name or bool(self.path and _is_end_of(text, Path(self.path)))

    @property
    def identity(self) -> str:
        """A digest of its content, the same for a ``.lexer`` file and for its JSON."""
        return hashlib.sha256(report_to_json(self.report).encode()).hexdigest()

    @property
    def richness(self) -> tuple[bool, bool]:
        """What it has that the JSON of a run has not: samples and models."""
        has_samples = any(row.samples is not None for row in self.report.results)
        return has_samples, bool(self.report.models)


@define(eq=False)
class Collected:
    """The runs, each once; notes; and what could not be read.

    ``read`` are all runs, also repeated ones, and ``unread`` the files with problems.
    ``failed`` is what machines of a fleet could not measure.
    """

    runs: list[Candidate] = field(factory=list)
    read: list[Candidate] = field(factory=list)
    notes: list[str] = field(factory=list)
    problems: list[ArtifactError] = field(factory=list)
    unread: list[Path] = field(factory=list)
    failed: list[FailedRun] = field(factory=list)

    def has(self, text: str) -> bool:
        """Return whether this is what the user calls a run, even one that was not read."""
        return any(run.is_called(text) for run in (*self.read, *self.runs)) or any(
            _is_end_of(text, path) for path in self.unread
        )


def collect(
    sources: Iterable[Candidate | BenchmarkReport | FailedRun | str | os.PathLike[str]],
    labels: Mapping[str, str] | None = None,
) -> Collected:
    """Read all runs; those of merged files and folders one by one.

    A run that cannot be read is listed in ``problems``.

    Parameters
    ----------
    sources
        Runs that were read before, what machines failed to do, reports, or paths of runs,
        of merged runs, or of folders.
    labels
        The user's names of machines, by what the user calls the run.

    Raises
    ------
    UsageError
        A folder has no runs.
    """
    collected = Collected()
    for source in sources:
        if isinstance(source, Candidate):
            collected.runs.append(source)
            continue
        if isinstance(source, FailedRun):
            collected.failed.append(source)
            continue
        if isinstance(source, BenchmarkReport):
            collected.runs.append(_of_report(source))
            continue
        path = Path(source)
        for each in _files_in(path) if path.is_dir() else [path]:
            try:
                _read(each, collected)
            except ArtifactError as error:
                collected.problems.append(error)
                collected.unread.append(each)
    collected.read = list(collected.runs)
    collected.runs = [_with_label(run, labels or {}) for run in collected.runs]
    collected.runs = _with_unique_names(_each_once(collected))
    return collected


def _is_end_of(text: str, path: Path) -> bool:
    wanted = Path(text).parts
    return bool(wanted) and wanted in (
        path.parts[-len(wanted) :],
        path.with_suffix("").parts[-len(wanted) :],
    )


def _files_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*.lexer") if path.is_file())
    if not found:
        raise UsageError(
            f"folder {str(folder)!r} has no .lexer files.",
            hint="Name the JSON of a run by its path.",
        )
    return found


def _read(path: Path, collected: Collected) -> None:
    if not is_merged_file(path):
        collected.runs.append(read_run(path))
        return
    runs, failed, budget = read_merged(path)
    collected.failed += failed
    for stored in runs:
        try:
            collected.runs.append(_of_stored(stored, path, budget))
        except ArtifactError as error:
            collected.problems.append(error)


def read_run(path: Path) -> Candidate:
    """Read the file of one run.

    Raises
    ------
    ArtifactError
        It cannot be read, or is damaged.
    """
    kept = kept_file(path)
    return Candidate(name=_name_of(path), report=_report(path), kept=kept, path=str(path))


def _of_stored(run: RunInFile, path: Path, budget: Budget) -> Candidate:
    if run.kept is None:
        assert run.problem is not None
        raise run.problem
    stored = run.stored
    try:
        report = _report(run.kept.path, budget, run.kept.folder)
    except ArtifactError as error:
        message = error.message.replace(str(run.kept.path), f"{stored.file} in {path}")
        raise ArtifactError(message, hint=error.hint) from error
    if stored.price:
        try:
            read_price(stored.price)
        except UsageError as error:
            raise ArtifactError(f"{stored.file!r} in {str(path)!r}: {error.message}") from error
    return Candidate(
        name=stored.name,
        report=report,
        kept=run.kept,
        label=stored.machine,
        price=stored.price,
        plan=stored.plan,
    )


def _report(
    path: Path, budget: Budget | None = None, folder: TemporaryFolder | None = None
) -> BenchmarkReport:
    report = read_report(path, BenchmarkReport, budget, folder)
    if report.tuning is not None:
        return TuningReport.of(report)
    return report if report.load_test is None else LoadReport.of(report)


def _of_report(report: BenchmarkReport) -> Candidate:
    folder = TemporaryFolder("runs")
    path = save_as_set(report, folder.path / "run.lexer")
    kept = attrs.evolve(kept_file(path), folder=folder)
    return Candidate(name=report.model_name or "run", report=report, kept=kept)


def _name_of(path: Path) -> str:
    name = "".join(sign for sign in path.stem if sign.isprintable())[:LONGEST_NAME]
    return name if is_name(name) else "run"


def _with_label(run: Candidate, labels: Mapping[str, str]) -> Candidate:
    called = [label for text, label in labels.items() if run.is_called(text)]
    return attrs.evolve(run, label=called[-1]) if called else run


def _each_once(collected: Collected) -> list[Candidate]:
    """Drop repeated runs; the one that has more than the JSON stays."""
    found: dict[str, Candidate] = {}
    for run in collected.runs:
        identity = run.identity
        if identity not in found:
            found[identity] = run
            continue
        first = found[identity]
        one, other = run.path or run.name, first.path or first.name
        collected.notes.append(
            f"{one} was given twice and is listed once"
            if one == other
            else f"{one} is the same run as {other} and is listed once"
        )
        kept = run if run.richness > first.richness else first
        found[identity] = attrs.evolve(
            kept,
            label=first.label or run.label,
            price=first.price or run.price,
            plan=first.plan or run.plan,
        )
    return list(found.values())


def _with_unique_names(runs: list[Candidate]) -> list[Candidate]:
    """Add the folder to names that are not unique, then a number."""
    plain = [run.name for run in runs]
    taken: set[str] = set()
    named = []
    for run in runs:
        folder = Path(run.path).parent.name if run.path else ""
        wanted = f"{folder}/{run.name}" if folder and plain.count(run.name) > 1 else run.name
        wanted = wanted if is_name(wanted) else run.name
        name, at = wanted, 1
        while name in taken:
            at += 1
            name = f"{wanted} ({at})"
        taken.add(name)
        named.append(attrs.evolve(run, name=name))
    return named
