"""Is a setting's value valid, and how is it written?

A value is a Python object (an argument, a key of a TOML file) or text (an
environment variable).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lexer_core.engines.choice import EngineChoice, parse_engine_choice
from lexer_core.errors import SettingError, UsageError
from lexer_core.precisions import precision_name
from lexer_core.typed_values import convert_value, validate_value

if TYPE_CHECKING:
    import attrs

__all__ = [
    "describe_range",
    "kind_of",
    "parse_fraction",
    "parse_setting",
    "to_toml",
    "validate_setting",
]

_TYPES = {"bool": bool, "int": int, "float": float, "str": str}
_ENGINES = "a list of engines, such as ['torch', 'onnxruntime']"
_PRECISIONS = "a list of precisions, such as ['float32', 'bfloat16']"


def kind_of(setting: attrs.Attribute[Any]) -> str:
    """Return ``bool``, ``int``, ``float``, ``str``, ``engines`` or ``precisions``."""
    kind = str(setting.type).split(" |")[0]
    return {"tuple[EngineChoice, ...]": "engines", "tuple[str, ...]": "precisions"}.get(kind, kind)


def validate_setting(setting: attrs.Attribute[Any], value: object, origin: str) -> Any:
    """Return a setting's value as the setting's type, if it is valid.

    Parameters
    ----------
    setting
        The field of :class:`~lexer_core.settings.table.Settings`.
    value
        The value as it was set.
    origin
        Where it was set, for the error message: ``"the call"``,
        ``"/a/.lexer_config.toml, line 3"``.

    Raises
    ------
    SettingError
        The value has the wrong type or is out of range.
    """
    what = f"setting {setting.name!r} in {origin}"
    kind, metadata = kind_of(setting), setting.metadata
    if kind == "engines":
        return _engines(value, what)
    if kind == "precisions":
        return _precisions(value, what)
    hint = metadata["help"]
    valid: Any = validate_value(
        _TYPES[kind], value, what, strict=True, choices=metadata["choices"], hint=hint
    )
    low, high = metadata["low"], metadata["high"]
    is_low = low is not None and (valid < low or (metadata["exclusive"] and valid == low))
    if is_low or (high is not None and valid > high):
        allowed = describe_range(setting).replace(", ", " and ")
        raise SettingError(f"{what} is {value!r}; it must be {allowed}.", hint=hint)
    return valid


def parse_setting(setting: attrs.Attribute[Any], text: str, origin: str) -> Any:
    """Return the value that a setting's text stands for, if it is valid.

    Raises
    ------
    SettingError
        The text is not a valid value of the setting.
    """
    text = text.strip()
    kind = kind_of(setting)
    if kind in ("engines", "precisions"):
        value: object = text
    elif setting.metadata["share"]:
        value = parse_fraction(text)
    else:
        value = convert_value(_TYPES[kind], text)
    return validate_setting(setting, text if value is None else value, origin)


def parse_fraction(text: str) -> float | None:
    """Parse ``"1%"`` or ``"0.01"``; return ``None`` if the text is neither."""
    match = re.fullmatch(r"\s*((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)\s*", text, re.IGNORECASE)
    return None if match is None else float(match[1]) / (100 if match[2] else 1)


def describe_range(setting: attrs.Attribute[Any]) -> str:
    """Describe the allowed values, ``"at least 1, at most 100"``; empty if all are."""
    facts = setting.metadata
    if facts["choices"]:
        return " or ".join(map(to_toml, facts["choices"]))
    bounds = []
    if facts["low"] is not None:
        bounds.append(f"{'above' if facts['exclusive'] else 'at least'} {facts['low']}")
    if facts["high"] is not None:
        bounds.append(f"at most {facts['high']}")
    return ", ".join(bounds)


def to_toml(value: object) -> str:
    """Format a value as TOML; ``None``, which TOML does not have, becomes a dash."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, EngineChoice):
        return to_toml(str(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(to_toml, value))}]"
    # A JSON string is a valid TOML basic string, except that TOML requires DEL to be escaped.
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text.replace("\x7f", "\\u007f")


def _engines(value: object, what: str) -> tuple[EngineChoice, ...]:
    if isinstance(value, str):
        value = _split(value)
    elif isinstance(value, EngineChoice):
        value = [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise SettingError(f"{what} is {value!r}; it must be {_ENGINES}.")
    choices = tuple(_choice(each, what) for each in value)
    if not choices:
        raise SettingError(
            f"{what} is empty: it names no engine.",
            hint="Remove it to run every engine that is ready.",
        )
    return choices


def _precisions(value: object, what: str) -> tuple[str, ...]:
    """Return the names of precisions; which of them exist is known with the engines."""
    listed = value.split(",") if isinstance(value, str) else value
    names = list(listed) if isinstance(listed, (list, tuple)) else []
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise SettingError(f"{what} is {value!r}; it must be {_PRECISIONS}.")
    return tuple(dict.fromkeys(map(precision_name, names)))


def _choice(value: object, what: str) -> EngineChoice:
    if isinstance(value, EngineChoice):
        return value
    if not isinstance(value, str):
        raise SettingError(f"{what} contains {value!r}; it must be {_ENGINES}.")
    try:
        return parse_engine_choice(value)
    except UsageError as error:
        raise SettingError(f"{what}: {error.message}", hint=error.hint) from error


def _split(text: str) -> list[str]:
    """Split ``torch,onnxruntime[a=b,c=d]`` at the commas between engines."""
    parts: list[str] = _PART.findall(text)
    return [part for part in parts if part.strip()]


# A closed bracket; an unclosed one up to the end; anything but a comma.
_PART = re.compile(r'(?:\[(?:"(?:[^"\\]|\\.)*"|[^\]"])*\]|\[.*|[^,\[])+', re.DOTALL)
