"""What does the page of errors contain?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core import errors
from lexer_core.cli.main import exit_status_of
from lexer_core.errors import LexerError
from reference_pages.docstrings import anchor_of, as_code, read_docstring
from reference_pages.objects import render_docstring
from reference_pages.signatures import signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_pages.objects import Links

__all__ = ["errors_page"]

_PAGE = "errors.md"
_TO_DO = "What to do: "


def errors_page(links: Links) -> str:
    """Return the page: each error with its meaning, fix and exit status."""
    return "\n\n".join(_blocks(links)) + "\n"


def _blocks(links: Links) -> Iterator[str]:
    yield "# Errors"
    yield (
        "Every error that Lexer raises derives from [`LexerError`](#lexererror) and is in "
        "`lexer_core.errors`. The message says what happened and where, the hint what to do. The "
        "command line prints both without a traceback and exits with the status given here. In a "
        "benchmark, the failure of one engine is not raised but becomes the `error` of its row."
    )
    tree = list(_tree(LexerError))
    yield "\n".join(
        f"{'  ' * depth}- [`{error.__name__}`](#{anchor_of(error.__name__)})"
        for error, depth in tree
    )
    for error, _ in tree:
        yield from _describe(error, links)


def _tree(error: type[LexerError], depth: int = 0) -> Iterator[tuple[type[LexerError], int]]:
    """Yield the public errors with their depth, base classes first."""
    yield error, depth
    for name in errors.__all__:
        derived = getattr(errors, name)
        if error in derived.__bases__:
            yield from _tree(derived, depth + 1)


def _describe(error: type[LexerError], links: Links) -> Iterator[str]:
    name = error.__name__
    if not error.__doc__ or _TO_DO not in error.__doc__:
        raise ValueError(f"the docstring of {name} does not say {_TO_DO!r}")
    link = links.seen_from(_PAGE, name)
    yield f"## {name}"
    yield as_code(f"from lexer_core.errors import {name}\n\n{signature_of(name, error)}")
    (base, *_) = error.__bases__
    derives = f"Derives from {link(base.__name__)}. " if base is not Exception else ""
    blocks = render_docstring(read_docstring(error.__doc__), link)
    for block in blocks:
        for paragraph in block.split("\n\n"):
            yield paragraph.replace(_TO_DO, "**What to do:** ", 1)
    yield f"{derives}Exit status: {exit_status_of(error(''))}."
