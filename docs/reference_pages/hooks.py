"""What does the page of hooks contain?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lexer_core import hookspecs
from reference_pages.chapters import CHAPTERS, describe_chapter
from reference_pages.docstrings import anchor_of, as_code, read_docstring, to_markdown
from reference_pages.objects import render_docstring
from reference_pages.signatures import signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_pages.docstrings import Docstring
    from reference_pages.objects import Links

__all__ = ["hooks_page"]

_PAGE = "hooks.md"
_WITHOUT = re.compile(r"(?:Default: )?(.*?)\.\s+May\s+import\s+the\s+runtime:\s+(\w+)\.", re.DOTALL)


def hooks_page(links: Links) -> str:
    """Return the page: the hooks, and the records that they take and return."""
    return "\n\n".join(_blocks(links)) + "\n"


def _blocks(links: Links) -> Iterator[str]:
    link = links.seen_from(_PAGE)
    assert hookspecs.__doc__ is not None
    yield "# Hooks"
    yield (
        "The contract between the core and an engine. [Write an engine](../writing-an-engine.md) "
        "shows how to create and install an engine."
    )
    yield from render_docstring(read_docstring(hookspecs.__doc__), link)
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("lexer_")}
    docstrings = {name: _docstring(name, hook) for name, hook in hooks.items()}
    rows = ["| hook | what it does | default | may import the runtime |", "|---|---|---|---|"]
    for name, docstring in docstrings.items():
        without, may_import = _facts(name, docstring)
        rows.append(
            f"| [`{name}`](#{anchor_of(name)}) | {to_markdown(docstring.summary, link)} "
            f"| {to_markdown(without, link)} | {may_import} |"
        )
    yield "\n".join(rows)
    for name, docstring in docstrings.items():
        yield f"## {name}"
        yield as_code(f"@hookimpl\n{signature_of(f'def {name}', hooks[name])}: ...")
        yield from render_docstring(docstring, link)
    for chapter in CHAPTERS:
        if chapter.page == _PAGE:
            yield from describe_chapter(chapter, links)


def _docstring(name: str, hook: Any) -> Docstring:
    if not hook.__doc__:
        raise ValueError(f"{name} has no docstring")
    return read_docstring(hook.__doc__)


def _facts(name: str, docstring: Docstring) -> tuple[str, str]:
    """Return a hook's default, and whether it may import the runtime."""
    found = _WITHOUT.match(docstring.texts.get("Notes", ""))
    if found is None:
        raise ValueError(
            f"the notes of {name} must start with its default and whether it may import the runtime"
        )
    return " ".join(found[1].split()), found[2]
