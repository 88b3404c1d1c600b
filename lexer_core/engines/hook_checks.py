"""Do a plugin's functions implement the hooks as intended?

pluggy ignores functions without ``@hookimpl``, never passes arguments that are
keyword-only or have a default, and awaits nothing. Such mistakes would show late or
never, so they are reported when the plugin is loaded.
"""

from __future__ import annotations

import inspect
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from lexer_core import hookspecs
from lexer_core.hookspecs import PROJECT_NAME
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

__all__ = ["HOOKS", "REQUIRED_HOOKS", "HookFunction", "PluginHooks", "read_hooks"]

_IMPL_MARK = f"{PROJECT_NAME}_impl"
_SPEC_MARK = f"{PROJECT_NAME}_spec"

HOOKS: Mapping[str, tuple[str, ...]] = {
    name: spec.__code__.co_varnames[: spec.__code__.co_argcount]
    for name, spec in vars(hookspecs).items()
    if isinstance(spec, FunctionType) and hasattr(spec, _SPEC_MARK)
}
"""The arguments of every hook of this contract."""

REQUIRED_HOOKS = ("lexer_engine_info", "lexer_create_session")
"""The hooks without a default."""


class HookFunction(NamedTuple):
    """A plugin's implementation of one hook, and the arguments that it takes.

    It may take fewer arguments than the specification, so they are passed by name.
    """

    function: Callable[..., Any]
    argument_names: tuple[str, ...]

    def bind(self, **arguments: object) -> Callable[[], Any]:
        """Return a function without arguments, for calls that must not pay for pluggy."""
        taken = [arguments[name] for name in self.argument_names]
        return partial(self.function, *taken) if taken else self.function


class PluginHooks(NamedTuple):
    """The hooks that a plugin's module implements, and its problems.

    Parameters
    ----------
    marked
        The functions to register, by their name in the module.
    implementations
        The same functions, by hook.
    unknown
        Hooks that the module implements but this contract does not have.
    problems
        Violations of the contract, each as a clause.
    """

    marked: Mapping[str, Callable[..., Any]]
    implementations: Mapping[str, HookFunction]
    unknown: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_hooks(module: ModuleType) -> PluginHooks:
    """Find and check the hook implementations in a module.

    Only the module's namespace is read; its ``__getattr__`` is not called.
    """
    marked: dict[str, Callable[..., Any]] = {}
    implementations: dict[str, HookFunction] = {}
    attempted: set[str] = set()
    unknown: list[str] = []
    problems: list[str] = []
    for name, value in list(vars(module).items()):
        mark = _mark(value)
        if mark is None:
            if _seems_a_hook(name, value, module):
                attempted.add(name)
                problems.append(f"{name} is not decorated with @hookimpl")
            continue
        hook = mark.get("specname") or name
        if hook in implementations:
            problems.append(f"{hook} is implemented twice")
        elif hook in HOOKS:
            marked[name] = value
            implementations[hook] = HookFunction(value, _argument_names(value))
            problems.extend(_wrong_in(hook, value, mark))
        elif not mark.get("optionalhook"):
            meant = _misspelt(hook)
            if meant is None or meant in vars(module):
                unknown.append(hook)
            else:
                attempted.add(meant)
                problems.append(f"unknown hook {hook}: did you mean {meant}?")
    problems.extend(
        f"the required hook {hook} is missing"
        for hook in REQUIRED_HOOKS
        if hook not in implementations and hook not in attempted
    )
    return PluginHooks(
        marked=marked,
        implementations=implementations,
        unknown=tuple(unknown),
        problems=tuple(problems),
    )


def _mark(value: object) -> Mapping[str, Any] | None:
    if not inspect.isroutine(value):
        return None
    mark = getattr(value, _IMPL_MARK, None)
    return mark if isinstance(mark, dict) else None


def _misspelt(hook: str) -> str | None:
    """Return the hook whose name is most similar, ignoring the common prefix."""
    tails = {name.removeprefix("lexer_"): name for name in HOOKS}
    tail = nearest(hook.removeprefix("lexer_"), tails, cutoff=0.8)
    return tails[tail] if tail else None


def _seems_a_hook(name: str, value: object, module: ModuleType) -> bool:
    """Return whether a function without ``@hookimpl`` was probably meant to be a hook.

    The prefix is reserved for hooks. An imported function counts only if it has the
    exact name of a hook and is not a specification.
    """
    if not name.startswith("lexer_") or not isinstance(value, FunctionType):
        return False
    if hasattr(value, _SPEC_MARK):
        return False
    return name in HOOKS or value.__module__ == module.__name__


def _argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    )


def _wrong_in(hook: str, function: Callable[..., Any], mark: Mapping[str, Any]) -> Iterator[str]:
    if mark.get("wrapper") or mark.get("hookwrapper"):
        yield f"{hook} is a wrapper, but there is nothing for it to wrap"
        return
    layers = (function, inspect.unwrap(function))
    if any(map(inspect.iscoroutinefunction, layers)) or any(
        map(inspect.isasyncgenfunction, layers)
    ):
        yield f"{hook} is async, but hooks are not awaited"
        return
    if any(map(inspect.isgeneratorfunction, layers)):
        yield f"{hook} is a generator (it contains yield); a hook must return its result"
        return
    known = HOOKS[hook]
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield f"{hook} takes *{name}, which pluggy leaves empty; name the arguments"
        elif parameter.kind is parameter.VAR_KEYWORD:
            yield f"{hook} takes **{name}, which pluggy leaves empty; name the arguments"
        elif name not in known:
            yield (
                f"{hook} takes {name!r}, which the hook does not have; "
                f"its arguments are {', '.join(known) or 'none'}"
            )
        elif parameter.kind is parameter.KEYWORD_ONLY:
            yield f"{hook} takes {name!r} as keyword-only, but arguments are positional"
        elif parameter.default is not parameter.empty:
            yield f"{hook} gives {name!r} a default, which pluggy would always use; remove it"
