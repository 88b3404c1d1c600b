"""How is a plugin's text shown, whatever characters it contains?"""

from __future__ import annotations

__all__ = ["printable", "printable_lines"]

_LONGEST = 2000
_LONGEST_DETAILS = 100_000


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return text on one line, with escape sequences for what cannot be printed.

    These are control characters, changes of text direction and lone surrogates.
    """
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str, longest: int = _LONGEST_DETAILS) -> str:
    """Return text as :func:`printable` does, with its line breaks; its end if it is too long."""
    return "\n".join(printable(line, longest) for line in text[-longest:].expandtabs().split("\n"))


def _escaped(character: str) -> str:
    if character.isprintable() or character == "\N{NO-BREAK SPACE}":
        return character
    return character.encode("unicode_escape").decode("ascii")
