"""How are the signature, fields and value of a public object written?

Annotations are written as in the source, so that imports for type checkers only are
not needed.
"""

from __future__ import annotations

import ast
import enum
import inspect
from functools import cache
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

__all__ = ["constant_of", "signature_of", "written_value"]

_WIDTH = 88


def signature_of(name: str, callable_: Callable[..., Any]) -> str:
    """Return a signature, on one line if it fits, otherwise with one argument per line.

    Parameters
    ----------
    name
        The name before the parenthesis.
    callable_
        A function, a method (without its first argument) or a class.
    """
    returns = ""
    if isinstance(callable_, type):
        arguments = list((_fields if attrs.has(callable_) else _arguments)(callable_))
    else:
        arguments = list(_arguments(callable_))
        annotation = inspect.signature(callable_).return_annotation
        if annotation is not inspect.Signature.empty:
            returns = f" -> {_annotation(annotation)}"
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= _WIDTH:
        return line
    listed = "".join(f"    {argument},\n" for argument in arguments)
    return f"{name}(\n{listed}){returns}"


def _arguments(function: Callable[..., Any]) -> Iterator[str]:
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        del parameters[0]
    kinds = inspect.Parameter
    starred = False
    for number, parameter in enumerate(parameters):
        if parameter.kind is kinds.KEYWORD_ONLY and not starred:
            yield "*"
            starred = True
        starred = starred or parameter.kind is kinds.VAR_POSITIONAL
        stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        yield stars + _argument(parameter.name, parameter.annotation, parameter.default)
        following = parameters[number + 1 : number + 2]
        if parameter.kind is kinds.POSITIONAL_ONLY and (
            not following or following[0].kind is not kinds.POSITIONAL_ONLY
        ):
            yield "/"


def _fields(record: type) -> Iterator[str]:
    fields = [each for each in attrs.fields(record) if each.init]
    if fields and fields[0].kw_only:
        yield "*"
    for each in fields:
        default = each.default
        if default is attrs.NOTHING:
            default = inspect.Parameter.empty
        elif hasattr(default, "factory"):
            made = default.factory
            default = made() if made in (dict, list, tuple) else _Written(f"{made.__name__}()")
        yield _argument(each.alias or each.name, each.type, default)


@attrs.frozen
class _Written:
    """A default that is already source text."""

    text: str


def _argument(name: str, annotation: object, default: object) -> str:
    empty = inspect.Parameter.empty
    typed = name if annotation in (empty, None) else f"{name}: {_annotation(annotation)}"
    if default is empty:
        return typed
    equals = "=" if typed == name else " = "
    return f"{typed}{equals}{written_value(default)}"


def _annotation(annotation: object) -> str:
    if annotation is None:
        return "None"
    return (
        annotation
        if isinstance(annotation, str)
        else getattr(annotation, "__name__", str(annotation))
    )


def written_value(value: object) -> str:
    """Return a value as Python source, with double quotes.

    Raises
    ------
    ValueError
        The value's text contains a memory address, which differs in each run.
    """
    if isinstance(value, _Written):
        return value.text
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str):
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"'
    if callable(value):
        return str(getattr(value, "__name__", type(value).__name__))
    text = repr(value)
    if " at 0x" in text:
        raise ValueError(f"{text} differs in each run")
    return text


def constant_of(module: ModuleType, name: str) -> tuple[str, str]:
    """Return the assignment of a constant and the docstring below it.

    Parameters
    ----------
    module
        The module that assigns or imports it.
    name
        The name of the constant.

    Raises
    ------
    ValueError
        The module neither assigns nor imports the name.
    """
    assert module.__file__ is not None
    source, tree = _parsed(Path(module.__file__))
    for statement, below in zip_longest(tree.body, tree.body[1:]):
        if name in _targets(statement):
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = str(below.value.value)
            return ast.get_source_segment(source, statement) or "", text
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            assert node.module is not None
            return constant_of(import_module(node.module), name)
    raise ValueError(f"{module.__name__} does not assign {name}")


@cache
def _parsed(path: Path) -> tuple[str, ast.Module]:
    source = path.read_text(encoding="utf-8")
    return source, ast.parse(source)


def _targets(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [each.id for each in statement.targets if isinstance(each, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []
