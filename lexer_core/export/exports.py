"""Which engine exports the model to a format that an engine accepts, and is that cached?

The engine itself is asked first, then every other ready engine. One export
serves all engines that accept it. An export of an earlier run is reused if its
fingerprint is the same.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from lexer_core.errors import (
    CacheError,
    EngineError,
    ExportError,
    LexerError,
    ModelError,
    UnsupportedError,
    UsageError,
)
from lexer_core.export.cache import ExportCache
from lexer_core.export.captured_output import captured_output
from lexer_core.export.conversions import Conversions
from lexer_core.export.exporters import check_destination, no_exporter
from lexer_core.export.file_stamps import file_stamps, was_written_to
from lexer_core.export.formats import ONNX, STANDARD_FORMATS, TORCH
from lexer_core.export.traced_source import TracedSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lexer_core.export.exporters import Engines, Exporter
    from lexer_core.export.identity import Identity
    from lexer_core.records import Device, ExportedModel, ModelSource, OptionValue

__all__ = ["ExportOutcome", "Exports", "engine_at_work"]

_AT_WORK = "at-work"
"""File with the name of the engine whose code is running, in the folder of the exports."""


@frozen(kw_only=True, eq=False)
class ExportOutcome:
    """An export and where it came from.

    Parameters
    ----------
    exported
        The model in a format that the engine accepts.
    seconds
        How long the export took when it was made, tracing included.
    cached
        Whether it was made in an earlier run.
    known_wrong
        Whether it is cached and would be as wrong if it were made again.
    exporter
        Name of the engine that made it.
    key
        Its fingerprint, if it is in the cache.
    conversion_seconds
        How long it took to convert it to a precision when that was made.
    notes
        Notes for the reader of the row.
    """

    exported: ExportedModel
    seconds: float
    cached: bool
    known_wrong: bool = False
    exporter: str
    key: str = ""
    conversion_seconds: float = 0.0
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class _Request:
    """A format with export options; equal requests share an export."""

    format: str
    options: frozenset[tuple[str, str, OptionValue]]


@frozen(eq=False)
class _Attempts:
    """The exports made for one request so far, and the error of each failed exporter.

    The error is ``None`` for an engine that does not make the format.
    """

    outcomes: list[ExportOutcome] = field(factory=list)
    errors: dict[str, LexerError | None] = field(factory=dict)


class Exports:
    """All exports of one model in one run.

    Parameters
    ----------
    source
        The model. A module is traced when the first export that can be cached
        is requested. The exporters then get the program as well, so that the
        module is traced once.
    registry
        The engines.
    directory
        Where exports are written, each to a new folder.
    use_cache
        Whether to reuse exports of earlier runs and to keep new ones.
    cache
        The cache. Default: the user's cache.
    captures_output
        Whether to keep what exporters print out of the caller's output. A worker's
        output goes to its log anyway.
    avoid
        Engines that must not be asked, and why: they ended or blocked a process.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        registry: Engines,
        directory: Path,
        use_cache: bool = True,
        cache: ExportCache | None = None,
        captures_output: bool = True,
        avoid: Mapping[str, str] | None = None,
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._cache = (cache or ExportCache()) if use_cache else None
        self._model = TracedSource(source, self._cache.traces if self._cache else None)
        self._attempts: dict[_Request, _Attempts] = {}
        self._stamps: dict[Path | None, Mapping[str, tuple[int, int, int]]] = {}
        self._served: dict[str, set[_Request]] = {}
        self._folders = 0
        self._captures_output = captures_output
        self._avoid = avoid or {}
        self._notes: list[str] = []
        self._conversions = Conversions(
            new_folder=self._new_folder,
            find=self._find_converted,
            keep=self._keep,
            discard=self._discard,
        )

    def for_engine(
        self,
        engine: str | Exporter,
        device: str,
        options: Mapping[str, OptionValue],
        *,
        precision: str = "",
    ) -> ExportOutcome:
        """Export to an engine's first format that some engine can export.

        Parameters
        ----------
        engine
            The engine it is for: its name, or an engine that is not in the registry.
        device
            Name of the device that the engine will use.
        options
            Export options.
        precision
            What the engine is asked to compute in. It may convert the export to it.

        Raises
        ------
        DeviceUnavailableError
            The engine has no such device.
        ExportError
            The export failed, or no installed engine exports to any of the
            formats; the error then names the package that would.
        UnsupportedError
            The engine cannot run a model of this kind, or not in this precision.
        """
        if isinstance(engine, str):
            if engine in self._avoid:
                raise self._avoided(engine)
            with self._at_work(engine):
                target: Exporter = self._registry.get(engine)
        else:
            target = engine
        formats = target.info.formats
        if self._model.source.onnx_path is not None and ONNX.name not in formats:
            raise UnsupportedError(
                f"{target.info.display_name} cannot run an .onnx file.",
                engine=target.name,
                hint=f"It runs: {', '.join(formats)}.",
            )
        # Only now: to list its devices, an engine may import its runtime.
        with self._at_work(target.name):
            found = target.find_device(device)
        errors: list[LexerError] = []
        for name in formats:
            request = _request(name, options)
            # The engine itself, then the others, loaded only if it does not make the format.
            exporters: list[Exporter | str] = [target, *self._names(but=target.name)]
            for exporter in exporters:
                result = self._export(request, exporter, target.name, found, options)
                if isinstance(result, ExportOutcome):
                    self._served.setdefault(target.name, set()).add(request)
                    return self._converted(result, target, precision) if precision else result
                if result is not None:
                    errors.append(result)
        if errors:
            raise _most_useful(errors)
        raise no_exporter(
            self._model.source,
            formats,
            self._registry.listings(),
            engine=target.info.display_name,
            # An engine that is not in the registry is one of another environment.
            elsewhere="" if isinstance(engine, str) else target.distribution,
        )

    def _converted(self, made: ExportOutcome, engine: Exporter, precision: str) -> ExportOutcome:
        with self._captured_output(), self._at_work(engine.name):
            conversion = self._conversions.of(engine, made.exported, precision, key=made.key)
        if conversion.exported is None:
            return made
        return evolve(
            made,
            exported=conversion.exported,
            # The user's own file needed no export.
            seconds=0.0 if made.exported.path == self._model.source.onnx_path else made.seconds,
            conversion_seconds=conversion.seconds,
            cached=conversion.cached and made.cached,
            known_wrong=False,
        )

    def before_conversion(self, exported: ExportedModel) -> ExportedModel:
        """Return the export that was converted to this one, or this one if none was."""
        return self._conversions.original_of(exported.path) or exported

    def _names(self, but: str = "") -> list[str]:
        return [name for name in self._registry.ready_names() if name != but]

    def to_format(
        self, format: str, device: Device, options: Mapping[str, OptionValue]
    ) -> ExportOutcome:
        """Export to one format with any engine that can; raises like :meth:`for_engine`."""
        request = _request(format, options)
        errors: list[LexerError] = []
        for exporter in self._names():
            result = self._export(request, exporter, exporter, device, options)
            if isinstance(result, ExportOutcome):
                self._served.setdefault(exporter, set()).add(request)
                return result
            if result is not None:
                errors.append(result)
        if errors:
            raise _most_useful(errors)
        raise no_exporter(self._model.source, (format,), self._registry.listings())

    def program_identity(self) -> Identity:
        """Return digests of the traced program; empty if no export needed it."""
        return self._model.program_identity()

    def discard_cached(self, engine: str) -> None:
        """Remove the exports that an engine got, so that they are made again.

        Those that were made in this process stay, unless their files were written to.
        """
        for request in self._served.pop(engine, set()):
            attempts = self._attempts[request]
            for outcome in [
                item for item in attempts.outcomes if item.cached or self._is_damaged(item)
            ]:
                attempts.outcomes.remove(outcome)
                self._model.forget_known()
                if outcome.key:
                    self._discard(outcome.key)
        self._conversions.forget(engine)

    def _discard(self, key: str) -> None:
        if self._cache is not None:
            with self._cache_errors_noted():
                self._cache.discard(key)

    def _is_damaged(self, outcome: ExportOutcome) -> bool:
        path = outcome.exported.path
        return was_written_to(path, self._stamps.get(path, {}))

    def mark_wrong(self, engine: str) -> None:
        """Note in the cache that new exports, which an engine got, gave wrong outputs."""
        for request in self._served.get(engine, set()):
            for outcome in self._attempts[request].outcomes:
                if self._cache is not None and outcome.key and not outcome.cached:
                    with self._cache_errors_noted():
                        self._cache.mark_wrong(outcome.key)

    def _export(
        self,
        request: _Request,
        exporter: Exporter | str,
        engine: str,
        device: Device,
        options: Mapping[str, OptionValue],
    ) -> ExportOutcome | LexerError | None:
        """Return an export that the engine can use; one exporter is asked only once.

        ``exporter`` is loaded only if it must be asked.
        """
        attempts = self._attempts.setdefault(request, _Attempts())
        for outcome in attempts.outcomes:
            if outcome.exported.specific_to in ("", engine):
                return outcome
        name = exporter if isinstance(exporter, str) else exporter.name
        if name in attempts.errors:
            return attempts.errors[name]
        if name in self._avoid:
            return self._avoided(name)
        if isinstance(exporter, str):
            try:
                with self._at_work(name):
                    exporter = self._registry.get(name)
            except EngineError:  # it is not ready after all: a listing does not load it
                attempts.errors[name] = None
                return None
        try:
            new = self._cached_or_new(request.format, exporter, device, options)
        except (UsageError, ModelError):
            raise
        except LexerError as error:
            attempts.errors[name] = error
            return error
        if new is None:
            attempts.errors[name] = None
            return None
        attempts.outcomes.append(new)
        self._stamps[new.exported.path] = file_stamps(new.exported.path)
        return new if new.exported.specific_to in ("", engine) else None

    def _cached_or_new(
        self, format: str, exporter: Exporter, device: Device, options: Mapping[str, OptionValue]
    ) -> ExportOutcome | None:
        self._notes.clear()
        model = self._model
        with self._captured_output(), model.in_eval_mode():
            key = self._key(format, exporter, options)
            cached = self._find(key, exporter)
            if cached is None and key is not None and model.trace():
                key = self._key(format, exporter, options)
                cached = self._find(key, exporter)
            if cached is not None and cached.known_wrong and model.trace():
                # What is known of an earlier trace may be the reason.
                key = self._key(format, exporter, options)
                cached = self._find(key, exporter)
            if cached is not None:
                return cached
            if format not in STANDARD_FORMATS:  # whose exporters trace as they need
                model.offer_program()
            workdir = self._new_folder()
            start = time.perf_counter()
            with self._at_work(exporter.name):
                exported = exporter.export_model(model.source, format, device, workdir, options)
            seconds = time.perf_counter() - start
        if exported is None:
            return None
        check_destination(exported, workdir, model.source, exporter)
        if format != TORCH.name:  # the module itself is not traced
            seconds += model.seconds
        key = self._keep(key, exported, seconds)
        return ExportOutcome(
            exported=exported,
            seconds=seconds,
            cached=False,
            exporter=exporter.name,
            key=key or "",
            notes=self._all_notes(),
        )

    @contextlib.contextmanager
    def _at_work(self, engine: str) -> Iterator[None]:
        """Leave a note for :func:`engine_at_work`, should this process end meanwhile."""
        note = self._directory / _AT_WORK
        with contextlib.suppress(OSError):  # a full disk: the export itself will say so
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(engine, encoding="utf-8")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                note.unlink(missing_ok=True)

    def _avoided(self, engine: str) -> ExportError:
        return ExportError(f"engine {engine!r} {self._avoid[engine]}.")

    def _captured_output(self) -> AbstractContextManager[None]:
        return captured_output() if self._captures_output else contextlib.nullcontext()

    # -- the cache -------------------------------------------------------------

    def _key(
        self, format: str, exporter: Exporter, options: Mapping[str, OptionValue]
    ) -> str | None:
        """The fingerprint, if the export can be cached."""
        # The module itself is quicker to hand over than to find in the cache.
        if self._cache is None or format == TORCH.name or self._model.source.onnx_path:
            return None
        if options.get("exporter") == "torchscript":
            # Chosen for models that cannot be traced, and quicker than the
            # trace that a fingerprint needs.
            return None
        key = self._model.key(format, exporter, options)
        if key is None:
            self._notes.append(f"the export is not cached: {self._model.no_key_because}")
        return key

    def _keep(self, key: str | None, exported: ExportedModel, seconds: float) -> str | None:
        """Put an export in the cache; return its key if it is there now."""
        if key is None or self._cache is None:
            return None
        name = self._model.source.model_name
        with self._cache_errors_noted():
            if self._cache.put(key, exported, seconds=seconds, model_name=name):
                return key
        return None

    def _find(self, key: str | None, exporter: Exporter) -> ExportOutcome | None:
        if key is None or self._cache is None:
            return None
        with self._cache_errors_noted():
            cached = self._cache.get(key, self._new_folder())
            if cached is not None:
                return ExportOutcome(
                    exported=cached.exported,
                    seconds=cached.entry.export_seconds,
                    cached=True,
                    known_wrong=cached.entry.known_wrong,
                    exporter=exporter.name,
                    key=key,
                    notes=self._all_notes(),
                )
        return None

    def _find_converted(self, key: str) -> tuple[ExportedModel, float] | None:
        if self._cache is None:
            return None
        with self._cache_errors_noted():
            cached = self._cache.get(key, self._new_folder())
            if cached is not None:
                return cached.exported, cached.entry.export_seconds
        return None

    @contextlib.contextmanager
    def _cache_errors_noted(self) -> Iterator[None]:
        """Note that the cache cannot be used, and go on without it."""
        try:
            yield
        except CacheError as error:
            self._notes.append(f"exports are not cached: {error.message}")
            self._cache = None

    def _all_notes(self) -> tuple[str, ...]:
        from_cache = self._cache.take_notes() if self._cache is not None else ()
        return (*self._notes, *from_cache)

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._directory / f"export-{self._folders}"
        folder.mkdir(parents=True)
        return folder


def engine_at_work(directory: Path) -> str:
    """Return the engine whose code was running when a process with ``Exports`` ended.

    Empty if none was, as while the model was traced.
    """
    try:
        return (directory / _AT_WORK).read_bytes()[:1000].decode("utf-8", "replace")
    except OSError:
        return ""


def _most_useful(errors: Iterable[LexerError]) -> LexerError:
    """An exporter's error about the model, rather than a plugin's crash."""
    first, *others = errors
    if isinstance(first, ExportError):
        return first
    return next((error for error in others if isinstance(error, ExportError)), first)


def _request(format: str, options: Mapping[str, OptionValue]) -> _Request:
    # The type tells True from 1, which are equal.
    return _Request(
        format=format,
        options=frozenset((name, type(value).__name__, value) for name, value in options.items()),
    )
