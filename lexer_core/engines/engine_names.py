"""Is the name of an engine valid?

Users write it on the command line and in configuration files, and it becomes a part of
file names.
"""

from __future__ import annotations

import re

__all__ = ["NAME", "wrong_name"]

NAME = r"[^\W_][\w.-]*"
"""A regular expression for the characters of an engine's name."""

_LONGEST = 64


def wrong_name(name: str) -> str:
    """Return what is wrong with the name of an engine, as a clause; empty if it is valid."""
    if len(name) > _LONGEST:
        return f"its name has {len(name)} characters; at most {_LONGEST} are allowed"
    if not re.fullmatch(NAME, name):
        return (
            f"its name {name!a} is invalid: a name consists of letters, digits, '-', '_' and '.', "
            "and begins with a letter or digit"
        )
    return ""
