"""How are texts cleaned and wrapped for a page?"""

from __future__ import annotations

import unicodedata

__all__ = ["harmless", "wrapped"]


def harmless(text: str) -> str:
    """Remove control characters, lone surrogates and changes of text direction.

    Newlines stay, and other white space becomes a space. Markup is left alone: it
    is escaped when the text is inserted into the page.
    """
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else " "
        if character.isspace()
        else ""
        for character in text
    )


def wrapped(text: str, columns: int) -> list[str]:
    """Wrap a text to a number of columns, between words if possible.

    Chinese, Japanese and Korean characters take two columns.
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
