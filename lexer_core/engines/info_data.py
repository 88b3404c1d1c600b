"""How is the description of an engine written as data, and read again?

As JSON types: it comes from another process or a file, and reading it runs no code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.engines.info_checks import wrong_in_info
from lexer_core.engines.plugin_text import printable
from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["info_as_data", "info_from_data"]

_TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}
_NAMES = ("runtime_modules", "runtime_distributions", "formats")
_TEXTS = ("display_name", "unavailable_because", "remedy", "declarations")


def info_as_data(info: EngineInfo) -> dict[str, Any]:
    """Return a valid description as JSON types."""
    return {
        **{name: printable(getattr(info, name)) for name in _TEXTS},
        **{name: list(getattr(info, name)) for name in _NAMES},
        "runs_by_default": info.runs_by_default,
        "precisions": list(info.precisions),
        "concurrency": info.concurrency,
        "options": [
            {
                "name": option.name,
                "type": option.type.__name__,
                "default": option.default,
                "choices": list(option.choices),
                "help": option.help,
            }
            for option in info.options
        ],
    }


def info_from_data(data: object) -> EngineInfo:
    """Return the description that :func:`info_as_data` wrote.

    Raises
    ------
    ValueError
        The data is not a valid description.
    """
    try:
        facts: Mapping[str, Any] = dict(data)  # type: ignore[call-overload]
        info = EngineInfo(
            display_name=facts["display_name"],
            runtime_modules=tuple(facts["runtime_modules"]),
            runtime_distributions=tuple(facts["runtime_distributions"]),
            formats=tuple(facts["formats"]),
            options=tuple(_option(option) for option in facts["options"]),
            runs_by_default=facts["runs_by_default"],
            unavailable_because=facts["unavailable_because"],
            remedy=facts["remedy"],
            declarations=facts.get("declarations", ""),  # older versions have none
            precisions=tuple(facts.get("precisions", ())),
            concurrency=facts.get("concurrency", "none"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a description of an engine: {error!r}") from error
    for problem in wrong_in_info(info):
        raise ValueError(problem)
    return info


def _option(facts: Any) -> EngineOption:
    return EngineOption(
        name=facts["name"],
        type=_TYPES[facts["type"]],
        default=facts["default"],
        choices=tuple(facts["choices"]),
        help=facts["help"],
    )
