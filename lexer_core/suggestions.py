"""Which of the known names was probably meant?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is nearest to a mistyped one, or ``None``.

    Upper and lower case, and ``-`` and ``_``, count as the same letter.
    ``cutoff`` is how alike they must be, 0 to 1, as difflib counts it.
    """
    import difflib  # only here: it takes time to import and is needed for errors alone

    folded = {_fold(each): each for each in known}
    matches = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"   Did you mean 'x'?"`` to end a hint with, or nothing."""
    match = nearest(name, known)
    return f"   Did you mean {match!r}?" if match else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
