"""Which engine runs, with which options and label?

On the command line a choice is written ``onnxruntime``,
``onnxruntime[graph_optimization_level=basic]`` or
``ort-basic=onnxruntime[graph_optimization_level=basic]``. In Python it is an
:class:`EngineChoice`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

from lexer_core.engines.engine_names import NAME
from lexer_core.errors import SettingError, UsageError
from lexer_core.suggestions import did_you_mean
from lexer_core.typed_values import validate_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import EngineInfo, OptionValue

__all__ = ["EngineChoice", "option_text", "parse_engine_choice", "resolve_options"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CHOICE = re.compile(
    rf"(?:(?P<label>[^=\[\]]*[^=\[\]\s])\s*=\s*)?(?P<name>{NAME})(?:\[(?P<options>.*)\])?",
    re.DOTALL,
)
_OPTION = re.compile(rf'\s*(?P<key>[^\s=,"]+)\s*=\s*(?P<value>{_QUOTED}|[^,"]*)\s*(?:,|\Z)')
_HOW_TO_WRITE = (
    "Write NAME, NAME[option=value,option=value] or LABEL=NAME[option=value], "
    "quoted for the shell.\n"
    'Put a value that contains a comma in double quotes: NAME[option="a,b"].'
)


def _copied(options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    return dict(options)


@frozen
class EngineChoice:
    """An engine with options and a label.

    Parameters
    ----------
    name
        The engine's name, as shown by ``lexer engines list``.
    options
        Engine options by name: values of the declared types, or text as on the
        command line. ``precision`` is what the engine is asked to compute in, unless the
        engine has an option of that name.
    label
        The label of the row. Default: made from name and options.
    python
        Path of the Python interpreter that runs the engine, for engines that
        cannot share one environment. lexer-core and the engine's plugin must be
        installed there. Default: the current interpreter.
    """

    name: str
    options: Mapping[str, OptionValue] = field(factory=dict, converter=_copied, hash=False)
    label: str = ""
    python: str = ""

    def __str__(self) -> str:
        """Return the value of ``--engine`` that selects this engine, including its label."""
        options = ",".join(f"{key}={_spelled(value)}" for key, value in self.options.items())
        label = f"{self.label}=" if self.label else ""
        return f"{label}{self.name}[{options}]" if options else f"{label}{self.name}"


def parse_engine_choice(text: str) -> EngineChoice:
    r"""Parse an engine choice as written on the command line.

    Parameters
    ----------
    text
        ``name``, ``name[option=value,…]`` or ``label=name[option=value,…]``.
        A value may be in double quotes, with ``\"`` and ``\\`` as escapes.
        Values remain text; :func:`resolve_options` converts them.

    Raises
    ------
    UsageError
        The text has another form or sets an option twice.
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
                f"{written[position:].strip()!r} in {text!r} is not of the form option=value.",
                hint=_HOW_TO_WRITE,
            )
        if option["key"] in options:
            raise UsageError(
                f"option {option['key']!r} is set twice in {text!r}.", hint="Remove one of them."
            )
        options[option["key"]] = _unquoted(option["value"].strip())
        position = option.end()
    return EngineChoice(match["name"], options, (match["label"] or "").strip())


class _DescribedEngine(Protocol):
    """What :func:`resolve_options` needs of an engine."""

    @property
    def name(self) -> str: ...

    @property
    def info(self) -> EngineInfo: ...


def resolve_options(
    engine: _DescribedEngine, options: Mapping[str, object], *, where: str = ""
) -> dict[str, OptionValue]:
    """Validate engine options and add the defaults of those that are not set.

    Parameters
    ----------
    engine
        The engine, of this interpreter or another.
    options
        Values by option name: of the declared types, or as text.
    where
        Where the options were set, for the error message: ``"a.toml, line 3"``.

    Returns
    -------
    dict
        Values of the declared types, in the order of declaration. An option
        that is not set and has no default is absent.

    Raises
    ------
    SettingError
        An option is unknown or its value is not allowed.
    """
    name = engine.name
    origin = f" in {where}" if where else ""
    known = {option.name: option for option in engine.info.options}
    for key in options:
        if key not in known:
            raise SettingError(
                f"engine {name!r} has no option {key!r}" + (f", set in {where}." if where else "."),
                hint=f"Its options: {', '.join(known)}.{did_you_mean(key, known)}"
                if known
                else "It takes no options.",
            )
    resolved: dict[str, OptionValue] = {}
    for key, option in known.items():
        if key in options:
            resolved[key] = validate_value(
                option.type,
                options[key],
                f"option {key!r} of engine {name!r}{origin}",
                choices=option.choices,
                hint=option.help,
            )
        elif option.default is not None:
            resolved[key] = option.default
    return resolved


def option_text(value: object) -> str:
    """Return the value of an option as users write it: ``true``, ``2``, ``all``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spelled(value: OptionValue) -> str:
    text = option_text(value)
    if text == text.strip() and not set(text) & set(',"[]'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text
