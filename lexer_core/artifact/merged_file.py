"""How are several runs kept in one file, and read again?

Each run is stored as it is, without compression, so that what it can unpack to is
limited by the size of the whole file. Its checksum is checked before it is read.
"""

from __future__ import annotations

import hashlib
import zipfile
from typing import IO, TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.artifact.archive import Budget
from lexer_core.artifact.limits import LARGEST_METADATA
from lexer_core.artifact.manifest import (
    MANIFEST,
    FailedRun,
    Manifest,
    StoredRun,
    read_manifest,
    write_manifest,
)
from lexer_core.artifact.names import clean_name
from lexer_core.artifact.read import opened, readable
from lexer_core.artifact.write import EntryWriter
from lexer_core.errors import ArtifactError
from lexer_core.output_files import replaced_file
from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["KeptFile", "RunInFile", "is_merged_file", "kept_file", "read_merged", "write_merged"]

_ZIP = b"PK\x03\x04"


@frozen(kw_only=True, eq=False)
class KeptFile:
    """The bytes of a saved run: where they are, and their checksum.

    ``folder`` keeps a temporary file for as long as this object exists.
    """

    path: Path
    sha256: str
    folder: TemporaryFolder | None = None


@frozen(kw_only=True, eq=False)
class RunInFile:
    """A run of a merged file: its entry, and its bytes or what is wrong with them."""

    stored: StoredRun
    kept: KeptFile | None = None
    problem: ArtifactError | None = None


def is_merged_file(path: Path) -> bool:
    """Return whether a file contains merged runs.

    Raises
    ------
    ArtifactError
        It cannot be read, or is a damaged or unsafe zip.
    """
    with readable(path) as file:
        if file.read(len(_ZIP)) != _ZIP:
            return False
    with opened(path) as (archive, _):
        return MANIFEST in archive.names


def kept_file(path: Path) -> KeptFile:
    """Return a file with its checksum.

    Raises
    ------
    ArtifactError
        It cannot be read.
    """
    with readable(path) as file:
        return KeptFile(path=path, sha256=_digest(file, path))


def read_merged(path: Path) -> tuple[tuple[RunInFile, ...], tuple[FailedRun, ...], Budget]:
    """Unpack the runs of a merged file to a temporary folder.

    Returns
    -------
    tuple of RunInFile
        The runs. A damaged one has a ``problem`` instead of its bytes.
    tuple of FailedRun
        What machines of a fleet could not measure.
    Budget
        What reading all of the runs may unpack to, together.

    Raises
    ------
    ArtifactError
        The file as a whole is damaged or malicious.
    """
    with opened(path) as (archive, (size, _)):
        manifest = read_manifest(archive)
        for run in manifest.runs:
            if not archive.is_stored(run.file):
                raise ArtifactError(f"{run.file!r} in {archive.what} must not be compressed.")
        if sum(archive.size_of(run.file) for run in manifest.runs) > size:
            raise ArtifactError(f"the runs in {archive.what} are larger than the file itself.")
        folder = TemporaryFolder("runs")
        found = []
        for number, run in enumerate(manifest.runs):
            part = folder.path / str(number)
            part.mkdir()
            try:
                (unpacked,) = archive.unpack([run.file], part)
                kept = kept_file(unpacked)
                if kept.sha256 != run.sha256:
                    raise ArtifactError(
                        f"{run.file!r} in {archive.what} is damaged: its checksum is wrong."
                    )
            except ArtifactError as error:
                found.append(RunInFile(stored=run, problem=error))
                continue
            file = KeptFile(path=unpacked, sha256=run.sha256, folder=folder)
            found.append(RunInFile(stored=run, kept=file))
    return tuple(found), manifest.failed, Budget(size)


def write_merged(
    path: Path,
    runs: Sequence[tuple[StoredRun, KeptFile]],
    failed: Sequence[FailedRun] = (),
) -> None:
    """Write runs to one file, completely or not at all.

    Parameters
    ----------
    path
        The file. An existing file is replaced.
    runs
        What to list of each run, and its bytes. Its name in the zip and its checksum
        are filled in.
    failed
        What machines of a fleet could not measure.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    ArtifactError
        A run was changed after it was read.
    """
    stored = tuple(
        attrs.evolve(
            run,
            file=f"runs/{at}-{clean_name(run.name, 'run')}{_suffix(kept.path)}",
            sha256=kept.sha256,
        )
        for at, (run, kept) in enumerate(runs, start=1)
    )
    with replaced_file(path) as file, zipfile.ZipFile(file, "w") as target:
        writer = EntryWriter(target, "")  # the same runs give the same bytes
        text = write_manifest(Manifest(runs=stored, failed=failed))
        writer.text(MANIFEST, text, LARGEST_METADATA)
        for run, (_, kept) in zip(stored, runs, strict=True):
            with readable(kept.path) as content:
                if _digest(content, kept.path) != run.sha256:
                    raise ArtifactError(
                        f"{str(kept.path)!r} was changed after it was read.", hint="Merge again."
                    )
                writer.copy(run.file, content, kept.path.stat().st_size)


def _suffix(path: Path) -> str:
    return ".json" if path.suffix.lower() == ".json" else ".lexer"


def _digest(file: IO[bytes], path: Path) -> str:
    try:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise ArtifactError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
