"""Which exports has an engine converted to a precision, and are the results cached?

An export is converted once for each engine and precision. The result of an earlier run
is reused if the export, the engine and its version are the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.errors import HookError, LexerError, ModelError, UsageError
from lexer_core.export.file_stamps import file_stamps, was_written_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lexer_core.export.exporters import Exporter
    from lexer_core.records import ExportedModel

__all__ = ["Conversion", "Conversions"]


@frozen(kw_only=True, eq=False)
class Conversion:
    """A converted model, how long the conversion took, and whether an earlier run made it.

    ``exported`` is ``None`` if the engine converts nothing. ``stamps`` are those of its
    files when it was made.
    """

    exported: ExportedModel | None
    seconds: float = 0.0
    cached: bool = False
    key: str = ""
    stamps: Mapping[str, tuple[int, int, int]] = field(factory=dict)


_Made = tuple[str, str, int]
"""Name of the engine, precision, and identity of the export."""


class Conversions:
    """All conversions of one model's exports in one run.

    Parameters
    ----------
    new_folder
        Returns a new folder.
    find
        Returns a cached model by its key, and how long it took to make.
    keep
        Puts a model in the cache; returns its key if it is there now.
    discard
        Removes a key from the cache.
    """

    def __init__(
        self,
        *,
        new_folder: Callable[[], Path],
        find: Callable[[str], tuple[ExportedModel, float] | None],
        keep: Callable[[str, ExportedModel, float], str | None],
        discard: Callable[[str], object],
    ) -> None:
        self._new_folder = new_folder
        self._find = find
        self._keep = keep
        self._discard = discard
        # With the exports, so that their identities stay theirs.
        self._made: dict[_Made, tuple[ExportedModel, Conversion | LexerError]] = {}

    def of(
        self, engine: Exporter, exported: ExportedModel, precision: str, *, key: str
    ) -> Conversion:
        """Return an export in a precision.

        Parameters
        ----------
        engine
            The engine that converts it, for itself.
        exported
            The export.
        precision
            The precision.
        key
            The fingerprint of the export; empty if it has none.

        Raises
        ------
        UnsupportedError
            The engine cannot run this model in this precision.
        HookError
            The plugin is wrong.
        """
        made = (engine.name, precision, id(exported))
        if made not in self._made:
            try:
                result: Conversion | LexerError = self._cached_or_new(
                    engine, exported, precision, key
                )
            except (UsageError, ModelError):
                raise
            except LexerError as error:
                result = error
            self._made[made] = (exported, result)
        _, known = self._made[made]
        if isinstance(known, LexerError):
            raise known
        return known

    def original_of(self, path: Path | None) -> ExportedModel | None:
        """Return the export that was converted to a file; ``None`` if none was."""
        for original, result in self._made.values():
            converted = None if isinstance(result, LexerError) else result.exported
            if converted is not None and converted.path == path:
                return original
        return None

    def forget(self, engine: str) -> None:
        """Remove what an engine converted in an earlier run, or what was written to since."""
        for made, (_, result) in list(self._made.items()):
            if made[0] != engine or isinstance(result, LexerError):
                continue
            path = None if result.exported is None else result.exported.path
            if result.cached or was_written_to(path, result.stamps):
                del self._made[made]
                if result.key:
                    self._discard(result.key)

    def _cached_or_new(
        self, engine: Exporter, exported: ExportedModel, precision: str, key: str
    ) -> Conversion:
        own_key = _key(engine, precision, key) if key else ""
        found = self._find(own_key) if own_key else None
        if found is not None:
            cached, seconds = found
            return Conversion(
                exported=cached,
                seconds=seconds,
                cached=True,
                key=own_key,
                stamps=file_stamps(cached.path),
            )
        before = file_stamps(exported.path)
        start = time.perf_counter()
        converted = engine.convert_model(exported, precision, self._new_folder())
        seconds = time.perf_counter() - start
        if was_written_to(exported.path, before):
            raise HookError(
                f"engine {engine.name!r}: lexer_convert_model wrote to the export {exported.path}.",
                engine=engine.name,
                hook="lexer_convert_model",
                hint="Other engines load that file. Write to the folder `workdir` only.",
            )
        if converted is None:
            return Conversion(exported=None)
        kept = self._keep(own_key, converted, seconds) if own_key else None
        return Conversion(
            exported=converted,
            seconds=seconds,
            key=kept or "",
            stamps=file_stamps(converted.path),
        )


def _key(engine: Exporter, precision: str, key: str) -> str:
    facts = ["conversion", key, engine.name, engine.distribution, engine.version, precision]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
