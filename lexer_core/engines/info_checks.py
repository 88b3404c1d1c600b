"""Is what a plugin says of its engine well-formed?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["wrong_in_info"]

_OPTION_TYPES = (bool, int, float, str)
_OPTION_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def wrong_in_info(info: object) -> Iterator[str]:
    """Yield what is wrong with the answer of ``lexer_engine_info``, a clause each."""
    if info is None:
        yield "lexer_engine_info returned nothing (a forgotten return?)"
        return
    if not isinstance(info, EngineInfo):
        kind = type(info).__qualname__
        yield f"lexer_engine_info returned a value of type {kind}, not EngineInfo"
        return
    for problem in _wrong_fields(info):
        yield f"lexer_engine_info: {problem}"


# The annotations of the records are what is in question, so they are not relied on.


def _wrong_fields(info: Any) -> Iterator[str]:
    if not isinstance(info.display_name, str) or not info.display_name.strip():
        yield "display_name is not a name"
    if not isinstance(info.runs_by_default, bool):
        yield "runs_by_default is neither True nor False"
    yield from _wrong_reason(info)
    for field in ("runtime_modules", "runtime_distributions", "formats"):
        yield from _wrong_names(field, getattr(info, field))
    if not info.formats:
        yield "formats is empty, so the engine could load nothing"
    if info.runtime_modules and not info.runtime_distributions:
        yield "runtime_distributions does not say what provides runtime_modules"
    if isinstance(info.runtime_modules, tuple):
        for module in info.runtime_modules:
            if isinstance(module, str) and not module.isidentifier():
                yield f"runtime_modules has {module!r}, which is not a top-level module"
    if not isinstance(info.options, tuple):
        yield f"options is a {type(info.options).__name__}, not a tuple"
        return
    names: list[str] = []
    for option in info.options:
        if not isinstance(option, EngineOption):
            yield f"options has {option!r}, which is not an EngineOption"
            continue
        yield from _wrong_option(option)
        if option.name in names:
            yield f"option {option.name!r} is there twice"
        names.append(option.name)


def _wrong_reason(info: Any) -> Iterator[str]:
    yield from _wrong_availability(info)


def _wrong_availability(info: Any) -> Iterator[str]:
    for field in ("unavailable_because", "remedy"):
        if not isinstance(getattr(info, field), str):
            yield f"{field} is a {type(getattr(info, field)).__name__}, not a text"
    if info.unavailable_because and not info.remedy:
        yield "unavailable_because is set, and remedy does not say what would mend it"


def _wrong_names(field: str, names: object) -> Iterator[str]:
    if not isinstance(names, tuple):
        yield f"{field} is a {type(names).__name__}, not a tuple"
        return
    for name in names:
        if not isinstance(name, str) or not name:
            yield f"{field} has {name!r}, which is not a name"
    if len(set(map(repr, names))) < len(names):
        yield f"{field} has a name twice"


def _wrong_option(option: Any) -> Iterator[str]:
    if not isinstance(option.name, str) or not _OPTION_NAME.fullmatch(option.name):
        yield f"option {option.name!r} has a name that cannot be written on the command line"
        return
    if option.type not in _OPTION_TYPES:
        yield f"option {option.name!r} has type {option.type!r}, not bool, int, float or str"
        return
    kind = option.type.__name__
    if not isinstance(option.choices, tuple):
        yield f"choices of option {option.name!r} is a {type(option.choices).__name__}, not a tuple"
        return
    for choice in option.choices:
        if type(choice) is not option.type:
            yield f"option {option.name!r} has choice {choice!r}, which is not of type {kind}"
    if option.default is None:
        return
    if type(option.default) is not option.type:
        yield f"option {option.name!r} has default {option.default!r}, which is not of type {kind}"
    elif option.choices and option.default not in option.choices:
        yield f"option {option.name!r} has default {option.default!r}, which is not a choice"
