"""What must another interpreter not inherit from this one's?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["interpreter_environment"]

_OWN_PATH = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE"})


def interpreter_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would bend another interpreter's path towards this one's."""
    return {name: value for name, value in environment.items() if name not in _OWN_PATH}
