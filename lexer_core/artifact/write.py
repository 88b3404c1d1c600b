"""How is a benchmark written to one file?"""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from lexer_core.report import BenchmarkReport

__all__ = ["LARGE_MODEL_BYTES", "SUFFIX", "artifact_path", "save", "save_as_set"]

SUFFIX = ".lexer"

LARGE_MODEL_BYTES = 512 * MEBIBYTE
"""Of models larger than this together one is warned before they are written."""

_OLDEST, _NEWEST = 1980, 2107  # years that a zip can name


@frozen(kw_only=True, eq=False)
class _Packed:
    """One model with its files, and their names in the artifact."""

    stored: StoredModel
    files: tuple[Path, ...]
    size_bytes: int


def artifact_path(name: str, directory: str | PathLike[str] = ".") -> Path:
    """Give the path of an artifact from its name, as :meth:`LexerContext.flush` has it.

    Raises
    ------
    UsageError
        The name is empty, or would lead to another folder.
    """
    stem = name.removesuffix(SUFFIX)
    if not stem or stem in (".", "..") or any(sign in stem for sign in "/\\\0"):
        raise UsageError(
            f"{name!r} cannot be the name of a file.",
            hint="Name the file alone, and its folder as target_directory: "
            "flush(name='run', target_directory='results').",
        )
    return Path(directory) / f"{stem}{SUFFIX}"


def save(
    report: BenchmarkReport,
    path: str | PathLike[str],
    *,
    name: str | None = None,
    include_model: bool = True,
    include_csv: bool = True,
    warn: Callable[[str], object] | None = None,
) -> Path:
    """Write a benchmark to one file, as a whole or not at all.

    Parameters
    ----------
    report
        What to write, with its raw samples, logs and models.
    path
        Where to; a file that is there is replaced.
    name
        Its title, and the name of the files in it; that of the file unless
        given.
    include_model, include_csv
        Whether the exported models go in, and the rows for spreadsheets.
    warn
        Told, before anything is written, of a large model, and of one that
        cannot be had any more; :func:`warnings.warn` unless given.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    ArtifactError
        The report holds what no benchmark has: samples that are no numbers, say.
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
        writer = _Writer(target, report.created_at)
        # What a person looks for comes first, and what is large last.
        writer.text(f"{stem}.toml", table_of_contents, LARGEST_METADATA)
        if include_csv:
            writer.text(contents.csv, report.to_csv(), LARGEST_REPORT)
        writer.text(contents.report, report.to_json(), LARGEST_REPORT)
        for number, log in logs.items():
            writer.text(log, report[number].log, LARGEST_LOG)
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
    report: BenchmarkReport, path: Path, *, warn: Callable[[str], object] | None = None
) -> Path:
    """Save with or without models and CSV, as the report's own settings say.

    Parameters
    ----------
    report
        What to write; its settings ``include_model`` and ``include_csv`` hold,
        and where it has none of that name, both go in.
    path
        Where to; a file that is there is replaced.
    warn
        As for :func:`save`, which also says what is raised.

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


class _Writer:
    """Puts entries into a zip; the same content gives the same bytes."""

    def __init__(self, target: zipfile.ZipFile, created_at: str) -> None:
        self._target = target
        self._time = _zip_time(created_at)

    def text(self, name: str, text: str, largest: int) -> None:
        """Write UTF-8 text, deflated."""
        # What cannot be encoded is written as its escape; JSON has none of it.
        content = text.encode("utf-8", "backslashreplace")
        if len(content) > largest:
            raise ArtifactError(
                f"{name} would have {len(content)} bytes, and at most {largest} are read back."
            )
        with self._open(name, len(content), zipfile.ZIP_DEFLATED) as entry:
            entry.write(content)

    def copy(self, name: str, content: IO[bytes], size: int) -> None:
        """Write what is packed already, or what packs badly, as it is."""
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


def _pack(report: BenchmarkReport, stem: str) -> tuple[list[_Packed], list[str]]:
    """Name the files of the models; tell of those that cannot be had any more."""
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
            left_out.append(f"the model of {labels} is left out: {reason}")
            continue
        stored = StoredModel(
            format=model.format,
            exporter=model.exporter,
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
            f"{path.name} will have {total / 2**30:.1f} GiB, because the model is in it; "
            "leave it out with include_model=False or --no-model"
        )


def _zip_time(created_at: str) -> tuple[int, int, int, int, int, int]:
    try:
        time = datetime.fromisoformat(created_at)
    except ValueError:
        time = datetime(_OLDEST, 1, 1, tzinfo=UTC)
    if not _OLDEST <= time.year <= _NEWEST:
        time = datetime(_OLDEST, 1, 1, tzinfo=UTC)
    return time.year, time.month, time.day, time.hour, time.minute, time.second
