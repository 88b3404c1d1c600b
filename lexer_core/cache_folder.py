"""In which folder does Lexer cache data?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["default_directory", "default_directory_name"]

_IS_LINUX = sys.platform == "linux"


def default_directory() -> Path:
    """Return ``$LEXER_CACHE_DIR`` or, if not set, Lexer's folder in the user's cache folder."""
    from pathlib import Path  # a listing must start fast, and does without it

    return Path(default_directory_name())


def default_directory_name() -> str:
    """Return the path of :func:`default_directory` as text."""
    named = os.environ.get("LEXER_CACHE_DIR", "")
    if named:
        return os.path.expanduser(named)  # noqa: PTH111 - see above
    if _IS_LINUX:
        # As platformdirs does, whose import would take a tenth of the time of a listing.
        caches = os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache")  # noqa: PTH111
        return f"{caches}/lexer"
    from platformdirs import user_cache_dir  # see above

    return user_cache_dir("lexer", appauthor=False)
