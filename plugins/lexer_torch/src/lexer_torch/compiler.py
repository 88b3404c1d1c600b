"""Is there a C++ compiler for what torch compiles? Light: torch is not imported."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

__all__ = ["Missing", "find_compiler"]

_COMPILERS = {"darwin": "clang++", "win32": "cl"}
_REMEDIES = {
    "darwin": "xcode-select --install",
    "win32": "Install Visual Studio's build tools, and start Lexer from their command prompt",
}


class Missing(NamedTuple):
    """What is not there and what would mend it; both empty where nothing is missing."""

    reason: str = ""
    remedy: str = ""


def find_compiler() -> Missing:
    """Look for the compiler that torch would call: ``$CXX``, or the system's own."""
    import shutil  # only here: it takes longer to import than this module

    chosen = os.environ.get("CXX")
    name = chosen or _COMPILERS.get(sys.platform, "g++")
    if shutil.which(name) is not None:
        return Missing()
    if chosen:
        return Missing(
            f"there is no C++ compiler: CXX is {name!r}, which is not found",
            "unset CXX, or set it to a compiler that is installed",
        )
    return Missing(
        f"there is no C++ compiler: {name} is not found",
        _REMEDIES.get(sys.platform, "apt install g++   (or set CXX to another compiler)"),
    )
