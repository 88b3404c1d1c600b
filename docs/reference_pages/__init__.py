"""Which pages of the documentation are generated from the code?

They contain the signatures, docstrings, options and help texts of the code.
``python docs/generate.py`` writes them, and a test checks that they are up to date.
"""

from __future__ import annotations

from reference_pages.chapters import chapters_page, collect_links
from reference_pages.command_line import command_line_page
from reference_pages.errors import errors_page
from reference_pages.hooks import hooks_page

__all__ = ["FOLDER", "REGENERATE", "reference_pages"]

FOLDER = "docs/reference"
"""The folder of the pages, relative to the repository root; it contains nothing else."""

REGENERATE = "python docs/generate.py"
"""The command that writes them."""

_NOTE = "<!-- Generated from the code by `{command}`: change the code, not this page. -->\n"


def reference_pages() -> dict[str, str]:
    """Return every page of the reference.

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
