"""Which environment variables must another interpreter not inherit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["interpreter_environment"]

_PATH_VARIABLES = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE"})


def interpreter_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that set where this interpreter finds modules."""
    return {name: value for name, value in environment.items() if name not in _PATH_VARIABLES}
