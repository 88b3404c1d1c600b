"""Which object does TARGET name, and with which arguments is it called?

``package.module:make('small', depth=3)``: the arguments are literals, which are read,
not executed.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FactoryCall", "parse_factory_call"]

_CALL = re.compile(r"(?P<where>.+?):(?P<attribute>[^\W\d][\w.]*)(?P<call>\(.*\))", re.DOTALL)


@frozen(kw_only=True)
class FactoryCall:
    """A module or file, an attribute in it, and the arguments to call it with.

    ``is_call`` is whether arguments were written, perhaps none, as in ``net:make()``.
    """

    where: str
    attribute: str
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any]
    is_call: bool = False


def parse_factory_call(text: str) -> FactoryCall | None:
    """Parse TARGET; return ``None`` if it has no attribute.

    Raises
    ------
    TargetError
        The arguments are not literals.
    """
    match = _CALL.fullmatch(text)
    if match is not None:
        positional, named = _arguments(match["call"], text)
        return FactoryCall(
            where=match["where"],
            attribute=match["attribute"],
            positional=positional,
            named=named,
            is_call=True,
        )
    where, colon, attribute = text.rpartition(":")
    if not colon or not where or not attribute or "/" in attribute or "\\" in attribute:
        return None
    return FactoryCall(where=where, attribute=attribute, named={})


def _arguments(call: str, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        node = ast.parse(f"f{call}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", "") or type(error).__name__
        raise _wrong(text, f"{call} cannot be read: {reason}") from error
    # f(a)(b) is a call of a call.
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _wrong(text, f"{call} is not one list of arguments")
    positional = tuple(_literal(each, text) for each in node.args)
    named = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _wrong(text, f"{ast.unparse(keyword)} is not a literal")
        named[keyword.arg] = _literal(keyword.value, text)
    return positional, named


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _wrong(text, f"{ast.unparse(node)} is not a literal") from error


def _wrong(text: str, what: str) -> TargetError:
    return TargetError(
        f"TARGET {text!r}: {what}.",
        hint="Arguments are literals, which are not executed: numbers, strings, True, None, and "
        "lists, tuples and dicts of them, as in timm:create_model('resnet18', num_classes=10). "
        "For anything else, name a function of your own that returns the model.",
    )
