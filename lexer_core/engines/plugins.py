"""Is a plugin valid, and how does it describe its engine?

This is all that a listing needs: the plugin's module is imported and checked, but no
runtime is imported and no pluggy manager is created.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from lexer_core import __version__
from lexer_core.engine_helpers import error_summary
from lexer_core.engines.hook_checks import read_hooks
from lexer_core.engines.info_checks import wrong_in_info
from lexer_core.engines.plugin_errors import PluginError, upgrade_core, upgrade_plugin
from lexer_core.engines.states import EngineState
from lexer_core.hookspecs import CONTRACT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.engines.hook_checks import PluginHooks
    from lexer_core.engines.installed import DistributionFacts
    from lexer_core.records import EngineInfo

__all__ = ["Plugin", "broken_by", "load_plugin"]

_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<attributes>[\w.]+)\s*)?(?:\[.*\]\s*)?")


class Plugin(NamedTuple):
    """A valid plugin."""

    info: EngineInfo
    hooks: PluginHooks


def load_plugin(
    entry_point: EngineEntryPoint, guard: AbstractContextManager[None] | None = None
) -> Plugin:
    """Import a plugin's module, check its hooks and call ``lexer_engine_info``.

    Output that the plugin prints to standard output goes to standard error.

    Parameters
    ----------
    entry_point
        Names the module.
    guard
        A context in which the plugin's code is run.

    Raises
    ------
    PluginError
        The plugin is not valid; the error has the engine's state.
    """
    fix = upgrade_plugin(entry_point.distribution)
    with redirect_stdout(sys.stderr):
        guard = guard or nullcontext()
        module = _load_module(entry_point, guard)
        hooks = read_hooks(module)
        if hooks.unknown:
            raise PluginError(
                f"needs a newer lexer-core: it implements {', '.join(hooks.unknown)}, "
                f"which contract {CONTRACT_VERSION} of lexer-core {__version__} does not have"
                f"{_required(entry_point.distribution)}",
                fix=upgrade_core(entry_point.distribution),
                state=EngineState.INCOMPATIBLE,
            )
        _refuse(hooks.problems, module, fix)
        with broken_by("lexer_engine_info raised ", fix), guard:
            info = hooks.implementations["lexer_engine_info"].function()
        _refuse(tuple(wrong_in_info(info)), module, fix)
    return Plugin(info=info, hooks=hooks)


@contextmanager
def broken_by(what: str, fix: str) -> Iterator[None]:
    """Turn an exception of the plugin's code, even ``SystemExit``, into a ``PluginError``."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # On use: the exceptions module imports pluggy and importlib.metadata.
        import traceback

        from lexer_core.engines.exceptions import exception_location

        location = exception_location(error)
        raise PluginError(
            f"{what}{error_summary(error)}" + (f" ({location})" if location else ""),
            fix=fix,
            details="".join(traceback.format_exception(error)),
        ) from error


def _load_module(entry_point: EngineEntryPoint, guard: AbstractContextManager[None]) -> ModuleType:
    fix = upgrade_plugin(entry_point.distribution)
    reference = _REFERENCE.fullmatch(entry_point.value)
    if reference is None:
        raise PluginError(f"entry point {entry_point.value!r} does not name a module", fix=fix)
    with broken_by("", fix), guard:
        loaded = import_module(reference["module"])
        for attribute in filter(None, (reference["attributes"] or "").split(".")):
            loaded = getattr(loaded, attribute)
    if not isinstance(loaded, ModuleType):
        raise PluginError(
            f"entry point {entry_point.value!r} is not a module, but a {type(loaded).__qualname__}",
            fix=fix,
        )
    return loaded


def _refuse(problems: tuple[str, ...], module: ModuleType, fix: str) -> None:
    if problems:
        file = getattr(module, "__file__", None) or module.__name__
        raise PluginError("; ".join(problems), fix=fix, details=f"In {file}.")


def _required(plugin: DistributionFacts) -> str:
    return f" ({plugin} requires {plugin.core_requirement})" if plugin.core_requirement else ""
