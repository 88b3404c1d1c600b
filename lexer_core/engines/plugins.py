"""Is a plugin sound, and what does it say of its engine?

Enough for listing: the plugin's module is imported and checked, no runtime is,
and no pluggy manager is made.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from lexer_core import __version__
from lexer_core.engines.hook_checks import read_hooks
from lexer_core.engines.info_checks import wrong_in_info
from lexer_core.engines.states import EngineState
from lexer_core.hookspecs import CONTRACT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.engines.hook_checks import PluginHooks
    from lexer_core.engines.installed import DistributionFacts
    from lexer_core.records import EngineInfo

__all__ = ["Plugin", "PluginError", "broken_by", "load_plugin", "upgrade_core", "upgrade_plugin"]

_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<attributes>[\w.]+)\s*)?(?:\[.*\]\s*)?")


class Plugin(NamedTuple):
    """A plugin that keeps the contract."""

    info: EngineInfo
    hooks: PluginHooks


class PluginError(Exception):
    """A plugin cannot be made an engine; never leaves this package."""

    def __init__(
        self,
        reason: str,
        *,
        remedy: str,
        details: str = "",
        state: EngineState = EngineState.BROKEN,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.details = details
        self.state = state


def load_plugin(claim: EngineEntryPoint) -> Plugin:
    """Import a plugin's module, check it, and ask what its engine is.

    What the plugin prints meanwhile goes to standard error.

    Raises
    ------
    PluginError
        With the state that the engine is in instead.
    """
    remedy = upgrade_plugin(claim.distribution)
    with redirect_stdout(sys.stderr):
        module = _load_module(claim)
        hooks = read_hooks(module)
        if hooks.unknown:
            raise PluginError(
                f"needs a newer lexer-core: it implements {', '.join(hooks.unknown)}, "
                f"which contract {CONTRACT_VERSION} of lexer-core {__version__} does not have"
                f"{_required(claim.distribution)}",
                remedy=upgrade_core(claim.distribution),
                state=EngineState.INCOMPATIBLE,
            )
        _refuse(hooks.problems, module, remedy)
        with broken_by("lexer_engine_info raised ", remedy):
            info = hooks.implementations["lexer_engine_info"].function()
        _refuse(tuple(wrong_in_info(info)), module, remedy)
    return Plugin(info=info, hooks=hooks)


def upgrade_plugin(plugin: DistributionFacts) -> str:
    """Return the command that installs a newer plugin, and what it requires."""
    return f"pip install --upgrade {plugin.name}"


def upgrade_core(plugin: DistributionFacts) -> str:
    """Return the command that installs a lexer-core that the plugin works with."""
    if plugin.core_requirement:
        return f"pip install --upgrade '{plugin.core_requirement}'"
    return f"pip install --upgrade lexer-core {plugin.name}"


@contextmanager
def broken_by(what: str, remedy: str) -> Iterator[None]:
    """Turn whatever the plugin's code raises, ``SystemExit`` too, into a reason."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        import traceback  # only here, like the next: they are needed for errors alone

        from lexer_core.engines.exceptions import exception_location, exception_summary

        place = exception_location(error)
        raise PluginError(
            f"{what}{exception_summary(error)}" + (f" ({place})" if place else ""),
            remedy=remedy,
            details="".join(traceback.format_exception(error)),
        ) from error


def _load_module(claim: EngineEntryPoint) -> ModuleType:
    remedy = upgrade_plugin(claim.distribution)
    reference = _REFERENCE.fullmatch(claim.value)
    if reference is None:
        raise PluginError(f"its entry point {claim.value!r} does not name a module", remedy=remedy)
    with broken_by("", remedy):
        loaded = import_module(reference["module"])
        for attribute in filter(None, (reference["attributes"] or "").split(".")):
            loaded = getattr(loaded, attribute)
    if not isinstance(loaded, ModuleType):
        raise PluginError(
            f"its entry point {claim.value!r} is not a module, but a {type(loaded).__qualname__}",
            remedy=remedy,
        )
    return loaded


def _refuse(problems: tuple[str, ...], module: ModuleType, remedy: str) -> None:
    if problems:
        file = getattr(module, "__file__", None) or module.__name__
        raise PluginError("; ".join(problems), remedy=remedy, details=f"In {file}.")


def _required(plugin: DistributionFacts) -> str:
    return f" ({plugin} requires {plugin.core_requirement})" if plugin.core_requirement else ""
