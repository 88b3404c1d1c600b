"""How is a plot of the page drawn on its own, for a notebook or a file?"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from lexer_core.errors import MissingPackageError, OutputFileError, UsageError
from lexer_core.output_files import replaced_file
from lexer_core.reporting.page.figure_layout import STYLE, WIDE
from lexer_core.reporting.page.load_plots import rate_plot
from lexer_core.reporting.page.medians import median_plot
from lexer_core.reporting.page.theme import light
from lexer_core.reporting.page.tuning_plots import front_plot

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from lexer_core.results import ReportData

__all__ = ["report_figure"]

_DPI = 144


def report_figure(report: ReportData, path: Path | None = None) -> Figure:
    """Return the most important plot of a report, and write it to ``path`` if given.

    For a benchmark a bar chart of the medians, for a tuning throughput over latency, for a
    load test latency over the rate.

    Raises
    ------
    MissingPackageError
        matplotlib is not installed.
    UsageError
        Nothing was measured.
    OutputFileError
        The file cannot be written, or matplotlib does not know its suffix.
    """
    if find_spec("matplotlib") is None:
        raise MissingPackageError(
            "a plot needs matplotlib, which is not installed.",
            hint="Install the extra: pip install 'lexer-core[report]'",
        )
    from matplotlib import style  # an extra

    if report.load_test is not None:
        plot = rate_plot(report.load_test)
    elif report.tuning is not None:
        plot = front_plot(report, report.tuning)
    else:
        plot = median_plot(report)
    if plot is None:
        raise UsageError("there is nothing to plot: no row has samples.")
    page = {"figure.facecolor": light("page"), "savefig.facecolor": light("page")}
    # The user's own matplotlib settings must not change the plot.
    with style.context(["default", STYLE, page], after_reset=True):
        figure = plot.draw(WIDE)
        if path is not None:
            _write(figure, path)
    return figure


def _write(figure: Figure, path: Path) -> None:
    suffix = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise OutputFileError(
            f"cannot write a plot to {str(path)!r}: unknown suffix.",
            hint=f"Use one of {', '.join(f'.{name}' for name in sorted(known))}.",
        )
    with replaced_file(path) as file:
        figure.savefig(file, format=suffix, dpi=_DPI)
