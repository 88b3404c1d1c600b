"""What do the environment's variables say?

``LEXER_`` and a setting's name in capitals. A variable that begins so and is no
setting may belong to somebody else, and then says nothing here; one that looks
like a mistyped setting is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import SettingError
from lexer_core.settings.layers import Layer
from lexer_core.settings.locations import NO_FILES, PATH_VARIABLE
from lexer_core.settings.table import Origin, Settings, SettingValue, setting_names
from lexer_core.settings.values import from_text
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["environment_layer", "variable_of"]

_PREFIX = "LEXER_"
_OTHERS = ("LEXER_CACHE_DIR", PATH_VARIABLE, NO_FILES)
_ALIKE = 0.75


def variable_of(setting: str) -> str:
    """Name the variable of a setting: ``LEXER_MAX_SECONDS`` for ``max_seconds``."""
    return _PREFIX + setting.upper()


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Read the settings among the variables; an empty one is not set.

    Raises
    ------
    SettingError
        A variable has a value that its setting cannot have, or a name that
        looks like a mistyped one.
    """
    known = {variable_of(setting): setting for setting in setting_names()}
    table = attrs.fields_dict(Settings)
    settings: dict[str, SettingValue] = {}
    notes = []
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in _OTHERS or not text.strip():
            continue
        if variable in known:
            name = known[variable]
            settings[name] = SettingValue(
                from_text(table[name], text, variable), Origin(variable, outside=True)
            )
            continue
        near = nearest(
            variable.removeprefix(_PREFIX),
            [each.removeprefix(_PREFIX) for each in (*known, *_OTHERS)],
            cutoff=_ALIKE,
        )
        if near is not None:
            raise SettingError(
                f"the environment variable {variable} is no setting of Lexer's.",
                hint=f"Did you mean {_PREFIX}{near}?",
            )
        notes.append(f"the environment variable {variable} is no setting, and was ignored")
    return Layer(name="the environment", settings=settings, notes=tuple(notes))
