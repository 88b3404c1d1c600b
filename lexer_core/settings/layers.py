"""What does each layer say, and what holds when they are laid over each other?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.errors import SettingError
from lexer_core.settings.legacy import translate
from lexer_core.settings.table import Origin, Settings, SettingValue, resolve_origins
from lexer_core.settings.values import checked_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.choice import EngineChoice

__all__ = ["Configuration", "EngineTable", "Layer", "argument_layer", "configure"]

ENABLED, PYTHON = "enabled", "python"
"""The keys of an engine's table that are no options of the engine."""


@frozen(kw_only=True)
class Layer:
    """What one place says: the call, the environment, a file.

    Parameters
    ----------
    name
        As an error would call it.
    settings
        Values by the names of the table, each with its place.
    engines
        Per engine what is said of it: ``enabled``, ``python``, and options of the engine.
    notes
        What the user should know.
    """

    name: str
    settings: Mapping[str, SettingValue]
    engines: Mapping[str, Mapping[str, SettingValue]] = field(factory=dict)
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class EngineTable:
    """What all layers together say of one engine.

    Parameters
    ----------
    enabled
        Whether it runs when no engine is named; ``None`` leaves that to the
        engine itself.
    python
        The path of another interpreter that runs it; ``None`` for this one.
    options
        Options of the engine, each with its place; they are checked when the
        engine is used.
    """

    enabled: SettingValue | None = None
    python: SettingValue | None = None
    options: Mapping[str, SettingValue] = field(factory=dict)

    @property
    def place(self) -> Origin:
        """Where the engine is spoken of."""
        return next(iter(self.said().values())).place

    def said(self) -> dict[str, SettingValue]:
        """All of it, by the keys that say it in a file."""
        own = {ENABLED: self.enabled, PYTHON: self.python}
        return {key: placed for key, placed in own.items() if placed is not None} | {**self.options}

    def decides(self, otherwise: bool) -> bool:
        """Whether the engine runs when no engine is named."""
        return otherwise if self.enabled is None else self.enabled.value is True


@frozen(kw_only=True)
class Configuration:
    """The settings that hold, with what was said of engines.

    Parameters
    ----------
    settings
        One value for each setting.
    places
        Where each was set.
    engines
        What was said of engines, by name.
    notes
        What the user should know of them.
    """

    settings: Settings
    places: Mapping[str, Origin]
    engines: Mapping[str, EngineTable] = field(factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def origins(self) -> tuple[str, ...]:
        """What comes from outside of the program, for who reads the results and wonders."""
        said: dict[str, list[str]] = {}
        for name, place in self.places.items():
            if place.outside:
                said.setdefault(place.name, []).append(name)
        for engine, table in self.engines.items():
            for key, placed in table.said().items():
                if placed.place.outside:
                    said.setdefault(placed.place.name, []).append(f"{key} of {engine}")
        return tuple(f"settings from {name}: {', '.join(keys)}" for name, keys in said.items())


def argument_layer(name: str, arguments: Mapping[str, object]) -> Layer:
    """Make a layer of keyword arguments.

    Raises
    ------
    SettingError
        One of the original SDK's settings has a wrong value.
    """
    place = Origin(name)
    translated = translate({key: SettingValue(value, place) for key, value in arguments.items()})
    return Layer(
        name=name,
        settings=translated.settings,
        engines=translated.engines,
        notes=translated.notes,
    )


def configure(layers: Sequence[Layer]) -> Configuration:
    """Lay layers over each other, the strongest first.

    Engines that a layer names are measured, whatever weaker layers (or the same
    one) say of them; an engine that a stronger layer turns off is left out.

    Raises
    ------
    SettingError
        A name is unknown, a value has the wrong type or is out of range, or no
        engine is left.
    """
    settings, places = resolve_origins([(layer.name, layer.settings) for layer in layers])
    if settings.engines is not None:
        named = next(at for at, layer in enumerate(layers) if _sets(layer, "engines"))
        settings = attrs.evolve(settings, engines=_left(settings.engines, layers[:named]))
    names = dict.fromkeys(name for layer in layers for name in layer.engines)
    return Configuration(
        settings=settings,
        places=places,
        engines={name: _table(name, layers) for name in names},
        notes=tuple(note for layer in layers for note in layer.notes),
    )


def _sets(layer: Layer, name: str) -> bool:
    return name in layer.settings and layer.settings[name].value is not None


def _left(choices: tuple[EngineChoice, ...], stronger: Sequence[Layer]) -> tuple[EngineChoice, ...]:
    tables = {name: _table(name, stronger) for layer in stronger for name in layer.engines}
    left = tuple(
        choice
        for choice in choices
        if choice.name not in tables or tables[choice.name].decides(otherwise=True)
    )
    if not left:
        places = dict.fromkeys(str(tables[choice.name].place) for choice in choices)
        raise SettingError(
            "every engine that was chosen is turned off.", hint=f"See {', '.join(places)}."
        )
    return left


def _table(name: str, layers: Sequence[Layer]) -> EngineTable:
    said: dict[str, SettingValue] = {}
    for layer in layers:
        for key, placed in layer.engines.get(name, {}).items():
            said.setdefault(key, placed)
    enabled, python = said.pop(ENABLED, None), said.pop(PYTHON, None)
    for key, kind, value in ((ENABLED, "bool", enabled), (PYTHON, "str", python)):
        if value is not None:
            checked_kind(kind, value.value, f"{key!r} of engine {name!r} in {value.place}")
    return EngineTable(enabled=enabled, python=python, options=said)
