"""In which folder does Lexer cache data?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["default_directory"]

_IS_LINUX = sys.platform == "linux"


def default_directory() -> Path:
    """Return ``$LEXER_CACHE_DIR`` or, if not set, Lexer's folder in the user's cache folder."""
    named = os.environ.get("LEXER_CACHE_DIR", "")
    if named:
        return Path(named).expanduser()
    if _IS_LINUX:
        # As platformdirs does, whose import would take a tenth of the time of a listing.
        caches = os.environ.get("XDG_CACHE_HOME", "").strip()
        return Path(caches or os.path.expanduser("~/.cache"), "lexer")  # noqa: PTH111 - never raises
    from platformdirs import user_cache_path  # see above

    return user_cache_path("lexer", appauthor=False)
