"""Where is a module, if neither it nor its parents may be imported?

``importlib.util.find_spec`` imports the parents of a dotted name.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["module_spec"]


def module_spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module, or ``None`` if it cannot be found.

    A module without a spec, such as one that was made at run time, cannot be found.
    """
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
        for position, _ in enumerate(rest, start=2):
            if spec is None or spec.submodule_search_locations is None:
                return None
            part = ".".join(name.split(".")[:position])
            spec = _in_package(part, spec.submodule_search_locations)
    except (ImportError, ValueError, OSError):
        return None
    return spec


def _in_package(name: str, locations: object) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, locations)
        if spec is not None:
            return spec
    return None
