"""Which settings do environment variables set?

The variable of a setting is ``LEXER_`` and its name in capitals. Another variable
with that prefix may belong to another program and is ignored, unless it looks like
a mistyped setting, which is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import SettingError
from lexer_core.settings.layers import Layer
from lexer_core.settings.legacy import former_margin, translate_legacy
from lexer_core.settings.locations import NO_FILES, PATH_VARIABLE
from lexer_core.settings.table import Origin, Settings, SettingValue, setting_names
from lexer_core.settings.values import parse_setting
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["environment_layer"]

_PREFIX = "LEXER_"
_OTHER_VARIABLES = ("LEXER_CACHE_DIR", PATH_VARIABLE, NO_FILES)
_SIMILAR = 0.75


def _variable_of(setting: str) -> str:
    """Return the variable of a setting: ``LEXER_MAX_SECONDS`` for ``max_seconds``."""
    return _PREFIX + setting.upper()


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """Read the settings among the variables; an empty variable is not set.

    Raises
    ------
    SettingError
        A variable has an invalid value, or its name looks like a mistyped one.
    """
    known = {_variable_of(setting): setting for setting in setting_names()}
    table = attrs.fields_dict(Settings)
    settings: dict[str, SettingValue] = {}
    notes = []
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or variable in _OTHER_VARIABLES or not text.strip():
            continue
        if variable in known:
            name, origin = known[variable], Origin(variable, outside=True)
            if former_margin(name, text) is None:
                value = parse_setting(table[name], text, variable)
                settings[name] = SettingValue(value, origin)
            else:  # translated below
                settings[name] = SettingValue(text, origin)
            continue
        near = nearest(
            variable.removeprefix(_PREFIX),
            [each.removeprefix(_PREFIX) for each in (*known, *_OTHER_VARIABLES)],
            cutoff=_SIMILAR,
        )
        if near is not None:
            raise SettingError(
                f"the environment variable {variable} is not a Lexer setting.",
                hint=f"Did you mean {_PREFIX}{near}?",
            )
        notes.append(f"the environment variable {variable} is not a Lexer setting and was ignored")
    translated = translate_legacy(settings)
    return Layer(
        name="the environment",
        settings=translated.settings,
        notes=(*notes, *translated.notes),
    )
