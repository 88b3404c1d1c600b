"""What are the public names of earlier versions called now?

Importing an old name gives the same object under its new name and a
``DeprecationWarning``. The table lists what the reference documented; an entry
stays for one minor version. The finder comes last on ``sys.meta_path``, so it
costs nothing unless an import would have failed.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["install", "renamed_attribute", "renamed_property"]

_RENAMED = {
    "lexer_core.comparison.rerun_target": {
        "BaseTarget": "lexer_core.comparison.base_location:BaseLocation",
    },
    "lexer_core.config": {
        "Settings": "lexer_core.settings.table:Settings",
        "Place": "lexer_core.settings.table:Origin",
        "Placed": "lexer_core.settings.table:SettingValue",
    },
    "lexer_core.configuration": {},
    "lexer_core.configuration.layers": {
        "Configuration": "lexer_core.settings.layers:Configuration",
        "EngineTable": "lexer_core.settings.layers:EngineTable",
    },
    "lexer_core.kept_model": {"KeptModel": "lexer_core.results:SavedModel"},
    "lexer_core.measurement": {},
    "lexer_core.measurement.progress": {
        "ProgressCallback": "lexer_core.benchmark.progress:ProgressCallback",
        "ProgressEvent": "lexer_core.benchmark.progress:ProgressEvent",
    },
    "lexer_core.results": {
        "BenchmarkReport": "lexer_core.report:BenchmarkReport",
        "Canary": "lexer_core.results:ReferenceWorkloadTimes",
    },
}


def renamed_attribute(module: str, name: str) -> object:
    """Return what ``module.name`` is called now, with a warning.

    Raises
    ------
    AttributeError
        The module never had such a public name.
    """
    target = _RENAMED[module].get(name)
    if target is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    new_module, _, new_name = target.partition(":")
    warnings.warn(
        f"{module}.{name} is now {new_module}.{new_name}; the old name goes in lexer-core 0.3",
        DeprecationWarning,
        stacklevel=3,
    )
    return getattr(import_module(new_module), new_name)


def renamed_property(owner: str, old: str, new: str) -> property:
    """Return a property that reads attribute ``new`` under its old name, with a warning."""

    def read(self: object) -> object:
        warnings.warn(
            f"{owner}.{old} is now {owner}.{new}; the old name goes in lexer-core 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        value: object = getattr(self, new)
        return value

    read.__doc__ = f"Return ``{new}``; the old name is deprecated."
    return property(read)


class _Finder:
    """Finds modules that only exist under their old name."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        del path, target
        if fullname not in _RENAMED:
            return None
        from importlib.machinery import ModuleSpec  # only where an old name is imported

        return ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system to make the module."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__getattr__ = lambda attribute: renamed_attribute(name, attribute)  # type: ignore[method-assign]


def install() -> None:
    """Make old modules importable."""
    sys.meta_path.append(_Finder())
