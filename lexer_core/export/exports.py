"""Who makes the format that an engine accepts, and is it there already?

The engine itself is asked first, then every other ready engine. One export
serves all engines that accept it; one of an earlier run serves again where its
fingerprint is the same.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.errors import (
    CacheError,
    ExportError,
    LexerError,
    ModelError,
    UnsupportedError,
    UsageError,
)
from lexer_core.export.cache import ExportCache
from lexer_core.export.exporters import check_destination, no_exporter
from lexer_core.export.traced_source import TracedSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lexer_core.export.exporters import Engines, Exporter
    from lexer_core.records import Device, ExportedModel, ModelSource, OptionValue

__all__ = ["ExportOutcome", "Exports", "export_for"]

_LIVE_FORMATS = frozenset({"torch"})
"""Formats that are live objects: making one costs less than finding it again."""


@frozen(kw_only=True, eq=False)
class ExportOutcome:
    """An export, and how it was come by.

    Parameters
    ----------
    exported
        The model in a format that the engine accepts.
    seconds
        What making it cost when it was made, tracing included.
    cached
        Whether that was in an earlier run.
    maker
        Name of the engine that made it.
    key
        Its fingerprint, where it is in the cache.
    notes
        What a reader of the row should know.
    """

    exported: ExportedModel
    seconds: float
    cached: bool
    maker: str
    key: str = ""
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class _Wanted:
    """What was asked for; equal ones share an export."""

    format: str
    options: frozenset[tuple[str, str, OptionValue]]


@frozen(eq=False)
class _Attempts:
    """What came of one wish so far: an outcome, or an error for each maker."""

    outcomes: list[ExportOutcome] = field(factory=list)
    errors: dict[str, LexerError | None] = field(factory=dict)


class Exports:
    """All exports of one model in one run.

    Parameters
    ----------
    source
        The model. A module is traced when the first export that can be cached
        is asked for, and the program is then handed to the exporters, so that
        it is traced once.
    registry
        The engines.
    directory
        Where exports are written, each into a new folder.
    use_cache
        Whether exports of earlier runs may serve, and these be kept.
    cache
        The cache; the user's own unless given.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        registry: Engines,
        directory: Path,
        use_cache: bool = True,
        cache: ExportCache | None = None,
    ) -> None:
        self._model = TracedSource(source)
        self._registry = registry
        self._directory = directory
        self._cache = (cache or ExportCache()) if use_cache else None
        self._attempts: dict[_Wanted, _Attempts] = {}
        self._served: dict[str, set[_Wanted]] = {}
        self._folders = 0
        self._notes: list[str] = []

    def for_engine(
        self, engine: str | Exporter, device: str, options: Mapping[str, OptionValue]
    ) -> ExportOutcome:
        """Export to the first format of an engine that can be made.

        Parameters
        ----------
        engine, device
            Whom it is for, by name; or an engine that is not in the registry.
        options
            Options of export.

        Raises
        ------
        DeviceUnavailableError
            The engine has no such device.
        ExportError
            A format could be made, but not from this model; or nothing that is
            installed makes any, and the error says what would.
        UnsupportedError
            The engine cannot run a model of this kind.
        """
        asked = self._registry.get(engine) if isinstance(engine, str) else engine
        formats = asked.info.formats
        if self._model.source.onnx_path is not None and "onnx" not in formats:
            raise UnsupportedError(
                f"{asked.info.display_name} cannot run an .onnx file.",
                engine=asked.name,
                hint=f"It runs: {', '.join(formats)}.",
            )
        # After that: to list its devices an engine may import its runtime.
        place = asked.find_device(device)
        errors: list[LexerError] = []
        for name in formats:
            wanted = _wanted(name, options)
            for maker in self._makers(asked):
                made = self._make(wanted, maker, asked.name, place, options)
                if isinstance(made, ExportOutcome):
                    self._served.setdefault(asked.name, set()).add(wanted)
                    return made
                if made is not None:
                    errors.append(made)
        if errors:
            # What the exporter says of the model before what befell a plugin.
            raise next((error for error in errors if isinstance(error, ExportError)), errors[0])
        raise no_exporter(
            self._model.source, formats, self._registry.listings(), whom=asked.info.display_name
        )

    def _makers(self, asked: Exporter) -> Iterator[Exporter]:
        """The engine itself; the others are loaded only when it does not make the format."""
        yield asked
        yield from (other for other in self._registry.ready() if other.name != asked.name)

    def to_format(
        self, format: str, device: Device, options: Mapping[str, OptionValue]
    ) -> ExportOutcome:
        """Export to one format, whichever engine makes it; raises like :meth:`for_engine`."""
        wanted = _wanted(format, options)
        errors: list[LexerError] = []
        for maker in self._registry.ready():
            made = self._make(wanted, maker, maker.name, device, options)
            if isinstance(made, ExportOutcome):
                self._served.setdefault(maker.name, set()).add(wanted)
                return made
            if made is not None:
                errors.append(made)
        if errors:
            raise errors[0]
        raise no_exporter(self._model.source, (format,), self._registry.listings(), whom="")

    @property
    def program(self) -> object:
        """The ``torch.export`` program, where one was given or has been traced by now."""
        return self._model.source.program

    def discard_cached(self, engine: str) -> None:
        """Forget what an engine was served from the cache; the next wish makes it anew."""
        for wanted in self._served.pop(engine, set()):
            attempts = self._attempts[wanted]
            for outcome in [item for item in attempts.outcomes if item.cached]:
                attempts.outcomes.remove(outcome)
                if self._cache is not None:
                    with self._cache_trouble():
                        self._cache.discard(outcome.key)

    def _make(
        self,
        wanted: _Wanted,
        maker: Exporter,
        engine: str,
        device: Device,
        options: Mapping[str, OptionValue],
    ) -> ExportOutcome | LexerError | None:
        """Ask one maker, or remember what came of asking it."""
        attempts = self._attempts.setdefault(wanted, _Attempts())
        for outcome in attempts.outcomes:
            if outcome.exported.specific_to in ("", engine):
                return outcome
        if maker.name in attempts.errors:
            return attempts.errors[maker.name]
        try:
            outcome_or_none = self._ask(wanted.format, maker, device, options)
        except (UsageError, ModelError):
            raise
        except LexerError as error:
            attempts.errors[maker.name] = error
            return error
        if outcome_or_none is None:
            attempts.errors[maker.name] = None
            return None
        attempts.outcomes.append(outcome_or_none)
        usable = outcome_or_none.exported.specific_to in ("", engine)
        return outcome_or_none if usable else None

    def _ask(
        self, format: str, maker: Exporter, device: Device, options: Mapping[str, OptionValue]
    ) -> ExportOutcome | None:
        self._notes.clear()
        model = self._model
        with model.in_eval_mode():
            key = self._key(format, maker, options)
            found = self._find(key, maker)
            if found is not None:
                return found
            workdir = self._new_folder()
            start = time.perf_counter()
            exported = maker.export_model(model.source, format, device, workdir, options)
            seconds = time.perf_counter() - start
        if exported is None:
            return None
        check_destination(exported, workdir, model.source, maker)
        if format not in _LIVE_FORMATS:
            seconds += model.seconds
        key = self._keep(key, exported, seconds)
        return ExportOutcome(
            exported=exported,
            seconds=seconds,
            cached=False,
            maker=maker.name,
            key=key or "",
            notes=self._taken_notes(),
        )

    # -- the cache -------------------------------------------------------------

    def _key(self, format: str, maker: Exporter, options: Mapping[str, OptionValue]) -> str | None:
        """The fingerprint, where the export can be cached."""
        if self._cache is None or format in _LIVE_FORMATS or self._model.source.onnx_path:
            return None
        if options.get("exporter") == "torchscript":
            # It is chosen for models that cannot be traced, and is quicker than
            # the trace that a fingerprint needs.
            return None
        key = self._model.key(format, maker, options)
        if key is None:
            self._notes.append(f"the export is not cached: {self._model.unknown}")
        return key

    def _keep(self, key: str | None, exported: ExportedModel, seconds: float) -> str | None:
        """Put an export into the cache; its key, if it is there now."""
        if key is None or self._cache is None:
            return None
        name = self._model.source.model_name
        with self._cache_trouble():
            if self._cache.put(key, exported, seconds=seconds, model_name=name):
                return key
        return None

    def _find(self, key: str | None, maker: Exporter) -> ExportOutcome | None:
        if key is None or self._cache is None:
            return None
        with self._cache_trouble():
            found = self._cache.get(key, self._new_folder())
            if found is not None:
                return ExportOutcome(
                    exported=found.exported,
                    seconds=found.entry.export_seconds,
                    cached=True,
                    maker=maker.name,
                    key=key,
                    notes=self._taken_notes(),
                )
        return None

    @contextlib.contextmanager
    def _cache_trouble(self) -> Iterator[None]:
        """A cache that cannot be used costs time, never the run."""
        try:
            yield
        except CacheError as error:
            self._notes.append(f"exports are not cached: {error.message}")
            self._cache = None

    def _taken_notes(self) -> tuple[str, ...]:
        from_cache = self._cache.take_notes() if self._cache is not None else ()
        return (*self._notes, *from_cache)

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._directory / f"export-{self._folders}"
        folder.mkdir(parents=True)
        return folder


def export_for(
    engine: str,
    source: ModelSource,
    device: str,
    *,
    registry: Engines,
    directory: Path,
    cache: ExportCache | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> ExportOutcome:
    """Export a model once, for one engine.

    Parameters
    ----------
    engine, device
        Whom it is for, by name.
    source
        The model.
    registry, directory
        The engines, and where to write.
    cache
        Where exports are kept; ``None``: nowhere.
    options
        Options of export.

    Raises
    ------
    LexerError
        As :meth:`Exports.for_engine`.
    """
    exports = Exports(
        source, registry=registry, directory=directory, use_cache=cache is not None, cache=cache
    )
    return exports.for_engine(engine, device, options or {})


def _wanted(format: str, options: Mapping[str, OptionValue]) -> _Wanted:
    # The type tells True from 1, which are equal.
    return _Wanted(
        format=format,
        options=frozenset((name, type(value).__name__, value) for name, value in options.items()),
    )
