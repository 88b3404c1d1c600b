"""How is a report saved to one file?"""

from __future__ import annotations

import io
import shutil
import stat
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attrs import frozen

from lexer_core.artifact.archive import MEBIBYTE
from lexer_core.artifact.limits import LARGEST_LOG, LARGEST_METADATA, LARGEST_REPORT
from lexer_core.artifact.metadata import Contents, StoredModel, write_metadata
from lexer_core.artifact.names import REPORT, SAMPLES, clean_name, log_name, model_names
from lexer_core.artifact.samples import raw_arrays, write_arrays
from lexer_core.errors import ArtifactError, UsageError
from lexer_core.output_files import replaced_file
from lexer_core.reporting.report_csv import report_to_csv
from lexer_core.reporting.report_json import report_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from lexer_core.results import ReportData

__all__ = [
    "LARGE_MODEL_BYTES",
    "SUFFIX",
    "EntryWriter",
    "artifact_path",
    "save",
    "save_as_set",
]

SUFFIX = ".lexer"

LARGE_MODEL_BYTES = 512 * MEBIBYTE
"""Models with a larger total size cause a warning before they are written."""

_OLDEST, _NEWEST = 1980, 2107  # years that a zip can represent


@frozen(kw_only=True, eq=False)
class _Packed:
    """A model with its files, and their names in the artifact."""

    stored: StoredModel
    files: tuple[Path, ...]
    size_bytes: int


def artifact_path(name: str, directory: str | PathLike[str] = ".") -> Path:
    """Return the path of an artifact for the arguments of :meth:`LexerContext.flush`.

    Raises
    ------
    UsageError
        The name is empty or contains a folder.
    """
    stem = name.removesuffix(SUFFIX)
    if not stem or stem in (".", "..") or any(sign in stem for sign in "/\\\0"):
        raise UsageError(
            f"{name!r} is not a valid file name.",
            hint="Pass the folder as target_directory: "
            "flush(name='run', target_directory='results').",
        )
    return Path(directory) / f"{stem}{SUFFIX}"


def save(
    report: ReportData,
    path: str | PathLike[str],
    *,
    name: str | None = None,
    include_model: bool = True,
    include_csv: bool = True,
    warn: Callable[[str], object] | None = None,
) -> Path:
    """Save a report to one file, completely or not at all.

    Parameters
    ----------
    report
        The report, with its raw samples, logs and models.
    path
        The file. An existing file is replaced.
    name
        The title, and the name of the files in the artifact. Default: the name of
        the file.
    include_model, include_csv
        Whether to include the exported models, and a CSV file of the rows.
    warn
        Called before anything is written, with a warning about a large model or
        one that is no longer available. Default: :func:`warnings.warn`.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    ArtifactError
        The report is invalid: its samples are not numbers, for example.
    """
    path = Path(path)
    title = path.name.removesuffix(SUFFIX) if name is None else name
    stem = clean_name(title, "benchmark")
    models, left_out = _pack(report, stem) if include_model else ([], [])
    for text in (*left_out, *_warning_of_size(models, path)):
        if warn is None:
            warnings.warn(text, stacklevel=2)
        else:
            warn(text)
    arrays = raw_arrays(report)
    logs = {
        number: log_name(number + 1, row.label)
        for number, row in enumerate(report.results)
        if row.log
    }
    contents = Contents(
        report=REPORT,
        csv=f"{stem}.csv" if include_csv else "",
        samples=SAMPLES if arrays else "",
        logs=logs,
        models=tuple(model.stored for model in models),
    )
    table_of_contents = write_metadata(
        report, contents, title=title, updated_at=datetime.now(UTC), left_out=left_out
    )
    with replaced_file(path) as file, zipfile.ZipFile(file, "w") as target:
        writer = EntryWriter(target, report.created_at)
        # Files for people come first, and large ones last.
        writer.text(f"{stem}.toml", table_of_contents, LARGEST_METADATA)
        if include_csv:
            writer.text(contents.csv, report_to_csv(report), LARGEST_REPORT)
        writer.text(contents.report, report_to_json(report), LARGEST_REPORT)
        for number, log in logs.items():
            writer.text(log, report.results[number].log, LARGEST_LOG)
        if arrays:
            packed = io.BytesIO()
            write_arrays(packed, arrays)
            writer.copy(SAMPLES, packed, packed.tell())
        for model in models:
            for stored, part in zip(model.stored.files, model.files, strict=True):
                with part.open("rb") as content:
                    writer.copy(stored, content, part.stat().st_size)
    return path


def save_as_set(
    report: ReportData, path: Path, *, warn: Callable[[str], object] | None = None
) -> Path:
    """Save a report with or without models and CSV, according to its own settings.

    Parameters
    ----------
    report
        The report. Its settings ``include_model`` and ``include_csv`` apply;
        without them, both are included.
    path
        The file. An existing file is replaced.
    warn
        As for :func:`save`, which also lists the errors.

    Returns
    -------
    Path
        ``path``.
    """
    return save(
        report,
        path,
        include_model=report.settings.get("include_model") is not False,
        include_csv=report.settings.get("include_csv") is not False,
        warn=warn,
    )


class EntryWriter:
    """Writes entries to a zip; the same content gives the same bytes."""

    def __init__(self, target: zipfile.ZipFile, created_at: str) -> None:
        self._target = target
        self._time = _zip_time(created_at)

    def text(self, name: str, text: str, largest: int) -> None:
        """Write UTF-8 text, deflated."""
        # Characters that cannot be encoded are escaped; JSON has none.
        content = text.encode("utf-8", "backslashreplace")
        if len(content) > largest:
            raise ArtifactError(
                f"{name} would have {len(content)} bytes; the maximum is {largest}."
            )
        with self._open(name, len(content), zipfile.ZIP_DEFLATED) as entry:
            entry.write(content)

    def copy(self, name: str, content: IO[bytes], size: int) -> None:
        """Write content without compression, because it is compressed or incompressible."""
        content.seek(0)
        with self._open(name, size, zipfile.ZIP_STORED) as entry:
            shutil.copyfileobj(content, entry, MEBIBYTE)

    def _open(self, name: str, size: int, method: int) -> IO[bytes]:
        entry = zipfile.ZipInfo(name, date_time=self._time)
        entry.compress_type = method
        entry.file_size = size
        entry.create_system = 3
        entry.external_attr = (stat.S_IFREG | 0o644) << 16
        return self._target.open(entry, "w")


def _pack(report: ReportData, stem: str) -> tuple[list[_Packed], list[str]]:
    """Name the files of the models; returns also warnings about unavailable ones."""
    packed: list[_Packed] = []
    left_out = []
    rows = {row.label: number for number, row in enumerate(report.results)}
    for number, model in enumerate(report.models, start=1):
        try:
            files = tuple(model.files)
            root = files[0].parent
            parts = [file.relative_to(root).as_posix() for file in files]
            at_top = model.format == "onnx" and not any(
                other.stored.format == "onnx" for other in packed
            )
            names = model_names(parts, f"{stem}.onnx" if at_top else "", number)
            size = sum(file.stat().st_size for file in files)
        except (ArtifactError, OSError, ValueError) as error:
            reason = error.message if isinstance(error, ArtifactError) else f"{error}."
            labels = ", ".join(model.labels)
            left_out.append(f"the model of {labels} is not included: {reason}")
            continue
        stored = StoredModel(
            format=model.format,
            exporter=model.exporter,
            precision=model.precision,
            files=names,
            rows=tuple(rows[label] for label in model.labels if label in rows),
            inputs=model.inputs,
            outputs=model.outputs,
        )
        packed.append(_Packed(stored=stored, files=files, size_bytes=size))
    return packed, left_out


def _warning_of_size(models: Sequence[_Packed], path: Path) -> Iterator[str]:
    total = sum(model.size_bytes for model in models)
    if total > LARGE_MODEL_BYTES:
        yield (
            f"{path.name} will take {total / 2**30:.1f} GiB because it includes the model; "
            "to leave it out, use include_model=False or --no-model"
        )


def _zip_time(created_at: str) -> tuple[int, int, int, int, int, int]:
    try:
        time = datetime.fromisoformat(created_at)
    except ValueError:
        time = datetime(_OLDEST, 1, 1, tzinfo=UTC)
    if not _OLDEST <= time.year <= _NEWEST:
        time = datetime(_OLDEST, 1, 1, tzinfo=UTC)
    return time.year, time.month, time.day, time.hour, time.minute, time.second
