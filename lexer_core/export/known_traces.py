"""Which program does the trace of a model give, as far as an earlier run found out?

One small JSON file for each model, named after its digest; reading it never runs code.
A file that is not valid counts as missing.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import time
from collections.abc import Mapping  # noqa: TC003  validated() resolves it
from pathlib import Path

from attrs import asdict, frozen

from lexer_core.validated_data import InvalidDataError, check_version, parse_json, validated

__all__ = ["KnownTrace", "KnownTraces"]

_SCHEMA = 1
_MOST = 1000
_LARGEST = 1 << 16
_DIGEST = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class KnownTrace:
    """The result of a trace.

    Parameters
    ----------
    program
        :func:`~lexer_core.export.fingerprint.digest_program` of the program.
    identity
        :func:`~lexer_core.export.identity.program_identity` of the program.
    """

    program: str
    identity: Mapping[str, str]


class KnownTraces:
    """The traces of earlier runs.

    Parameters
    ----------
    directory
        The folder; it is created with the first trace. The oldest of more than 1000
        traces are removed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, digest: str) -> KnownTrace | None:
        """Return the trace of the model with this digest, if it is known."""
        try:
            content = self._path(digest).read_bytes()[: _LARGEST + 1]
            if len(content) > _LARGEST:
                return None
            data = parse_json(content)
            check_version(data, "schema", _SCHEMA)
            trace: KnownTrace = validated(data, KnownTrace)
        except (OSError, InvalidDataError):
            return None
        return trace if _DIGEST.fullmatch(trace.program) else None

    def add(self, digest: str, trace: KnownTrace) -> None:
        """Add a trace.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema": _SCHEMA, **asdict(trace)})
        # Renamed when complete, so that another process never reads a part.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self.directory, suffix=".part", delete=False
        ) as file:
            file.write(text)
        Path(file.name).replace(self._path(digest))
        for _, path in self._by_age()[:-_MOST]:
            path.unlink(missing_ok=True)

    def discard(self, digest: str) -> None:
        """Remove a trace that proved wrong."""
        with contextlib.suppress(OSError):
            self._path(digest).unlink()

    def clear(self, *, older_than: float | None = None) -> None:
        """Remove all traces, or those made more than this many seconds ago."""
        newest = time.time() - (older_than or 0.0)
        for made, path in self._by_age():
            if older_than is None or made < newest:
                path.unlink(missing_ok=True)

    def _by_age(self) -> list[tuple[float, Path]]:
        by_age = []
        for path in self.directory.glob("*") if self.directory.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # removed by another process
                by_age.append((path.stat().st_mtime, path))
        return sorted(by_age)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest")
        return self.directory / f"{digest}.json"
