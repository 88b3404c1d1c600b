"""Which engines are installed, and what is their state?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core import __version__
from lexer_core.engines.descriptions import describe_plugins
from lexer_core.engines.engine_names import wrong_name
from lexer_core.engines.entry_points import find_entry_points
from lexer_core.engines.installed import find_distributions
from lexer_core.engines.plugin_errors import PluginError, upgrade_core, upgrade_plugin
from lexer_core.engines.plugin_text import printable
from lexer_core.engines.runtime import find_runtime
from lexer_core.engines.states import EngineListing, EngineState, ReadyEngine
from lexer_core.errors import BrokenEngineError, EngineUnavailableError, UnknownEngineError
from lexer_core.hookspecs import ENTRY_POINT_GROUP
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.engines.installed import InstalledDistribution
    from lexer_core.engines.plugins import Plugin
    from lexer_core.errors import EngineError
    from lexer_core.records import EngineInfo

__all__ = ["EngineListing", "EngineRegistry", "EngineState"]

_LONGEST_NAME = 64
"""Characters shown of a name that is too long."""

_OWN_PLUGINS = {
    "torch": "lexer-torch",
    "torch-compile": "lexer-torch",
    "torch-export": "lexer-torch",
    "onnxruntime": "lexer-ort",
    "openvino": "lexer-openvino",
}


class EngineRegistry:
    """The engines of this Python environment.

    Metadata is read once, on first use. Plugins describe their engines in another
    process, so that a plugin that fails, crashes or hangs does not affect this one or
    the other engines; the descriptions are remembered. Only :meth:`get` imports a plugin
    into this process.

    Parameters
    ----------
    in_process
        Whether to import plugins into this process for their descriptions, too.
    """

    def __init__(self, *, in_process: bool = False) -> None:
        self._in_process = in_process
        self._installed: Mapping[str, InstalledDistribution] = {}
        self._cached_entry_points: tuple[EngineEntryPoint, ...] | None = None
        self._listings: dict[EngineEntryPoint, EngineListing] = {}
        self._plugins: dict[EngineEntryPoint, Plugin] = {}
        self._engines: dict[EngineEntryPoint, Engine] = {}

    def listings(self) -> tuple[EngineListing, ...]:
        """Return all installed engines by name, whether they are ready or not."""
        self._list_all(self._entry_points)
        return tuple(self._listings[entry_point] for entry_point in self._entry_points)

    def names(self) -> tuple[str, ...]:
        """Return the names of all installed engines, without asking a plugin."""
        names = (entry.name for entry in self._entry_points if not wrong_name(entry.name))
        return tuple(dict.fromkeys(names))

    def listing(self, name: str) -> EngineListing:
        """Return one engine's listing; the first if several plugins provide the name.

        Raises
        ------
        UnknownEngineError
            No installed plugin provides it; the error suggests a similar name.
        """
        return self._list(self._entry_point(name))

    def ready_listing(self, name: str) -> ReadyEngine:
        """Return the description of a ready engine; raises like :meth:`get`."""
        listing = self.listing(name)
        if listing.state is not EngineState.READY or listing.info is None:
            raise _not_ready(name, listing)
        return ReadyEngine(
            name=listing.name,
            info=listing.info,
            version=listing.version,
            distribution=listing.distribution,
        )

    def get(self, name: str) -> Engine:
        """Return a ready engine; its plugin, and no other, is imported into this process.

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
        if engine is None:
            raise _not_ready(name, self._listings[entry_point])
        return engine

    def ready_names(self) -> tuple[str, ...]:
        """Return the names of all ready engines, without importing their plugins."""
        return tuple(
            listing.name for listing in self.listings() if listing.state is EngineState.READY
        )

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
        self._list_all((entry_point,))
        return self._listings[entry_point]

    def _list_all(self, entry_points: Sequence[EngineEntryPoint]) -> None:
        """List engines, and ask all plugins together that must be asked."""
        asked: list[EngineEntryPoint] = []
        for entry_point in entry_points:
            if entry_point in self._listings:
                continue
            refused = self._refused(entry_point)
            if refused is not None:
                self._listings[entry_point] = refused
            elif self._in_process:
                self._import(entry_point)
            else:
                asked.append(entry_point)
        if not asked:
            return
        for entry_point, answer in describe_plugins(asked).items():
            self._listings[entry_point] = (
                _described(entry_point, answer.info, self._installed)
                if answer.info is not None
                else _not_described(entry_point, answer.problem)
            )

    def _refused(self, entry_point: EngineEntryPoint) -> EngineListing | None:
        """Return the listing of an engine whose metadata alone says that it cannot be used."""
        wrong = wrong_name(entry_point.name)
        if wrong:
            return _not_ready_listing(
                entry_point, reason=wrong, fix=upgrade_plugin(entry_point.distribution)
            )
        if entry_point.group != ENTRY_POINT_GROUP:
            return _other_contract(entry_point)
        same_name = [
            entry
            for entry in self._entry_points
            if (entry.name, entry.group) == (entry_point.name, entry_point.group)
        ]
        return _ambiguous(entry_point, same_name) if len(same_name) > 1 else None

    def _import(self, entry_point: EngineEntryPoint) -> None:
        """Import a plugin into this process, and list its engine."""
        from lexer_core.engines.plugins import load_plugin  # a listing does not need it

        try:
            self._plugins[entry_point] = load_plugin(entry_point)
        except PluginError as error:
            self._listings[entry_point] = _not_described(entry_point, error)
        else:
            self._listings[entry_point] = _described(
                entry_point, self._plugins[entry_point].info, self._installed
            )

    def _engine(self, entry_point: EngineEntryPoint) -> Engine | None:
        """Return the engine, or ``None`` if it is not ready; its listing says why."""
        if entry_point in self._engines:
            return self._engines[entry_point]
        refused = self._refused(entry_point)
        if refused is not None:
            self._listings[entry_point] = refused
            return None
        if entry_point not in self._plugins:
            self._import(entry_point)
        listing = self._listings[entry_point]
        if listing.state is EngineState.READY:
            try:
                self._engines[entry_point] = _register(
                    listing, entry_point, self._plugins[entry_point]
                )
            except PluginError as error:
                self._listings[entry_point] = _not_described(entry_point, error)
        return self._engines.get(entry_point)


def _not_ready(name: str, listing: EngineListing) -> EngineError:
    if listing.state is EngineState.BROKEN:
        show = f"\nFor details, run `lexer engines show {name}`." if listing.details else ""
        return BrokenEngineError(
            f"engine {listing.name!r} of {listing.distribution} is broken: {listing.reason}.",
            engine=name,
            hint=f"{listing.remedy}{show}",
        )
    return EngineUnavailableError(
        f"engine {name!r} is {listing.state}: {listing.reason}.",
        engine=name,
        hint=listing.remedy,
    )


def _register(listing: EngineListing, entry_point: EngineEntryPoint, plugin: Plugin) -> Engine:
    # On use: a listing needs neither, and registration imports pluggy's manager.
    from lexer_core.engines.engine import Engine
    from lexer_core.engines.plugins import broken_by
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


def _described(
    entry_point: EngineEntryPoint,
    info: EngineInfo,
    installed: Mapping[str, InstalledDistribution],
) -> EngineListing:
    runtime = find_runtime(info, entry_point.distribution.name, installed)
    provider = runtime.distribution
    reason, fix = info.unavailable_because, info.remedy
    if runtime.missing:
        reason, fix = f"module {runtime.missing!r} is not installed", runtime.fix
    return EngineListing(
        name=entry_point.name,
        display_name=printable(info.display_name),
        state=EngineState.UNAVAILABLE if reason else EngineState.READY,
        distribution=str(entry_point.distribution),
        version=provider.version if provider else None,
        runtime_distribution=provider.name if provider else None,
        reason=reason,
        remedy=fix if reason else "",
        info=info,
    )


def _not_described(entry_point: EngineEntryPoint, error: PluginError | None) -> EngineListing:
    assert error is not None
    return _not_ready_listing(
        entry_point, state=error.state, reason=error.reason, fix=error.fix, details=error.details
    )


def _not_ready_listing(
    entry_point: EngineEntryPoint,
    *,
    state: EngineState = EngineState.BROKEN,
    reason: str,
    fix: str,
    details: str = "",
) -> EngineListing:
    name = printable(entry_point.name, _LONGEST_NAME)
    return EngineListing(
        name=name,
        display_name=name,
        state=state,
        distribution=str(entry_point.distribution),
        reason=reason,
        remedy=fix,
        details=details,
    )


def _other_contract(entry_point: EngineEntryPoint) -> EngineListing:
    required = entry_point.distribution.core_requirement
    return _not_ready_listing(
        entry_point,
        state=EngineState.INCOMPATIBLE,
        reason=f"written for contract {entry_point.group!r}, but lexer-core {__version__} supports "
        f"{ENTRY_POINT_GROUP!r}" + (f" (it requires {required})" if required else ""),
        fix=upgrade_core(entry_point.distribution),
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
    return _not_ready_listing(entry_point, reason=reason, fix=fix)


def _how_to_install(name: str, installed: Sequence[str]) -> str:
    if name in _OWN_PLUGINS:
        return f"pip install {_OWN_PLUGINS[name]}"
    if not installed:
        plugins = " ".join(dict.fromkeys(_OWN_PLUGINS.values()))
        return f"No engine is installed. Run: pip install {plugins}"
    return f"Installed: {', '.join(installed)}.{did_you_mean(name, installed)}"
