"""Which names are public, and which page of the reference describes each?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from attrs import frozen

import lexer_core
from lexer_core import hookspecs
from reference_pages.docstrings import anchor_of, read_docstring
from reference_pages.objects import Links, describe_object, members_of, render_docstring

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHAPTERS", "Chapter", "chapters_page", "collect_links", "describe_chapter"]


@frozen(kw_only=True)
class Chapter:
    """The public names of one module.

    Parameters
    ----------
    page
        The page that describes them.
    title
        The chapter's heading there.
    module
        The module that defines them.
    names
        The names to show. Default: the module's ``__all__``.
    """

    page: str
    title: str
    module: str
    names: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The names in display order."""
        return self.names or tuple(import_module(self.module).__all__)


CHAPTERS = (
    Chapter(page="api.md", title="Measure and export", module="lexer_core.context"),
    Chapter(page="api.md", title="Mark a model", module="lexer_core.decorator", names=("Lexer",)),
    Chapter(
        page="api.md",
        title="Choose engines",
        module="lexer_core.engines.choice",
        names=("EngineChoice",),
    ),
    Chapter(
        page="api.md",
        title="List engines",
        module="lexer_core.engines.registry",
    ),
    Chapter(page="api.md", title="Follow progress", module="lexer_core.benchmark.progress"),
    Chapter(
        page="api.md",
        title="Every setting",
        module="lexer_core.settings.table",
        names=("Settings", "Origin", "SettingValue"),
    ),
    Chapter(
        page="api.md",
        title="Origins of settings",
        module="lexer_core.settings.layers",
        names=("Configuration", "EngineTable"),
    ),
    Chapter(page="api.md", title="Read, print and write a benchmark", module="lexer_core.report"),
    Chapter(page="api.md", title="Results of a benchmark", module="lexer_core.results"),
    Chapter(
        page="api.md",
        title="Save a benchmark",
        module="lexer_core.artifact",
        # lexer_core.load loads files, too
        names=("Content", "contents", "save", "save_as_set"),
    ),
    Chapter(
        page="api.md", title="Load a benchmark or a deployed model", module="lexer_core.loading"
    ),
    Chapter(page="api.md", title="Call a deployed model", module="lexer_core.deploy.session"),
    Chapter(page="api.md", title="Load a folder", module="lexer_core.deploy.load"),
    Chapter(page="api.md", title="Read a tuning", module="lexer_core.tuning_report"),
    Chapter(page="api.md", title="How a tuning ended", module="lexer_core.results.tuning"),
    Chapter(page="api.md", title="Read a load test", module="lexer_core.load_report"),
    Chapter(page="api.md", title="What can be served", module="lexer_core.results.load_test"),
    Chapter(page="api.md", title="Compare benchmarks", module="lexer_core.comparison"),
    Chapter(page="api.md", title="Merge benchmarks", module="lexer_core.merged"),
    Chapter(page="api.md", title="Measure on many machines", module="lexer_core.fleet"),
    Chapter(page="api.md", title="Test with pytest", module="lexer_core.pytest_plugin"),
    Chapter(page="api.md", title="HTML reports", module="lexer_core.reporting.page"),
    Chapter(page="api.md", title="Compare outputs", module="lexer_core.validation"),
    Chapter(page="statistics.md", title="Functions and records", module="lexer_core.statistics"),
    Chapter(
        page="hooks.md",
        title="The marks",
        module="lexer_core.hookspecs",
    ),
    Chapter(page="hooks.md", title="Records", module="lexer_core.records"),
    Chapter(page="hooks.md", title="Helpers for engines", module="lexer_core.engine_helpers"),
    Chapter(page="hooks.md", title="Scripts of deployed models", module="lexer_core.run_scripts"),
    Chapter(page="hooks.md", title="The conformance kit", module="lexer_core.testing"),
    Chapter(page="errors.md", title="Errors", module="lexer_core.errors"),
)

_OPENINGS = {
    "api.md": """# Python

The public API. `lexer` and `lexer_core` have the most important names, such as
`lexer_core.benchmark(model, x)`, `lexer_core.load(path)` and `from lexer import Lexer`.
`from lexer.api.lexer_context import LexerContext` and
`from lexer.decorators.lexer import Lexer` import the same objects. See also
[Hooks](hooks.md) for engine authors, [Errors](errors.md), and [Statistics](statistics.md).""",
    "statistics.md": """# Statistics

The analysis of samples, which you can also use on your own samples. [How Lexer
measures](../measuring.md) cites the sources of the methods.""",
}


def collect_links() -> Links:
    """Collect the page and heading of every public name."""
    links = Links()
    for chapter in CHAPTERS:
        module = import_module(chapter.module)
        for name in chapter.shown:
            links.add(chapter.page, chapter.module, name)
            value = getattr(module, name)
            if isinstance(value, type):
                for member, _ in members_of(value):
                    links.add(chapter.page, chapter.module, f"{name}.{member}")
    for name in vars(hookspecs):
        if name.startswith("lexer_"):
            links.add("hooks.md", "lexer_core.hookspecs", name)
    return links


def chapters_page(page: str, links: Links) -> str:
    """Return a page that consists of chapters."""
    blocks = [_OPENINGS[page]]
    chapters = [chapter for chapter in CHAPTERS if chapter.page == page]
    blocks.append(
        "\n".join(
            f"- [{chapter.title}](#{anchor_of(chapter.title)}): "
            + ", ".join(f"[`{name}`](#{anchor_of(name)})" for name in chapter.shown)
            for chapter in chapters
        )
    )
    for chapter in chapters:
        blocks += describe_chapter(chapter, links)
    return "\n\n".join(blocks) + "\n"


def describe_chapter(chapter: Chapter, links: Links) -> Iterator[str]:
    """Yield a chapter's Markdown blocks: the module docstring, then each name."""
    module = import_module(chapter.module)
    yield f"## {chapter.title}"
    if not chapter.names and module.__doc__:
        yield from render_docstring(read_docstring(module.__doc__), links.seen_from(chapter.page))
    for name in chapter.shown:
        yield from describe_object(
            module,
            name,
            links,
            chapter.page,
            import_from="lexer_core" if name in lexer_core.__all__ else chapter.module,
        )
