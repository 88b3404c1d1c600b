"""How is a cached export described on disk?

In ``entry.json``, next to its files. The file is not trusted: a description that
is not exactly as expected raises ``ValueError``.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import asdict, evolve, field, frozen

from lexer_core.records import ExportedModel, TensorSpec

__all__ = ["ENTRY_FILE", "Entry", "StoredFile", "read_entry", "write_entry"]

ENTRY_FILE = "entry.json"

_SCHEMA = 1
_LARGEST_DESCRIPTION = 1 << 24


@frozen(kw_only=True)
class StoredFile:
    """A file of an entry: path in the entry's folder, size in bytes, BLAKE2b digest."""

    name: str
    size: int
    digest: str


@frozen(kw_only=True)
class Entry:
    """A cached export.

    Parameters
    ----------
    key
        Its fingerprint.
    model_name
        The user's name for the model.
    created_at, used_at
        Seconds since the epoch.
    export_seconds
        How long the export took.
    exported
        The export; its ``path`` is not set.
    model_file
        Name of the file that is the model.
    files
        All files.
    """

    key: str
    model_name: str
    created_at: float
    used_at: float = 0.0
    export_seconds: float
    exported: ExportedModel = field(eq=False)
    model_file: str
    files: tuple[StoredFile, ...]

    @property
    def size_bytes(self) -> int:
        """Total size of the files."""
        return sum(file.size for file in self.files)


def write_entry(folder: Path, entry: Entry) -> None:
    """Write the description of an entry to its folder."""
    exported = entry.exported
    description = {
        "schema": _SCHEMA,
        "key": entry.key,
        "model_name": entry.model_name,
        "created_at": entry.created_at,
        "export_seconds": entry.export_seconds,
        "model_file": entry.model_file,
        "files": [asdict(file) for file in entry.files],
        "exported": {
            "format": exported.format,
            "inputs": [asdict(spec) for spec in exported.inputs],
            "outputs": [asdict(spec) for spec in exported.outputs],
            "size_bytes": exported.size_bytes,
            "exporter": exported.exporter,
            "specific_to": exported.specific_to,
            "notes": list(exported.notes),
        },
    }
    (folder / ENTRY_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_entry(folder: Path, key: str) -> Entry:
    """Read the description of an entry and check that its files exist.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is not a valid description of that entry, or a file has another size.
    """
    place = folder / ENTRY_FILE
    status = place.stat()
    if status.st_size > _LARGEST_DESCRIPTION:
        raise ValueError(f"{ENTRY_FILE} is too large")
    try:
        entry = _entry(json.loads(place.read_text(encoding="utf-8")))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{ENTRY_FILE} is incomplete") from error
    if entry.key != key:
        raise ValueError(f"{ENTRY_FILE} is that of another entry")
    if entry.model_file not in {file.name for file in entry.files}:
        raise ValueError(f"{ENTRY_FILE} names no model")
    for file in entry.files:
        if (folder / file.name).stat().st_size != file.size:
            raise ValueError(f"{file.name} has another size")
    return evolve(entry, used_at=status.st_mtime)


def _entry(data: Any) -> Entry:
    if data["schema"] != _SCHEMA:
        raise ValueError("of another version of Lexer")
    exported = data["exported"]
    return Entry(
        key=_text(data["key"]),
        model_name=_text(data["model_name"]),
        created_at=float(data["created_at"]),
        export_seconds=float(data["export_seconds"]),
        model_file=_text(data["model_file"]),
        files=tuple(
            StoredFile(
                name=_safe_name(item["name"]),
                size=_count(item["size"]),
                digest=_text(item["digest"]),
            )
            for item in data["files"]
        ),
        exported=ExportedModel(
            format=_text(exported["format"]),
            inputs=_specs(exported["inputs"]),
            outputs=_specs(exported["outputs"]),
            size_bytes=_count(exported["size_bytes"]),
            exporter=_text(exported["exporter"]),
            specific_to=_text(exported["specific_to"]),
            notes=tuple(_text(note) for note in exported["notes"]),
        ),
    )


def _specs(items: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=_text(item["name"]),
            dtype=_text(item["dtype"]),
            shape=tuple(dim if isinstance(dim, str) else _count(dim) for dim in item["shape"]),
        )
        for item in items
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a number of bytes or elements")
    return value


def _safe_name(value: Any) -> str:
    """A name that stays below the entry's folder on every system."""
    name = PurePosixPath(_text(value))
    if name.is_absolute() or ".." in name.parts or "\\" in str(name) or ":" in str(name):
        raise ValueError(f"{str(name)!r} leaves the entry's folder")
    if name.name in ("", ENTRY_FILE):
        raise ValueError(f"{str(name)!r} cannot be a file of an entry")
    return name.as_posix()
