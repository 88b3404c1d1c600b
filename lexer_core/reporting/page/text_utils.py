"""How are texts and whole numbers written on a page?"""

from __future__ import annotations

import unicodedata

__all__ = ["harmless", "whole", "wrapped"]


def harmless(text: str) -> str:
    """Drop what is not printed: control characters, lone surrogates, reversals of direction.

    Line ends stay; any other white space becomes a space. Markup is not the
    concern of this function: every text is escaped where it is put into a page.
    """
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else " "
        if character.isspace()
        else ""
        for character in text
    )


def whole(number: int) -> str:
    """Write a count in full, its digits in groups of three."""
    return f"{number:,}".replace(",", " ")


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text into lines of so many columns, between words where there are any.

    Characters of Chinese, Japanese and Korean take two columns.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if _columns(joined) <= columns:
            line = joined
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word:
            if line and _columns(line + character) > columns:
                lines.append(line)
                line = ""
            line += character
    return [*lines, line] if line else lines


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
