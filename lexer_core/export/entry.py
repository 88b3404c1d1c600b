"""How is a cached export described on disk?

In ``entry.json``, next to its files. The file is not trusted: a description that
is not valid raises ``ValueError``.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import Attribute, asdict, evolve, field, frozen

from lexer_core.records import ExportedModel  # noqa: TC001  validated() resolves it
from lexer_core.validated_data import InvalidDataError, check_version, parse_json, validated

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
    known_wrong
        Whether it gave wrong outputs although it had just been made again, so that
        making it again is of no use.
    """

    key: str
    model_name: str
    created_at: float
    used_at: float = 0.0
    export_seconds: float
    exported: ExportedModel = field(eq=False)
    model_file: str
    files: tuple[StoredFile, ...]
    known_wrong: bool = False

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
        "known_wrong": entry.known_wrong,
        "exported": {
            "format": exported.format,
            "inputs": [asdict(spec) for spec in exported.inputs],
            "outputs": [asdict(spec) for spec in exported.outputs],
            "size_bytes": exported.size_bytes,
            "exporter": exported.exporter,
            "specific_to": exported.specific_to,
            "notes": list(exported.notes),
            "precision": exported.precision,
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
        It is not a valid description of that entry, or a file has the wrong size.
    """
    place = folder / ENTRY_FILE
    status = place.stat()
    if status.st_size > _LARGEST_DESCRIPTION:
        raise ValueError(f"{ENTRY_FILE} is too large")
    try:
        data = parse_json(place.read_bytes())
        check_version(data, "schema", _SCHEMA)
        entry: Entry = validated(data, Entry, skip=_is_not_stored)
    except InvalidDataError as error:
        raise ValueError(f"{ENTRY_FILE} is invalid: {error}") from error
    if entry.key != key:
        raise ValueError(f"{ENTRY_FILE} belongs to another entry")
    if entry.model_file not in {file.name for file in entry.files}:
        raise ValueError(f"{ENTRY_FILE} does not list the model file {entry.model_file!r}")
    for file in entry.files:
        _check_name(file.name)
        if (folder / file.name).stat().st_size != file.size:
            raise ValueError(f"{file.name} has the wrong size")
    return evolve(entry, used_at=status.st_mtime)


def _is_not_stored(field: Attribute[Any]) -> bool:
    return field.name in ("path", "model", "used_at")


def _check_name(text: str) -> None:
    """Check that a file's name is inside the entry's folder on every system."""
    name = PurePosixPath(text)
    if name.is_absolute() or ".." in name.parts or "\\" in text or ":" in text:
        raise ValueError(f"{text!r} is outside the entry's folder")
    if name.name in ("", ENTRY_FILE):
        raise ValueError(f"{text!r} is not a valid name of an entry's file")
