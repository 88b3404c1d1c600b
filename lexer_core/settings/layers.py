"""What does each source of settings set, and what do all of them set together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.errors import SettingError
from lexer_core.renamed import renamed_property
from lexer_core.settings.legacy import translate_legacy
from lexer_core.settings.table import Origin, Settings, SettingValue, resolve_settings
from lexer_core.typed_values import validate_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.choice import EngineChoice

__all__ = ["Configuration", "EngineTable", "Layer", "argument_layer", "merge_layers"]

ENABLED, PYTHON = "enabled", "python"
"""The keys of an engine's section that are not engine options."""


@frozen(kw_only=True)
class Layer:
    """What one source sets: the call, the environment, a file.

    Parameters
    ----------
    name
        The name used in error messages.
    settings
        Values by setting name, with their origins.
    engines
        For each engine, the keys of its section: ``enabled``, ``python`` and
        engine options.
    notes
        Notes for the user.
    """

    name: str
    settings: Mapping[str, SettingValue]
    engines: Mapping[str, Mapping[str, SettingValue]] = field(factory=dict)
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class EngineTable:
    """What all layers together set for one engine.

    Parameters
    ----------
    enabled
        Whether the engine runs when no engine is named; ``None`` if not set.
    python
        Path of the interpreter that runs the engine; ``None`` for the current one.
    options
        Engine options with their origins. They are validated when the engine is
        used.
    """

    enabled: SettingValue | None = None
    python: SettingValue | None = None
    options: Mapping[str, SettingValue] = field(factory=dict)

    @property
    def origin(self) -> Origin:
        """The origin of the first value that is set for the engine."""
        return next(iter(self.values().values())).origin

    def values(self) -> dict[str, SettingValue]:
        """Return everything that is set, by the keys used in a file."""
        keys = {ENABLED: self.enabled, PYTHON: self.python}
        return {key: value for key, value in keys.items() if value is not None} | {**self.options}

    def is_enabled(self, otherwise: bool) -> bool:
        """Return whether the engine runs when no engine is named; ``otherwise`` if not set."""
        return otherwise if self.enabled is None else self.enabled.value is True

    place = renamed_property("EngineTable", "place", "origin")
    said = renamed_property("EngineTable", "said", "values")
    decides = renamed_property("EngineTable", "decides", "is_enabled")


@frozen(kw_only=True)
class Configuration:
    """The effective settings of a call, and where each was set.

    Parameters
    ----------
    settings
        The value of every setting.
    setting_origins
        Where each was set, by setting name.
    engines
        What is set for individual engines, by engine name.
    notes
        Notes for the user.
    """

    settings: Settings
    setting_origins: Mapping[str, Origin]
    engines: Mapping[str, EngineTable] = field(factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def origin_notes(self) -> tuple[str, ...]:
        """One note for each file or variable that sets something, for the report."""
        names: dict[str, list[str]] = {}
        for name, origin in self.setting_origins.items():
            if origin.outside:
                names.setdefault(origin.name, []).append(name)
        for engine, table in self.engines.items():
            for key, value in table.values().items():
                if value.origin.outside:
                    names.setdefault(value.origin.name, []).append(f"{key} of {engine}")
        return tuple(f"settings from {origin}: {', '.join(keys)}" for origin, keys in names.items())

    places = renamed_property("Configuration", "places", "setting_origins")
    origins = renamed_property("Configuration", "origins", "origin_notes")


def argument_layer(name: str, arguments: Mapping[str, object]) -> Layer:
    """Return the layer of a call's keyword arguments.

    Raises
    ------
    SettingError
        A setting of the original SDK has a wrong value.
    """
    origin = Origin(name)
    translated = translate_legacy(
        {key: SettingValue(value, origin) for key, value in arguments.items()}
    )
    return Layer(
        name=name,
        settings=translated.settings,
        engines=translated.engines,
        notes=translated.notes,
    )


def merge_layers(layers: Sequence[Layer]) -> Configuration:
    """Merge layers, the strongest first.

    A layer that names the engines to measure overrides ``enabled = false`` in
    itself and in weaker layers, but not in stronger ones.

    Raises
    ------
    SettingError
        A name is unknown, a value has the wrong type or is out of range, or
        every named engine is disabled.
    """
    settings, origins = resolve_settings([(layer.name, layer.settings) for layer in layers])
    if settings.engines is not None:
        named = next(at for at, layer in enumerate(layers) if _sets(layer, "engines"))
        settings = attrs.evolve(settings, engines=_enabled(settings.engines, layers[:named]))
    names = dict.fromkeys(name for layer in layers for name in layer.engines)
    return Configuration(
        settings=settings,
        setting_origins=origins,
        engines={name: _engine_table(name, layers) for name in names},
        notes=tuple(note for layer in layers for note in layer.notes),
    )


def _sets(layer: Layer, name: str) -> bool:
    return name in layer.settings and layer.settings[name].value is not None


def _enabled(
    choices: tuple[EngineChoice, ...], stronger: Sequence[Layer]
) -> tuple[EngineChoice, ...]:
    tables = {name: _engine_table(name, stronger) for layer in stronger for name in layer.engines}
    enabled = tuple(
        choice
        for choice in choices
        if choice.name not in tables or tables[choice.name].is_enabled(otherwise=True)
    )
    if not enabled:
        origins = dict.fromkeys(str(tables[choice.name].origin) for choice in choices)
        raise SettingError(
            "every engine that was named is turned off.", hint=f"See {', '.join(origins)}."
        )
    return enabled


def _engine_table(name: str, layers: Sequence[Layer]) -> EngineTable:
    values: dict[str, SettingValue] = {}
    for layer in layers:
        for key, value in layer.engines.get(name, {}).items():
            values.setdefault(key, value)
    enabled, python = values.pop(ENABLED, None), values.pop(PYTHON, None)
    for key, kind, setting in ((ENABLED, bool, enabled), (PYTHON, str, python)):
        if setting is not None:
            what = f"{key!r} of engine {name!r} in {setting.origin}"
            validate_value(kind, setting.value, what, strict=True)
    return EngineTable(enabled=enabled, python=python, options=values)
