"""Are the generated reference pages up to date?"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from reference_pages import FOLDER, REGENERATE, reference_pages
from reference_pages.docstrings import read_docstring, to_markdown
from reference_pages.signatures import signature_of, written_value

import lexer_core

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages():
    return reference_pages()


@pytest.fixture(scope="module")
def present():
    paths = (ROOT / FOLDER).glob("**/*")
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_the_pages_are_up_to_date(pages, present):
    stale = [name for name in pages if pages[name] != present.get(name)]

    assert not stale, f"out of date: {', '.join(stale)}. Run: {REGENERATE}"


def test_there_are_no_other_pages(pages, present):
    assert not set(present) - set(pages), f"not generated. Run: {REGENERATE}"


def test_every_public_name_of_lexer_core_is_described(pages):
    headings = {
        heading
        for text in pages.values()
        for heading in re.findall(r"^###? (\w+)$", text, re.MULTILINE)
    }

    assert set(lexer_core.__all__) - headings == {"__version__"}


def test_headings_of_a_page_have_different_anchors(pages):
    for name, text in pages.items():
        headings = [each.lower() for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        assert len(headings) == len(set(headings)), name


def test_pages_do_not_depend_on_the_machine(pages, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LEXER_CACHE_DIR", "/elsewhere")

    assert reference_pages() == pages
    for name, text in pages.items():
        for trace in (str(ROOT), sys.prefix, " at 0x"):
            assert trace not in text, f"{name}: {trace}"


def test_a_docstring_becomes_markdown():
    docstring = read_docstring(
        """Say what is there.

        It knows ``code``, :func:`links` and a block::

            value = 1

        one case
            said of it

        Parameters
        ----------
        first, second
            Two in one
            entry.

        Raises
        ------
        ValueError
            Never.
        """
    )

    assert docstring.summary == "Say what is there."
    assert to_markdown(docstring.body, lambda name: f"[{name}](#{name})") == (
        "It knows `code`, [links](#links) and a block:\n\n"
        "```py\nvalue = 1\n```\n\n"
        "- one case:\n  said of it"
    )
    (entry,) = docstring.entries["Parameters"]
    assert (entry.names, entry.text) == (("first", "second"), "Two in one\nentry.")
    assert docstring.entries["Raises"][0].names == ("ValueError",)


def test_a_docstring_with_an_unknown_section_is_an_error():
    with pytest.raises(ValueError, match="Paramters"):
        read_docstring("Do.\n\nParamters\n---------\nx\n    What.\n")


def test_a_signature_is_written_as_in_the_source():
    def call(first: Missing, /, *rest: int, last: str = 'a"b', **others) -> Missing:  # noqa: F821
        pass

    assert signature_of("call", call) == (
        'call(first: Missing, /, *rest: int, last: str = "a\\"b", **others) -> Missing'
    )


def test_a_default_that_differs_in_each_run_is_an_error():
    with pytest.raises(ValueError, match="differs"):
        written_value(object())
