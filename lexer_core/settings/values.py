"""Is this a value that the setting may have, and how is it written?

A value comes as a Python object (an argument, a key of a TOML file) or as a text
that spells one (an environment variable).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from lexer_core.engines.choice import EngineChoice, parse_engine_choice
from lexer_core.errors import SettingError, UsageError
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    import attrs

__all__ = ["checked", "checked_kind", "from_text", "kind_of", "range_text", "read_share", "spelled"]

_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "engines": "a list of engines, such as ['torch', 'onnxruntime']",
}

_SPELLINGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def kind_of(setting: attrs.Attribute[Any]) -> str:
    """Return ``bool``, ``int``, ``float``, ``str`` or ``engines``."""
    kind = str(setting.type).split(" |")[0]
    return "engines" if kind.startswith("tuple[EngineChoice") else kind


def checked(setting: attrs.Attribute[Any], value: object, where: str) -> Any:
    """Check one value, and give it the setting's own type.

    Parameters
    ----------
    setting
        The line of the table.
    value
        As somebody gave it.
    where
        Who gave it: ``"the call"``, ``"/a/.lexer_config.toml, line 3"``.

    Raises
    ------
    SettingError
        It has another type, or is out of range.
    """
    what = f"setting {setting.name!r} in {where}"
    kind, facts = kind_of(setting), setting.metadata
    value = _engines(value, what) if kind == "engines" else checked_kind(kind, value, what)
    if facts["choices"] and value not in facts["choices"]:
        raise SettingError(
            f"{what} is {value!r}, which is not one of {', '.join(map(repr, facts['choices']))}.",
            hint=did_you_mean(str(value), facts["choices"]).strip(),
        )
    low, high = facts["low"], facts["high"]
    if low is not None and (value < low or (facts["exclusive"] and value == low)):
        bound = "greater than" if facts["exclusive"] else "at least"
        raise SettingError(f"{what} is {value!r}; it must be {bound} {low}.", hint=facts["help"])
    if high is not None and value > high:
        raise SettingError(f"{what} is {value!r}; it must be at most {high}.", hint=facts["help"])
    return value


def checked_kind(kind: str, value: object, what: str) -> Any:
    """Check that a value is ``bool``, ``int``, ``float`` (or an int for it) or ``str``.

    Raises
    ------
    SettingError
        It is something else; the error begins with ``what``.
    """
    # bool is an int to Python, but threads=True is a mistake.
    if kind == "bool":
        good = isinstance(value, bool)
    elif kind == "int":
        good = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "float":
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if good else value  # type: ignore[arg-type]
        good = good and not math.isnan(cast("float", value))
    else:
        good = isinstance(value, str)
    if not good:
        raise SettingError(f"{what} is {value!r}; it must be {_WANTED[kind]}.")
    return value


def from_text(setting: attrs.Attribute[Any], text: str, where: str) -> Any:
    """Read the value that a text spells, and check it.

    Raises
    ------
    SettingError
        The text spells no value that the setting may have.
    """
    text = text.strip()
    kind = kind_of(setting)
    if kind in ("str", "engines"):
        return checked(setting, text, where)
    read = read_share if setting.metadata["share"] else _READERS[kind]
    value = read(text)
    # What spells no value is refused as the text that it is.
    return checked(setting, text if value is None else value, where)


def read_share(text: str) -> float | None:
    """Read a part of one, ``"1%"`` or ``"0.01"``; ``None`` where the text is neither."""
    match = re.fullmatch(r"\s*((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)\s*", text, re.IGNORECASE)
    return None if match is None else float(match[1]) / (100 if match[2] else 1)


def range_text(setting: attrs.Attribute[Any]) -> str:
    """Say which values are in range, ``"at least 1, at most 100"``; empty where all are."""
    facts = setting.metadata
    if facts["choices"]:
        return " or ".join(map(spelled, facts["choices"]))
    bounds = []
    if facts["low"] is not None:
        bounds.append(f"{'above' if facts['exclusive'] else 'at least'} {facts['low']}")
    if facts["high"] is not None:
        bounds.append(f"at most {facts['high']}")
    return ", ".join(bounds)


def spelled(value: object) -> str:
    """Write a value as a TOML file has it; ``None``, which TOML lacks, is a dash."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, EngineChoice):
        return spelled(str(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    # A JSON text is a basic string of TOML, but for DEL, which JSON leaves as it is.
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text.replace("\x7f", "\\u007f")


def _number(convert: Callable[[str], float]) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        try:
            return convert(text)
        except ValueError:
            return None

    return read


_READERS: Mapping[str, Callable[[str], float | bool | None]] = {
    "bool": lambda text: _SPELLINGS.get(text.lower()),
    "int": _number(int),
    "float": _number(float),
}


def _engines(value: object, what: str) -> tuple[EngineChoice, ...]:
    if isinstance(value, str):
        value = _split(value)
    elif isinstance(value, EngineChoice):
        value = [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise SettingError(f"{what} is {value!r}; it must be {_WANTED['engines']}.")
    choices = tuple(_choice(each, what) for each in value)
    if not choices:
        raise SettingError(
            f"{what} is empty: no engine was chosen.",
            hint="Leave it out to run every engine that is ready.",
        )
    return choices


def _choice(value: object, what: str) -> EngineChoice:
    if isinstance(value, EngineChoice):
        return value
    if not isinstance(value, str):
        raise SettingError(f"{what} holds {value!r}; it must be {_WANTED['engines']}.")
    try:
        return parse_engine_choice(value)
    except UsageError as error:
        raise SettingError(f"{what}: {error.message}", hint=error.hint) from error


def _split(text: str) -> list[str]:
    """Split ``torch,onnxruntime[a=b,c=d]`` at the commas between engines."""
    parts: list[str] = _PART.findall(text)
    return [part for part in parts if part.strip()]


# Brackets as a whole; those that are not closed, up to the end; anything but a comma.
_PART = re.compile(r'(?:\[(?:"(?:[^"\\]|\\.)*"|[^\]"])*\]|\[.*|[^,\[])+', re.DOTALL)
