"""How is a page rendered to HTML?"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from lexer_core import __version__
from lexer_core.errors import MissingPackageError
from lexer_core.reporting.page.content import Figure, Section, content_of, overview_of
from lexer_core.reporting.page.figure_layout import NARROW, STYLE, WIDE
from lexer_core.reporting.page.svg_embed import figure_to_svg
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import custom_properties
from lexer_core.reporting.run_lines import model_title
from lexer_core.results import ReportData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment
    from markupsafe import Markup

    from lexer_core.reporting.page.content import Run
    from lexer_core.reporting.page.parts import Plot

__all__ = ["check_extra", "report_page"]

_EXTRA = ("matplotlib", "jinja2")


def check_extra() -> None:
    """Check that the packages that a page needs are installed.

    Raises
    ------
    MissingPackageError
        One is missing; the hint says what to install.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"an HTML page needs {' and '.join(missing)}, which "
            f"{'is' if len(missing) == 1 else 'are'} not installed.",
            hint="Install the extra: pip install 'lexer-core[report]'",
        )


def report_page(
    reports: ReportData | Sequence[ReportData],
    *,
    names: Sequence[str] = (),
    title: str = "",
    overview: Sequence[Section] = (),
) -> str:
    """Return one benchmark, or several side by side, as a self-contained HTML page.

    The page loads nothing and runs no script. It has a light and a dark theme, and
    works on phones, on paper, with a keyboard and with a screen reader. See
    docs/reading-the-report.md.

    Parameters
    ----------
    reports
        A benchmark, or several. If a report has no raw samples, because it was
        read from JSON, the page says so instead of drawing them.
    names
        Names of the runs, one per report. Default: the model's name and when it
        was measured. Not shown for a single run.
    title, overview
        The title of the page and the sections before those of the runs. Default: for
        several runs, their tables side by side.

    Returns
    -------
    str
        The HTML document.

    Raises
    ------
    MissingPackageError
        The extra ``lexer-core[report]`` is not installed.
    ValueError
        There is no report, or the number of names differs from that of reports.
    """
    check_extra()
    several = [reports] if isinstance(reports, ReportData) else list(reports)
    if not (several or overview):
        raise ValueError("a page needs at least one report")
    if names and len(names) != len(several):
        raise ValueError(f"got {len(names)} names for {len(several)} reports")
    runs: tuple[Run, ...]
    if len(several) == 1 and not overview:
        runs = (content_of(several[0], key="run"),)
        title = title or runs[0].title
    else:
        named = dict(zip(_unique(names or [_name(each) for each in several]), several, strict=True))
        runs = tuple(
            content_of(report, key=f"run{at}", name=name)
            for at, (name, report) in enumerate(named.items(), start=1)
        )
        overview = overview or overview_of(named)
        title = title or f"{len(runs)} benchmarks side by side"
    template = _environment().get_template("page.html")
    return template.render(
        title=title,
        version=__version__,
        style=_style(),
        overview=overview,
        runs=runs,
        drawn=_drawn(runs, overview),
    )


def _name(report: ReportData) -> str:
    return (
        " ".join(part for part in (model_title(report), report.created_at) if part) or "benchmark"
    )


def _unique(names: Sequence[str]) -> list[str]:
    """Make names unique by numbering repeated ones."""
    taken: list[str] = []
    for name in names:
        at, candidate = 2, name
        while candidate in taken:
            at, candidate = at + 1, f"{name} ({at})"
        taken.append(candidate)
    return taken


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # an extra

    return Environment(
        loader=PackageLoader("lexer_core.reporting.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=False,
    )


def _finalize(value: object) -> object:
    """Clean every text before it is escaped; our own markup is already ``Markup``."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return harmless(value)
    return value


def _style() -> Markup:
    from importlib.resources import files

    from markupsafe import Markup  # an extra

    rules = (files(__package__) / "templates" / "page.css").read_text(encoding="utf-8")
    return Markup(custom_properties() + rules)  # noqa: S704  our own file


def _drawn(runs: Sequence[Run], overview: Sequence[Section]) -> dict[str, list[tuple[str, Markup]]]:
    """Draw every plot at both widths; returns them by the id of the figure on the page."""
    from matplotlib import style  # an extra

    sections = [(f"all-{part.key}", part) for part in overview]
    sections += [(f"{run.key}-{part.key}", part) for run in runs for part in run.sections]
    # The user's own matplotlib settings must not change the page.
    with style.context(["default", STYLE], after_reset=True):
        return {
            f"{key}-{block.plot.key}": _both_widths(block.plot, f"{key}-{block.plot.key}")
            for key, part in sections
            for block in part.blocks
            if isinstance(block, Figure)
        }


def _both_widths(plot: Plot, key: str) -> list[tuple[str, Markup]]:
    import matplotlib as mpl
    from markupsafe import Markup

    drawn = []
    for width in (WIDE, NARROW):
        # With a salt, matplotlib generates the same ids for the same plot.
        with mpl.rc_context({"svg.hashsalt": key}):
            svg = figure_to_svg(
                plot.draw(width),
                key=f"{key}-{width.name}",
                title=harmless(plot.title),
                description=harmless(plot.description),
            )
        drawn.append((width.name, Markup(svg)))  # noqa: S704  escaped by ElementTree
    return drawn
