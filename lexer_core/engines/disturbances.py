"""What did importing a plugin change that other code in the process relies on?

A plugin that replaces a function of the standard library or of numpy would also change
how other engines are exported and measured.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ProcessState"]

_WATCHED = frozenset((*sys.stdlib_module_names, "attr", "attrs", "lexer_core", "numpy", "pluggy"))
_HOOKS_BY_DESIGN = frozenset(("sys", "logging", "warnings"))
"""Modules with functions that programs are meant to replace."""

_MOST_NAMED = 3

_MISSING = object()


class ProcessState:
    """The imported modules, the import system and the limits of this process, as they are now.

    As a context manager around a plugin's code, it adds what that changed to
    ``changes``, each as a clause that continues "importing it". Removed modules, paths
    and finders are put back, without which nothing works.

    Parameters
    ----------
    plugin
        The plugin's top-level module. Default: unknown.
    """

    def __init__(self, plugin: str = "") -> None:
        self.changes: list[str] = []
        self._plugin = plugin
        self._modules = dict(sys.modules)
        self._path = list(sys.path)
        self._finders: dict[str, list[Any]] = {
            "sys.meta_path": [*sys.meta_path],
            "sys.path_hooks": [*sys.path_hooks],
        }
        self._limits = _resource_limits()
        self._tracing = (sys.gettrace(), sys.getprofile())
        self._code = {
            name: _code_of(module)
            for name, module in self._modules.items()
            if name.partition(".")[0] in _WATCHED - _HOOKS_BY_DESIGN
            and isinstance(module, ModuleType)
        }

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.changes += (change for change in self._changes() if change not in self.changes)

    def _changes(self) -> list[str]:
        found: list[str] = []
        lost = [
            name
            for name, module in self._modules.items()
            if sys.modules.get(name, _MISSING) is not module
        ]
        if lost:
            sys.modules.update(self._modules)
            found.append(f"removes {_some(lost)} from sys.modules")
        if any(entry not in sys.path for entry in self._path):
            sys.path[:] = self._path
            found.append("removes entries from sys.path")
        for where, before in self._finders.items():
            now: list[Any] = sys.meta_path if where == "sys.meta_path" else sys.path_hooks
            if any(finder not in now for finder in before):
                now[:] = before
                found.append(f"removes finders from {where}")
        changed = [
            name for name, limit in _resource_limits().items() if self._limits[name] != limit
        ]
        if changed:
            found.append(f"sets {_some(changed)}")
        if (sys.gettrace(), sys.getprofile()) != self._tracing:
            found.append("sets a trace or profile function")
        replaced = list(self.replaced(self._plugin))
        if replaced:
            found.append(f"replaces {_some(replaced)}")
        return found

    def replaced(self, plugin: str) -> Iterator[str]:
        """Yield the functions and methods that a plugin replaced, with their modules' names.

        ``plugin`` is its top-level module; what a library replaced does not count.
        """
        for name, before in self._code.items():
            now = _code_of(self._modules[name])
            for attribute, value in before.items():
                new = now.get(attribute, _MISSING)
                if new is not value and not _is_of_a_library(new, plugin):
                    yield f"{name}.{attribute}"


def _is_of_a_library(code: object, plugin: str) -> bool:
    """Return whether this is from a library that the plugin imports.

    Such as torch, which replaces ``inspect.getfile`` wherever it is used.
    """
    top = str(getattr(code, "__module__", None)).partition(".")[0]
    return top in sys.modules and top != plugin and top not in _WATCHED


def _code_of(module: ModuleType) -> dict[str, object]:
    """Return the public functions and classes of a module, and the methods of its classes.

    A class or a function counts where it is defined.
    """
    found: dict[str, object] = {}
    name = module.__name__
    for attribute, value in list(vars(module).items()):
        if attribute.startswith("_") and attribute != "__import__":
            continue
        if not callable(value):
            continue
        found[attribute] = value
        if isinstance(value, type) and value.__module__ == name:
            found |= {
                f"{attribute}.{method}": code
                for method, code in list(vars(value).items())
                if isinstance(code, FunctionType)
            }
    return found


def _resource_limits() -> Mapping[str, tuple[int, int]]:
    try:
        import resource  # POSIX only
    except ImportError:
        return {}
    return {
        name: resource.getrlimit(getattr(resource, name))
        for name in dir(resource)
        if name.startswith("RLIMIT_")
    }


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
