"""Which engines are installed, in what state, and how is one got hold of?"""

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

    Metadata is read once, when first needed; a plugin is imported when it is
    listed or asked for, and then kept. One plugin's trouble stays its own.
    """

    def __init__(self) -> None:
        self._installed: Mapping[str, InstalledDistribution] = {}
        self._found: tuple[EngineEntryPoint, ...] | None = None
        self._listings: dict[EngineEntryPoint, EngineListing] = {}
        self._plugins: dict[EngineEntryPoint, Plugin] = {}
        self._engines: dict[EngineEntryPoint, Engine] = {}

    def listings(self) -> tuple[EngineListing, ...]:
        """List every engine that is installed, by name, ready or not."""
        return tuple(self._list(claim) for claim in self._claims)

    def names(self) -> tuple[str, ...]:
        """List the names of all installed engines, without importing a plugin."""
        return tuple(dict.fromkeys(claim.name for claim in self._claims))

    def listing(self, name: str) -> EngineListing:
        """Return one engine's listing; the first where several plugins claim the name.

        Raises
        ------
        UnknownEngineError
            No installed plugin provides it; the error names the nearest.
        """
        return self._list(self._claim(name))

    def get(self, name: str) -> Engine:
        """Return a ready engine, importing no plugin but its own.

        Raises
        ------
        UnknownEngineError
            No installed plugin provides it; the error names the nearest.
        EngineUnavailableError
            Its runtime or something else that it needs is not installed, or it
            needs another lexer-core.
        BrokenEngineError
            Its plugin cannot be loaded or breaks the contract.
        """
        claim = self._claim(name)
        engine = self._engine(claim)
        if engine is not None:
            return engine
        listing = self._list(claim)
        if listing.state is EngineState.BROKEN:
            raise BrokenEngineError(
                f"engine {name!r} of {listing.distribution} is broken: {listing.reason}.",
                engine=name,
                hint=f"{listing.remedy}\n`lexer engines show {name}` says more.",
            )
        raise EngineUnavailableError(
            f"engine {name!r} is {listing.state}: {listing.reason}.",
            engine=name,
            hint=listing.remedy,
        )

    def ready(self) -> tuple[Engine, ...]:
        """Return every ready engine, by name."""
        engines = [self._engine(claim) for claim in self._claims]
        return tuple(engine for engine in engines if engine is not None)

    @property
    def _claims(self) -> tuple[EngineEntryPoint, ...]:
        if self._found is None:
            self._installed = find_distributions()
            self._found = find_entry_points(self._installed)
        return self._found

    def _claim(self, name: str) -> EngineEntryPoint:
        claims = [claim for claim in self._claims if claim.name == name]
        if claims:
            # One that is written for this contract speaks for the name.
            return next((claim for claim in claims if claim.group == ENTRY_POINT_GROUP), claims[0])
        raise UnknownEngineError(
            f"engine {name!r} is not installed.", hint=_how_to_get(name, self.names())
        )

    def _list(self, claim: EngineEntryPoint) -> EngineListing:
        if claim not in self._listings:
            self._listings[claim] = self._judge(claim)
        return self._listings[claim]

    def _judge(self, claim: EngineEntryPoint) -> EngineListing:
        if claim.group != ENTRY_POINT_GROUP:
            return _other_contract(claim)
        rivals = [
            other
            for other in self._claims
            if other is not claim and other.name == claim.name and other.group == claim.group
        ]
        if rivals:
            return _claimed_twice(claim, rivals)
        try:
            self._plugins[claim] = load_plugin(claim)
        except PluginError as error:
            return _not_loaded(claim, error)
        return _loaded(claim, self._plugins[claim], self._installed)

    def _engine(self, claim: EngineEntryPoint) -> Engine | None:
        """Return the engine, or ``None`` where its listing says that it is not ready."""
        listing = self._list(claim)
        if listing.state is EngineState.READY and claim not in self._engines:
            try:
                self._engines[claim] = _register(listing, claim, self._plugins[claim])
            except PluginError as error:
                self._listings[claim] = _not_loaded(claim, error)
        return self._engines.get(claim)


def _register(listing: EngineListing, claim: EngineEntryPoint, plugin: Plugin) -> Engine:
    # Only here: listing engines needs neither.
    from lexer_core.engines.engine import Engine
    from lexer_core.engines.registration import register_hooks

    with broken_by("it cannot be registered: ", upgrade_plugin(claim.distribution)):
        hooks = register_hooks(claim.name, plugin.hooks)
    return Engine(
        name=claim.name,
        info=plugin.info,
        version=listing.version,
        distribution=listing.distribution,
        runtime_distribution=listing.runtime_distribution,
        hooks=hooks,
        implementations=plugin.hooks.implementations,
    )


def _loaded(
    claim: EngineEntryPoint, plugin: Plugin, installed: Mapping[str, InstalledDistribution]
) -> EngineListing:
    runtime = find_runtime(plugin.info, claim.distribution.name, installed)
    provider = runtime.distribution
    reason, remedy = plugin.info.unavailable_because, plugin.info.remedy
    if runtime.missing:
        reason, remedy = f"module {runtime.missing!r} is not installed", runtime.remedy
    return EngineListing(
        name=claim.name,
        display_name=plugin.info.display_name,
        state=EngineState.UNAVAILABLE if reason else EngineState.READY,
        distribution=str(claim.distribution),
        version=provider.version if provider else None,
        runtime_distribution=provider.name if provider else None,
        reason=reason,
        remedy=remedy if reason else "",
        info=plugin.info,
    )


def _not_loaded(claim: EngineEntryPoint, error: PluginError) -> EngineListing:
    return EngineListing(
        name=claim.name,
        display_name=claim.name,
        state=error.state,
        distribution=str(claim.distribution),
        reason=error.reason,
        remedy=error.remedy,
        details=error.details,
    )


def _other_contract(claim: EngineEntryPoint) -> EngineListing:
    required = claim.distribution.core_requirement
    return EngineListing(
        name=claim.name,
        display_name=claim.name,
        state=EngineState.INCOMPATIBLE,
        distribution=str(claim.distribution),
        reason=f"written for contract {claim.group!r}, while lexer-core {__version__} reads "
        f"{ENTRY_POINT_GROUP!r}" + (f" (it requires {required})" if required else ""),
        remedy=upgrade_core(claim.distribution),
    )


def _claimed_twice(claim: EngineEntryPoint, rivals: Sequence[EngineEntryPoint]) -> EngineListing:
    everyone = sorted({str(each.distribution) for each in (claim, *rivals)})
    others = sorted({each.distribution.name for each in rivals} - {claim.distribution.name})
    if others:
        reason = f"{' and '.join(everyone)} both provide an engine of this name; neither is used"
        remedy = f"pip uninstall {' '.join(others)}"
    else:
        reason = f"{everyone[0]} provides an engine of this name more than once"
        remedy = upgrade_plugin(claim.distribution)
    return EngineListing(
        name=claim.name,
        display_name=claim.name,
        state=EngineState.BROKEN,
        distribution=str(claim.distribution),
        reason=reason,
        remedy=remedy,
    )


def _how_to_get(name: str, installed: Sequence[str]) -> str:
    from lexer_core.suggestions import did_you_mean  # only here: for errors alone

    if name in _OWN_PLUGINS:
        return f"pip install {_OWN_PLUGINS[name]}"
    if not installed:
        return f"No engine is: pip install {' '.join(dict.fromkeys(_OWN_PLUGINS.values()))}"
    return f"Installed: {', '.join(installed)}.{did_you_mean(name, installed)}"
