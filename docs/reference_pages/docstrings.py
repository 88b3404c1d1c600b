"""How is a numpydoc docstring converted to Markdown?

This supports the subset of reStructuredText that the docstrings use: paragraphs,
lists, literal blocks, definition lists, ``code``, *emphasis* and roles such as
``:class:`Name```.
"""

from __future__ import annotations

import ast
import re
from inspect import cleandoc
from itertools import pairwise
from textwrap import dedent
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Link = Callable[[str], str]
    """Converts a public name to a link, or to plain code."""

__all__ = ["Docstring", "Entry", "anchor_of", "as_code", "read_docstring", "to_markdown"]

_ENTRIES = ("Parameters", "Returns", "Yields", "Raises", "Attributes")
_TEXTS = ("Notes", "Examples", "References", "Warnings", "See Also")
_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
_LITERAL = re.compile(r"``(.+?)``", re.DOTALL)
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_PAGE = re.compile(r"\bdocs/(\w+\.md)(?:,\s+\"([^\"]+)\")?")


@frozen
class Entry:
    """The names and the description of one entry of ``Parameters``, ``Returns`` or ``Raises``."""

    names: tuple[str, ...]
    text: str


@frozen(kw_only=True)
class Docstring:
    """The parts of a docstring, as reStructuredText."""

    summary: str
    body: str
    entries: Mapping[str, tuple[Entry, ...]]
    texts: Mapping[str, str]


def read_docstring(text: str) -> Docstring:
    """Split a docstring into its parts.

    Raises
    ------
    ValueError
        The docstring has a section that numpydoc does not define.
    """
    lines = cleandoc(text).splitlines()
    sections = list(_sections(lines))
    opening = "\n".join(sections[0][1]).strip()
    summary, _, body = opening.partition("\n\n")
    entries: dict[str, tuple[Entry, ...]] = {}
    texts: dict[str, str] = {}
    for title, content in sections[1:]:
        if title in _ENTRIES:
            entries[title] = tuple(_entries(content))
        elif title in _TEXTS:
            texts[title] = "\n".join(content).strip()
        else:
            raise ValueError(f"{title!r} is not a numpydoc section")
    return Docstring(
        summary=" ".join(summary.split()), body=body.strip(), entries=entries, texts=texts
    )


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each section's title and lines; the first has no title."""
    starts = [
        number
        for number, (line, below) in enumerate(pairwise(lines))
        if line.strip() and not line.startswith(" ") and re.fullmatch(r"-{3,}", below)
    ]
    yield "", list(lines[: starts[0]] if starts else lines)
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start].strip(), list(lines[start + 2 : end])


def _entries(lines: Sequence[str]) -> Iterator[Entry]:
    name, text = "", list[str]()
    for line in [*lines, "end"]:
        if line.startswith(" ") or not line:
            text.append(line)
            continue
        if name:
            names = name.partition(" : ")[0].split(",")
            yield Entry(tuple(each.strip() for each in names), dedent("\n".join(text)).strip())
        name, text = line, []


def to_markdown(text: str, link: Link) -> str:
    """Convert the reStructuredText of a docstring to Markdown.

    Parameters
    ----------
    text
        Paragraphs, lists and blocks, without indentation.
    link
        Converts the name in a role.
    """
    return "\n\n".join(_blocks(text.splitlines(), link))


def _blocks(lines: Sequence[str], link: Link) -> Iterator[str]:
    paragraphs = list(_paragraphs(lines))
    position = 0
    while position < len(paragraphs):
        paragraph = paragraphs[position]
        position += 1
        first = paragraph[0]
        if paragraph[-1].endswith("::"):
            introduction = "\n".join(paragraph).removesuffix("::").rstrip()
            if introduction:
                yield _inline(introduction, link) + ":"
            block = list[str]()
            while position < len(paragraphs) and paragraphs[position][0].startswith(" "):
                block += ["", *paragraphs[position]]
                position += 1
            yield _as_block(dedent("\n".join(block).strip("\n")))
        elif _ITEM.match(first):
            yield _inline("\n".join(paragraph), link)
        elif len(paragraph) > 1 and not first.startswith(" ") and paragraph[1].startswith(" "):
            yield _inline("\n".join(_defined(paragraph)), link)
        else:
            yield _inline("\n".join(line.strip() for line in paragraph), link)


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    paragraph = list[str]()
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            yield paragraph
            paragraph = []


def _defined(paragraph: Sequence[str]) -> Iterator[str]:
    """Convert a definition list to list items."""
    for line in paragraph:
        yield f"  {line.strip()}" if line.startswith(" ") else f"- {line}:"


def _inline(text: str, link: Link) -> str:
    """Convert inline markup, which may continue on the next line."""
    text = _LITERAL.sub(lambda match: f"`{' '.join(match[1].split())}`", text)
    text = _ROLE.sub(lambda match: link(match[1]), text)
    return _PAGE.sub(_page, text)


def _page(match: re.Match[str]) -> str:
    """Link to a page of the documentation from ``docs/reference``."""
    page, heading = match.groups()
    if heading is None:
        return f"[docs/{page}](../{page})"
    title = " ".join(heading.split())
    return f"[{title}](../{page}#{anchor_of(title)})"


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _as_block(text: str) -> str:
    """Fence a literal block, as Python if it parses."""
    try:
        ast.parse(text)
    except SyntaxError:
        return f"```text\n{text}\n```"
    return as_code(text)


def as_code(text: str) -> str:
    """Fence Python code as ``py``, which the documentation tests do not run."""
    return f"```py\n{text}\n```"
