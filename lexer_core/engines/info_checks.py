"""Is the result of ``lexer_engine_info`` valid?"""

from __future__ import annotations

import re
import reprlib
from typing import TYPE_CHECKING, Any

from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["wrong_in_info"]

_CONCURRENCY = ("shared", "per_thread", "none")
_OPTION_TYPES = (bool, int, float, str)
_OPTION_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def wrong_in_info(info: object) -> Iterator[str]:
    """Yield each problem of a result of ``lexer_engine_info``, as a clause."""
    if info is None:
        yield "lexer_engine_info returned None (is a return statement missing?)"
        return
    if not isinstance(info, EngineInfo):
        kind = type(info).__qualname__
        yield f"lexer_engine_info returned a value of type {kind}, not EngineInfo"
        return
    for problem in _wrong_fields(info):
        yield f"lexer_engine_info: {problem}"


# Plugins may ignore the records' annotations, so nothing here relies on them.


_MOST_NAMES = 64
_MOST_OPTIONS = 1000
_LONGEST_NAME = 200


def _wrong_fields(info: Any) -> Iterator[str]:
    if not isinstance(info.display_name, str) or not info.display_name.strip():
        yield "display_name must be a non-empty string"
    if not isinstance(info.runs_by_default, bool):
        yield "runs_by_default must be True or False"
    if info.concurrency not in _CONCURRENCY:
        yield f"concurrency must be 'shared', 'per_thread' or 'none', not {info.concurrency!r}"
    yield from _wrong_availability(info)
    yield from _wrong_declarations(info.declarations)
    for field in ("runtime_modules", "runtime_distributions", "formats", "precisions"):
        yield from _wrong_names(field, getattr(info, field))
    if not info.formats:
        yield "formats is empty, so the engine cannot load a model"
    if info.runtime_modules and not info.runtime_distributions:
        yield "runtime_distributions is empty, but runtime_modules is not"
    if isinstance(info.runtime_modules, tuple):
        for module in info.runtime_modules:
            if isinstance(module, str) and not all(map(str.isidentifier, module.split("."))):
                yield f"runtime_modules contains {module!r}, which is not the name of a module"
    yield from _wrong_options(info.options)


def _wrong_declarations(declarations: object) -> Iterator[str]:
    if not isinstance(declarations, str) or (declarations and ":" not in declarations):
        yield f"declarations must be 'module:Class', not {declarations!r}"


def _wrong_availability(info: Any) -> Iterator[str]:
    for field in ("unavailable_because", "remedy"):
        if not isinstance(getattr(info, field), str):
            yield f"{field} must be a string, not {type(getattr(info, field)).__name__}"
    if info.unavailable_because and not info.remedy:
        yield "unavailable_because is set, but remedy is empty"


def _wrong_names(field: str, names: object) -> Iterator[str]:
    if not isinstance(names, tuple):
        yield f"{field} must be a tuple, not {type(names).__name__}"
        return
    if len(names) > _MOST_NAMES:
        yield f"{field} has {len(names)} names; at most {_MOST_NAMES} are allowed"
        return
    for name in names:
        if not isinstance(name, str) or not name:
            yield f"{field} contains {name!r}, which is not a name"
        elif len(name) > _LONGEST_NAME or not name.isprintable():
            yield f"{field} contains {reprlib.repr(name)}, which is too long or not printable"
    if len(set(map(repr, names))) < len(names):
        yield f"{field} contains a name twice"


def _wrong_options(options: Any) -> Iterator[str]:
    if not isinstance(options, tuple):
        yield f"options must be a tuple, not {type(options).__name__}"
        return
    if len(options) > _MOST_OPTIONS:
        yield f"there are {len(options)} options; at most {_MOST_OPTIONS} are allowed"
        return
    names: set[str] = set()
    for option in options:
        if not isinstance(option, EngineOption):
            yield f"options contains {option!r}, which is not an EngineOption"
            continue
        yield from _wrong_option(option)
        if option.name in names:
            yield f"option {option.name!r} is declared twice"
        names.add(option.name)


def _wrong_option(option: Any) -> Iterator[str]:
    if not isinstance(option.name, str) or not _OPTION_NAME.fullmatch(option.name):
        yield f"option {option.name!r} has an invalid name; use letters, digits, '_', '.' and '-'"
        return
    if option.type not in _OPTION_TYPES:
        yield f"option {option.name!r} has type {option.type!r}, not bool, int, float or str"
        return
    kind = option.type.__name__
    if not isinstance(option.choices, tuple):
        actual = type(option.choices).__name__
        yield f"choices of option {option.name!r} must be a tuple, not {actual}"
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
