"""Which pages of the documentation are written from the code?

Signatures, docstrings, options and help texts are said once, in the code; these
pages are made of them. ``python docs/generate.py`` writes them, and a test
compares what is there with what would be written.
"""

from __future__ import annotations

from reference_pages.chapters import chapters_page, collect_links
from reference_pages.command_line import command_line_page
from reference_pages.errors import errors_page
from reference_pages.hooks import hooks_page

__all__ = ["FOLDER", "REGENERATE", "reference_pages"]

FOLDER = "docs/reference"
"""Where the pages go, seen from the root of the repository; nothing else is there."""

REGENERATE = "python docs/generate.py"
"""The command that writes them."""

_NOTE = "<!-- Written from the code by `{command}`: change the code, not this page. -->\n"


def reference_pages() -> dict[str, str]:
    """Write every page of the reference.

    Returns
    -------
    dict[str, str]
        The text of each page by its name.
    """
    links = collect_links()
    pages = {
        "cli.md": command_line_page(),
        "api.md": chapters_page("api.md", links),
        "hooks.md": hooks_page(links),
        "errors.md": errors_page(links),
        "statistics.md": chapters_page("statistics.md", links),
    }
    note = _NOTE.format(command=REGENERATE)
    return {name: note + text for name, text in pages.items()}
