"""How do a plugin's functions become hooks that the core can call?

Each engine has its own ``pluggy.PluginManager``, so plugins cannot affect each other
and a failed registration is discarded with its manager.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

from lexer_core import hookspecs
from lexer_core.engines.default_hooks import default_hooks
from lexer_core.engines.hook_checks import HOOKS
from lexer_core.hookspecs import PROJECT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lexer_core.engines.hook_checks import PluginHooks

__all__ = ["register_hooks"]


def register_hooks(name: str, plugin: PluginHooks) -> pluggy.HookRelay:
    """Register a plugin's hooks and the defaults of those that it does not implement.

    Parameters
    ----------
    name
        The engine's name, which pluggy uses for the plugin.
    plugin
        The hooks that the plugin's module implements.

    Raises
    ------
    pluggy.PluginValidationError
        A function does not match its hook.
    """
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(_SPECIFICATIONS)
    # Register the functions, not the module: pluggy up to 1.6 would call the
    # module's __getattr__ for every name in its dir().
    manager.register(_namespace(name, plugin.marked), name=name)
    manager.check_pending()
    # If a default were registered behind a plugin's hook, it would answer when the
    # plugin returns None, and hide a missing return statement.
    manager.register(_namespace("defaults", default_hooks(plugin.implementations)))
    return manager.hook


def _namespace(name: str, functions: Mapping[str, Any]) -> ModuleType:
    namespace = ModuleType(name)
    vars(namespace).update(functions)
    return namespace


_SPECIFICATIONS = _namespace("specifications", {name: getattr(hookspecs, name) for name in HOOKS})
