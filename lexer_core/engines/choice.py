"""Which engine is meant, with which options, under which label?

``onnxruntime``, ``onnxruntime[graph_optimization_level=basic]`` and
``ort-basic=onnxruntime[graph_optimization_level=basic]`` are the forms on the
command line; :class:`EngineChoice` is what they mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.errors import SettingError, UsageError
from lexer_core.records import EngineInfo
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.records import EngineOption, OptionValue

__all__ = ["EngineChoice", "parse_engine_choice", "resolve_options"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CHOICE = re.compile(
    r"(?:(?P<label>[^=\[\]]*[^=\[\]\s])\s*=\s*)?(?P<name>\w[\w.-]*)(?:\[(?P<options>.*)\])?",
    re.DOTALL,
)
_OPTION = re.compile(rf'\s*(?P<key>[^\s=,"]+)\s*=\s*(?P<value>{_QUOTED}|[^,"]*)\s*(?:,|\Z)')
_HOW_TO_WRITE = (
    "Write NAME, NAME[option=value,option=value] or LABEL=NAME[option=value], "
    "quoted for the shell.\n"
    'A value with a comma in it goes in double quotes: NAME[option="a,b"].'
)


def _copied(options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    return dict(options)


@frozen
class EngineChoice:
    """An engine, with options and a label of its own.

    Parameters
    ----------
    name
        The engine's name, as ``lexer engines list`` shows it.
    options
        Options of the engine: values of the declared types, or the text that
        spells them on the command line.
    label
        What the row is called; empty for a label made from name and options.
    python
        The interpreter that runs it, where engines cannot share an environment;
        empty for this one. lexer-core and the engine's plugin are installed there.
    """

    name: str
    options: Mapping[str, OptionValue] = field(factory=dict, converter=_copied, hash=False)
    label: str = ""
    python: str = ""

    def __str__(self) -> str:
        """Return what ``--engine`` selects this engine by, label included."""
        options = ",".join(f"{key}={_spelled(value)}" for key, value in self.options.items())
        label = f"{self.label}=" if self.label else ""
        return f"{label}{self.name}[{options}]" if options else f"{label}{self.name}"


def parse_engine_choice(text: str) -> EngineChoice:
    r"""Read one engine choice as written on the command line.

    Parameters
    ----------
    text
        ``name``, ``name[option=value,…]`` or ``label=name[option=value,…]``.
        Values stay text here; :func:`resolve_options` gives them their types.
        A value may be put in double quotes, with ``\"`` and ``\\`` inside.

    Raises
    ------
    UsageError
        The text has another form, or sets an option twice.
    """
    match = _CHOICE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} does not name an engine.", hint=_HOW_TO_WRITE)
    options: dict[str, OptionValue] = {}
    written, position = match["options"] or "", 0
    while written[position:].strip():
        option = _OPTION.match(written, position)
        if option is None:
            raise UsageError(
                f"{written[position:].strip()!r} in {text!r} is not option=value.",
                hint=_HOW_TO_WRITE,
            )
        if option["key"] in options:
            raise UsageError(
                f"option {option['key']!r} is set twice in {text!r}.", hint="Keep one of them."
            )
        options[option["key"]] = _unquoted(option["value"].strip())
        position = option.end()
    return EngineChoice(match["name"], options, (match["label"] or "").strip())


def resolve_options(
    engine: Engine | RemoteEngine | EngineInfo, options: Mapping[str, object], *, where: str = ""
) -> dict[str, OptionValue]:
    """Validate an engine's options and complete them with their defaults.

    Parameters
    ----------
    engine
        The engine, or what its plugin says of it.
    options
        By name: values of the declared types, or text that spells them.
    where
        Where the options were set, such as ``"[engines.torch] of a.toml"``; for
        the error alone.

    Returns
    -------
    dict
        Values of the declared types, in the order of declaration. An option
        that is not set and has no default is absent.

    Raises
    ------
    SettingError
        An option is unknown, or its value is not one that it may have.
    """
    info = engine if isinstance(engine, EngineInfo) else engine.info
    name = info.display_name if isinstance(engine, EngineInfo) else engine.name
    place = f", set in {where}" if where else ""
    known = {option.name: option for option in info.options}
    for key in options:
        if key not in known:
            raise SettingError(
                f"engine {name!r} has no option {key!r}{place}.",
                hint=f"Its options: {', '.join(known)}.{did_you_mean(key, known)}"
                if known
                else "It takes no options.",
            )
    resolved: dict[str, OptionValue] = {}
    for key, option in known.items():
        if key in options:
            resolved[key] = _checked(option, options[key], f"engine {name!r}", place)
        elif option.default is not None:
            resolved[key] = option.default
    return resolved


def _checked(option: EngineOption, value: object, engine: str, place: str) -> OptionValue:
    converted = _CONVERTERS[option.type](value)
    if converted is None:
        raise SettingError(
            f"option {option.name!r} of {engine} is {_KINDS[option.type]}, not {value!r}{place}.",
            hint=option.help,
        )
    if option.choices and converted not in option.choices:
        choices = [str(choice) for choice in option.choices]
        raise SettingError(
            f"option {option.name!r} of {engine} cannot be {value!r}{place}.",
            hint=f"It is one of: {', '.join(choices)}.{did_you_mean(str(value), choices)}",
        )
    return converted


# Each returns None for a value that is not of its kind. A bool is an int to
# Python, but never the number that somebody meant.


def _as_bool(value: object) -> bool | None:
    spelling = str(value).strip().lower() if isinstance(value, str | int) else None
    if spelling in {"true", "1", "yes", "on"}:
        return True
    return False if spelling in {"false", "0", "no", "off"} else None


def _as_int(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            return int(value.strip(), 10)
        except ValueError:
            return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _as_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_CONVERTERS: Mapping[type, Callable[[object], OptionValue | None]] = {
    bool: _as_bool,
    int: _as_int,
    float: _as_float,
    str: _as_text,
}

_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def _spelled(value: OptionValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text == text.strip() and not set(text) & set(',"[]'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text
