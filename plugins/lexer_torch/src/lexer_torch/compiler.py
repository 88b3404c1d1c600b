"""Is there a C++ compiler for torch? Cheap to import: torch is not imported."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

__all__ = ["Missing", "find_compiler"]

_COMPILERS = {"darwin": "clang++", "win32": "cl"}
_FIXES = {
    "darwin": "xcode-select --install",
    "win32": "Install the Visual Studio build tools, and start Lexer from their command prompt",
}


class Missing(NamedTuple):
    """Why the compiler is missing, and how to fix it; both empty if there is one."""

    reason: str = ""
    fix: str = ""


def find_compiler() -> Missing:
    """Find the compiler that torch calls: ``$CXX`` or the system's default."""
    import shutil  # slower to import than this module

    chosen = os.environ.get("CXX")
    name = chosen or _COMPILERS.get(sys.platform, "g++")
    if shutil.which(name) is not None:
        return Missing()
    if chosen:
        return Missing(
            f"no C++ compiler was found: CXX is {name!r}, which does not exist",
            "unset CXX, or set it to a compiler that is installed",
        )
    return Missing(
        f"no C++ compiler was found: {name} is not installed",
        _FIXES.get(sys.platform, "apt install g++   (or set CXX to another compiler)"),
    )
