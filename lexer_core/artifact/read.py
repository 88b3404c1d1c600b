"""How is a report loaded from an untrusted file?

Nothing in the file is executed, and nothing is written outside our own temporary
folder. Whatever is wrong is an :class:`ArtifactError` that says where.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, overload

import attrs
from attrs import frozen

from lexer_core.artifact.archive import Archive, Budget
from lexer_core.artifact.limits import (
    LARGEST_LOG,
    LARGEST_METADATA,
    LARGEST_REPORT,
    LARGEST_SAMPLES,
)
from lexer_core.artifact.manifest import MANIFEST, read_manifest
from lexer_core.artifact.metadata import Contents, StoredModel, read_metadata
from lexer_core.artifact.samples import read_arrays, with_arrays
from lexer_core.errors import ArtifactError, ReportFormatError
from lexer_core.reporting.report_json import report_from_json
from lexer_core.results.report_data import ReportData
from lexer_core.results.saved_model import SavedFiles, SavedModel
from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from os import PathLike


__all__ = ["Content", "contents", "opened", "read_report", "readable"]

ReportT = TypeVar("ReportT", bound=ReportData)

_ZIP = b"PK\x03\x04"
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_LONGEST_START = 64
_HOW_TO_SAVE = "To save a run: lexer benchmark … -o run.lexer"

_State = tuple[int, int]
"""Size and modification time, which identify a version of a file."""


@frozen(kw_only=True)
class Content:
    """One file of an artifact.

    ``what`` describes it; empty if Lexer does not know the file. ``size_bytes`` is
    its unpacked size.
    """

    name: str
    size_bytes: int
    what: str


def read_report(
    path: str | PathLike[str],
    kind: type[ReportT],
    budget: Budget | None = None,
    folder: TemporaryFolder | None = None,
) -> ReportT:
    """Load a report as :func:`lexer_core.artifact.load` does, as an object of this class.

    ``budget`` limits the size of all that is unpacked, together with other files, and
    ``folder`` is the temporary one that the file is in, which the models keep.
    """
    path = Path(path)
    with readable(path) as file:
        start = file.read(_LONGEST_START).lstrip(_BEFORE_JSON)
    if start.startswith(b"{"):
        return _report_in_json(path, kind)
    with opened(path, budget) as (archive, state):
        listed = _contents_of(archive)
        report = _report(archive, listed, kind)
        if listed.samples:
            report = _with_samples(report, archive, listed.samples)
        rows = list(report.results)
        labels = [row.label for row in rows]
        for number, name in listed.logs.items():
            _label(labels, number, archive)
            rows[number] = attrs.evolve(rows[number], log=archive.text(name, LARGEST_LOG))
        models = tuple(
            _saved_model(model, labels, archive, _PackedFiles(path, model.files, state, folder))
            for model in listed.models
        )
    return attrs.evolve(report, results=tuple(rows), models=models)


def contents(path: str | PathLike[str]) -> tuple[Content, ...]:
    """List the files of an artifact.

    Raises
    ------
    ArtifactError
        The artifact cannot be read, or is invalid.
    """
    with opened(Path(path)) as (archive, _):
        if MANIFEST in archive.names:
            return _merged_contents(archive)
        listed = _contents_of(archive)
        labels = [row.label for row in _report(archive, listed, ReportData).results]
        known = {
            _table_of_contents(archive): "summary for people",
            listed.report: "the report, for programs",
            listed.csv: "the rows, for spreadsheets",
            listed.samples: "all samples, with their rounds and launches",
        }
        for number, name in listed.logs.items():
            known[name] = f"output of the {_label(labels, number, archive)} workers"
        for model in listed.models:
            first, *others = model.files
            whose = ", ".join(_label(labels, number, archive) for number in model.rows)
            known[first] = f"model of {whose}"
            known |= dict.fromkeys(others, f"data of {first}")
        return tuple(
            Content(name=name, size_bytes=archive.size_of(name), what=known.get(name, ""))
            for name in archive.names
        )


def _merged_contents(archive: Archive) -> tuple[Content, ...]:
    manifest = read_manifest(archive)
    known = {MANIFEST: "names, machines and prices, for programs"}
    known |= {run.file: f"the run {run.name}" for run in manifest.runs}
    return tuple(
        Content(name=name, size_bytes=archive.size_of(name), what=known.get(name, ""))
        for name in archive.names
    )


def _report_in_json(path: Path, kind: type[ReportT]) -> ReportT:
    with readable(path) as file:
        text = file.read(LARGEST_REPORT + 1)
    if len(text) > LARGEST_REPORT:
        raise ArtifactError(
            f"{str(path)!r} is too large for the JSON of a run: the maximum is {LARGEST_REPORT} "
            "bytes."
        )
    try:
        return report_from_json(text, kind)
    except ReportFormatError as error:
        raise ArtifactError(
            f"{str(path)!r} cannot be read as a Lexer run: {error.message}",
            hint=error.hint or _HOW_TO_SAVE,
        ) from error


@contextlib.contextmanager
def readable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; raises :class:`ArtifactError` if that is impossible."""
    try:
        if not path.is_file():  # opening a pipe would block
            raise ArtifactError(
                f"{str(path)!r} is not a file."
                if path.exists()
                else f"file {str(path)!r} does not exist."
            )
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"cannot read {str(path)!r}: {reason}.") from error
    with file:
        yield file


@contextlib.contextmanager
def opened(path: Path, budget: Budget | None = None) -> Iterator[tuple[Archive, _State]]:
    """Open the zip at ``path``; raises :class:`ArtifactError` if it is not a safe one."""
    with readable(path) as file:
        # A truncated zip still starts as one, and one with a damaged start still ends as one.
        if file.read(len(_ZIP)) != _ZIP and not zipfile.is_zipfile(file):
            raise ArtifactError(f"{str(path)!r} is not a Lexer run.", hint=_HOW_TO_SAVE)
        file.seek(0)
        status = os.fstat(file.fileno())
        with Archive(file, str(path), budget or Budget(status.st_size)) as archive:
            yield archive, (status.st_size, status.st_mtime_ns)


def _table_of_contents(archive: Archive) -> str:
    if MANIFEST in archive.names:
        raise ArtifactError(
            f"{archive.what} contains merged runs, but a single run is needed here.",
            hint=f"To take one out: lexer show {archive.what} --run NAME -o run.lexer",
        )
    found = [name for name in archive.names if name.endswith(".toml") and "/" not in name]
    if len(found) != 1:
        raise ArtifactError(
            f"{archive.what} is not a Lexer run: it has {len(found) or 'no'} "
            f".toml file{'s' if len(found) > 1 else ''} at the top level, not one."
        )
    return found[0]


def _contents_of(archive: Archive) -> Contents:
    name = _table_of_contents(archive)
    return read_metadata(archive.text(name, LARGEST_METADATA), f"{name!r} in {archive.what}")


def _report(archive: Archive, listed: Contents, kind: type[ReportT]) -> ReportT:
    try:
        return report_from_json(archive.text(listed.report, LARGEST_REPORT), kind)
    except ReportFormatError as error:
        raise ArtifactError(
            f"{listed.report!r} in {archive.what}: {error.message}", hint=error.hint
        ) from error


def _with_samples(report: ReportT, archive: Archive, name: str) -> ReportT:
    with archive.inner(name, LARGEST_SAMPLES) as samples:
        arrays = read_arrays(samples)
        try:
            return with_arrays(report, arrays)
        except ArtifactError as error:
            raise ArtifactError(f"{samples.what}: {error.message}") from error


def _label(labels: Sequence[str], number: int, archive: Archive) -> str:
    try:
        return labels[number]
    except IndexError:
        raise ArtifactError(
            f"{archive.what} refers to row {number}, but its report has {len(labels)} rows."
        ) from None


def _saved_model(
    model: StoredModel, labels: Sequence[str], archive: Archive, files: _PackedFiles
) -> SavedModel:
    for name in model.files:
        archive.size_of(name)  # raises if it is missing
    return SavedModel(
        format=model.format,
        files=files,
        labels=tuple(_label(labels, number, archive) for number in model.rows),
        inputs=model.inputs,
        outputs=model.outputs,
        exporter=model.exporter,
        precision=model.precision,
    )


class _PackedFiles(Sequence[Path]):
    """Files of an artifact, unpacked on first use."""

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        state: _State,
        folder: TemporaryFolder | None,
    ) -> None:
        with contextlib.suppress(FileNotFoundError):  # the current folder was deleted
            path = path.absolute()
        self._path = path
        self._names = names
        self._state = state
        self._folder = folder  # it goes with the last reference
        self._unpacked: SavedFiles | None = None

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Path, ...]: ...
    def __getitem__(self, index: int | slice) -> Path | tuple[Path, ...]:
        return self._files()[index]

    def __getstate__(self) -> dict[str, object]:
        # The unpacked files may not exist where this is unpickled.
        return self.__dict__ | {"_unpacked": None}

    def __repr__(self) -> str:
        return f"<{', '.join(self._names)} of {str(self._path)!r}>"

    def _files(self) -> SavedFiles:
        if self._unpacked is None:
            with opened(self._path) as (archive, state):
                if state != self._state:
                    raise ArtifactError(
                        f"{str(self._path)!r} was changed after it was loaded.",
                        hint="Load it again.",
                    )
                folder = TemporaryFolder("unpacked")
                self._unpacked = SavedFiles(archive.unpack(self._names, folder.path), folder)
        return self._unpacked
