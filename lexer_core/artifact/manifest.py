"""Which runs are in a file of merged runs?

The file is a zip of saved runs, each unchanged, and of this list. It has no ``.toml``
at the top level, which is how it differs from a run.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

from lexer_core.artifact.limits import LARGEST_METADATA
from lexer_core.errors import ArtifactError
from lexer_core.results.attrs_fields import plain
from lexer_core.validated_data import InvalidDataError, check_version, parse_json, validated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.artifact.archive import Archive

__all__ = [
    "LONGEST_NAME",
    "MANIFEST",
    "FailedRun",
    "Manifest",
    "StoredRun",
    "is_name",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "merged.json"
MERGED_VERSION = 1
"""Version of the format that docs/artifact.md documents."""

LONGEST_NAME = 100
_FOLDER = "runs/"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class StoredRun:
    """One run of a file of merged runs.

    Parameters
    ----------
    file
        Its name in the zip.
    sha256
        Checksum of its bytes, in hexadecimal digits.
    name
        The name of the run, unique in the file.
    machine
        The user's name of the machine; empty if it has none.
    price
        What the machine costs, as text; empty if unknown.
    plan
        A digest of what a fleet was asked to measure; empty for other runs.
    """

    file: str = ""
    sha256: str = ""
    name: str
    machine: str = ""
    price: str = ""
    plan: str = ""


@frozen(kw_only=True)
class FailedRun:
    """A run of a fleet that a machine could not do.

    Parameters
    ----------
    machine
        The name of the machine.
    run
        What it was to measure.
    reason
        Why there is no result, with how to fix it.
    plan
        As for :class:`StoredRun`.
    """

    machine: str
    run: str
    reason: str
    plan: str = ""


def _runs(runs: Iterable[StoredRun]) -> tuple[StoredRun, ...]:
    return tuple(runs)


def _failed(failed: Iterable[FailedRun]) -> tuple[FailedRun, ...]:
    return tuple(failed)


@frozen(kw_only=True)
class Manifest:
    """The list, in the order in which the runs are shown."""

    runs: tuple[StoredRun, ...] = field(converter=_runs)
    failed: tuple[FailedRun, ...] = field(default=(), converter=_failed)


def is_name(text: str) -> bool:
    """Return whether a text can name a run or a machine."""
    return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_NAME


def write_manifest(manifest: Manifest) -> str:
    """Return the list as JSON."""
    fields = cast("dict[str, Any]", plain(manifest))
    return json.dumps({"schema_version": MERGED_VERSION, **fields}, indent=2) + "\n"


def read_manifest(archive: Archive) -> Manifest:
    """Read the list of a file of merged runs.

    Raises
    ------
    ArtifactError
        It is invalid, has a newer version, or lists a file that is not there.
    """
    what = f"{MANIFEST!r} in {archive.what}"
    try:
        data = parse_json(archive.text(MANIFEST, LARGEST_METADATA))
        check_version(data, "schema_version", MERGED_VERSION)
        manifest: Manifest = validated(data, Manifest)
        _check(manifest, set(archive.names))
    except InvalidDataError as error:
        raise ArtifactError(f"{what} is invalid: {error}.", hint=error.hint) from error
    return manifest


def _check(manifest: Manifest, names: set[str]) -> None:
    if not manifest.runs:
        raise InvalidDataError("it lists no runs", "runs")
    seen: set[str] = set()
    for at, run in enumerate(manifest.runs):
        place = f"runs[{at}]"
        if run.file not in names or not run.file.startswith(_FOLDER) or run.file in seen:
            raise InvalidDataError(f"there is no run {run.file!r}", f"{place}.file")
        if not _DIGEST.fullmatch(run.sha256):
            raise InvalidDataError("not a SHA-256 checksum", f"{place}.sha256")
        if not is_name(run.name) or run.name in seen:
            raise InvalidDataError(f"{run.name!r} is not a name of one run", f"{place}.name")
        if run.machine and not is_name(run.machine):
            raise InvalidDataError(f"{run.machine!r} is not a name", f"{place}.machine")
        seen |= {run.file, run.name}
    for at, failed in enumerate(manifest.failed):
        if not is_name(failed.machine):
            raise InvalidDataError(f"{failed.machine!r} is not a name", f"failed[{at}].machine")
