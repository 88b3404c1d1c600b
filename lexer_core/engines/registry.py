"""Which engines are installed, and what is their state?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core import __version__
from lexer_core.engines.entry_points import find_entry_points
from lexer_core.engines.installed import find_distributions
from lexer_core.engines.plugins import (
    PluginError,
    broken_by,
    load_plugin,
    upgrade_core,
    upgrade_plugin,
)
from lexer_core.engines.runtime import find_runtime
from lexer_core.engines.states import EngineListing, EngineState
from lexer_core.errors import BrokenEngineError, EngineUnavailableError, UnknownEngineError
from lexer_core.hookspecs import ENTRY_POINT_GROUP
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.engines.installed import InstalledDistribution
    from lexer_core.engines.plugins import Plugin

__all__ = ["EngineListing", "EngineRegistry", "EngineState"]

_OWN_PLUGINS = {
    "torch": "lexer-torch",
    "torch-compile": "lexer-torch",
    "torch-export": "lexer-torch",
    "onnxruntime": "lexer-ort",
    "openvino": "lexer-openvino",
}


class EngineRegistry:
    """The engines of this Python environment.

    Metadata is read once, on first use. A plugin is imported once, when its engine is
    listed or requested. A plugin that fails does not affect the others.
    """

    def __init__(self) -> None:
        self._installed: Mapping[str, InstalledDistribution] = {}
        self._cached_entry_points: tuple[EngineEntryPoint, ...] | None = None
        self._listings: dict[EngineEntryPoint, EngineListing] = {}
        self._plugins: dict[EngineEntryPoint, Plugin] = {}
        self._engines: dict[EngineEntryPoint, Engine] = {}

    def listings(self) -> tuple[EngineListing, ...]:
        """Return all installed engines by name, whether they are ready or not."""
        return tuple(self._list(entry_point) for entry_point in self._entry_points)

    def names(self) -> tuple[str, ...]:
        """Return the names of all installed engines, without importing a plugin."""
        return tuple(dict.fromkeys(entry_point.name for entry_point in self._entry_points))

    def listing(self, name: str) -> EngineListing:
        """Return one engine's listing; the first if several plugins provide the name.

        Raises
        ------
        UnknownEngineError
            No installed plugin provides it; the error suggests a similar name.
        """
        return self._list(self._entry_point(name))

    def get(self, name: str) -> Engine:
        """Return a ready engine; only its plugin is imported.

        Raises
        ------
        UnknownEngineError
            No installed plugin provides it; the error suggests a similar name.
        EngineUnavailableError
            Its runtime or something else that it needs is not installed, or it
            needs another version of lexer-core.
        BrokenEngineError
            Its plugin cannot be loaded or violates the contract.
        """
        entry_point = self._entry_point(name)
        engine = self._engine(entry_point)
        if engine is not None:
            return engine
        listing = self._list(entry_point)
        if listing.state is EngineState.BROKEN:
            raise BrokenEngineError(
                f"engine {name!r} of {listing.distribution} is broken: {listing.reason}.",
                engine=name,
                hint=f"{listing.remedy}\nFor details, run `lexer engines show {name}`.",
            )
        raise EngineUnavailableError(
            f"engine {name!r} is {listing.state}: {listing.reason}.",
            engine=name,
            hint=listing.remedy,
        )

    def ready(self) -> tuple[Engine, ...]:
        """Return all ready engines, by name."""
        engines = [self._engine(entry_point) for entry_point in self._entry_points]
        return tuple(engine for engine in engines if engine is not None)

    @property
    def _entry_points(self) -> tuple[EngineEntryPoint, ...]:
        if self._cached_entry_points is None:
            self._installed = find_distributions()
            self._cached_entry_points = find_entry_points(self._installed)
        return self._cached_entry_points

    def _entry_point(self, name: str) -> EngineEntryPoint:
        candidates = [entry for entry in self._entry_points if entry.name == name]
        if candidates:
            # Prefer an entry point for this contract.
            return next((c for c in candidates if c.group == ENTRY_POINT_GROUP), candidates[0])
        raise UnknownEngineError(
            f"engine {name!r} is not installed.", hint=_how_to_install(name, self.names())
        )

    def _list(self, entry_point: EngineEntryPoint) -> EngineListing:
        if entry_point not in self._listings:
            self._listings[entry_point] = self._judge(entry_point)
        return self._listings[entry_point]

    def _judge(self, entry_point: EngineEntryPoint) -> EngineListing:
        if entry_point.group != ENTRY_POINT_GROUP:
            return _other_contract(entry_point)
        same_name = [
            entry
            for entry in self._entry_points
            if (entry.name, entry.group) == (entry_point.name, entry_point.group)
        ]
        if len(same_name) > 1:
            return _ambiguous(entry_point, same_name)
        try:
            self._plugins[entry_point] = load_plugin(entry_point)
        except PluginError as error:
            return _not_loaded(entry_point, error)
        return _loaded(entry_point, self._plugins[entry_point], self._installed)

    def _engine(self, entry_point: EngineEntryPoint) -> Engine | None:
        """Return the engine, or ``None`` if it is not ready."""
        listing = self._list(entry_point)
        if listing.state is EngineState.READY and entry_point not in self._engines:
            try:
                self._engines[entry_point] = _register(
                    listing, entry_point, self._plugins[entry_point]
                )
            except PluginError as error:
                self._listings[entry_point] = _not_loaded(entry_point, error)
        return self._engines.get(entry_point)


def _register(listing: EngineListing, entry_point: EngineEntryPoint, plugin: Plugin) -> Engine:
    # On use: a listing needs neither, and registration imports pluggy's manager.
    from lexer_core.engines.engine import Engine
    from lexer_core.engines.registration import register_hooks

    with broken_by("cannot be registered: ", upgrade_plugin(entry_point.distribution)):
        hooks = register_hooks(entry_point.name, plugin.hooks)
    return Engine(
        name=entry_point.name,
        info=plugin.info,
        version=listing.version,
        distribution=listing.distribution,
        runtime_distribution=listing.runtime_distribution,
        hooks=hooks,
        implementations=plugin.hooks.implementations,
    )


def _loaded(
    entry_point: EngineEntryPoint, plugin: Plugin, installed: Mapping[str, InstalledDistribution]
) -> EngineListing:
    runtime = find_runtime(plugin.info, entry_point.distribution.name, installed)
    provider = runtime.distribution
    reason, fix = plugin.info.unavailable_because, plugin.info.remedy
    if runtime.missing:
        reason, fix = f"module {runtime.missing!r} is not installed", runtime.fix
    return EngineListing(
        name=entry_point.name,
        display_name=plugin.info.display_name,
        state=EngineState.UNAVAILABLE if reason else EngineState.READY,
        distribution=str(entry_point.distribution),
        version=provider.version if provider else None,
        runtime_distribution=provider.name if provider else None,
        reason=reason,
        remedy=fix if reason else "",
        info=plugin.info,
    )


def _not_loaded(entry_point: EngineEntryPoint, error: PluginError) -> EngineListing:
    return EngineListing(
        name=entry_point.name,
        display_name=entry_point.name,
        state=error.state,
        distribution=str(entry_point.distribution),
        reason=error.reason,
        remedy=error.fix,
        details=error.details,
    )


def _other_contract(entry_point: EngineEntryPoint) -> EngineListing:
    required = entry_point.distribution.core_requirement
    return EngineListing(
        name=entry_point.name,
        display_name=entry_point.name,
        state=EngineState.INCOMPATIBLE,
        distribution=str(entry_point.distribution),
        reason=f"written for contract {entry_point.group!r}, but lexer-core {__version__} supports "
        f"{ENTRY_POINT_GROUP!r}" + (f" (it requires {required})" if required else ""),
        remedy=upgrade_core(entry_point.distribution),
    )


def _ambiguous(
    entry_point: EngineEntryPoint, same_name: Sequence[EngineEntryPoint]
) -> EngineListing:
    distributions = sorted({str(each.distribution) for each in same_name})
    names = {each.distribution.name for each in same_name}
    others = sorted(names - {entry_point.distribution.name})
    if others:
        both = " and ".join(distributions)
        reason = f"{both} both provide an engine of this name; neither is used"
        fix = f"pip uninstall {' '.join(others)}"
    else:
        reason = f"{distributions[0]} provides an engine of this name more than once"
        fix = upgrade_plugin(entry_point.distribution)
    return EngineListing(
        name=entry_point.name,
        display_name=entry_point.name,
        state=EngineState.BROKEN,
        distribution=str(entry_point.distribution),
        reason=reason,
        remedy=fix,
    )


def _how_to_install(name: str, installed: Sequence[str]) -> str:
    if name in _OWN_PLUGINS:
        return f"pip install {_OWN_PLUGINS[name]}"
    if not installed:
        plugins = " ".join(dict.fromkeys(_OWN_PLUGINS.values()))
        return f"No engine is installed. Run: pip install {plugins}"
    return f"Installed: {', '.join(installed)}.{did_you_mean(name, installed)}"
