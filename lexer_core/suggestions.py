"""Which known name did the user probably mean?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to a mistyped one, or ``None``.

    The comparison ignores case and treats ``-`` and ``_`` as equal. ``cutoff`` is the
    minimum similarity, 0 to 1, as in difflib.
    """
    import difflib  # on use: slow to import, and needed only for errors

    folded = {_fold(each): each for each in known}
    matches = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"   Did you mean 'x'?"``, the end of a hint, or an empty string."""
    match = nearest(name, known)
    return f"   Did you mean {match!r}?" if match else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
