"""How is a report saved and loaded?

A ``.lexer`` file is a zip with everything about one benchmark; docs/artifact.md
documents its entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lexer_core
from lexer_core.artifact.read import Content, contents, read_report
from lexer_core.artifact.write import save, save_as_set

if TYPE_CHECKING:
    from os import PathLike

    from lexer_core import BenchmarkReport

__all__ = ["Content", "contents", "load", "save", "save_as_set"]


def load(path: str | PathLike[str]) -> BenchmarkReport:
    """Load a report, equal to the saved one.

    That of a tuning is a ``TuningReport``, that of a load test a ``LoadReport``.

    A ``.lexer`` file has everything, including raw samples. Its models are unpacked on
    first use, to a temporary folder that is removed with the report. Until then, the
    file must stay where it is. The JSON of a report has the rows only.

    Parameters
    ----------
    path
        A ``.lexer`` file, or the JSON of a report. It may come from anywhere: it is not
        trusted.

    Raises
    ------
    ArtifactError
        The file cannot be read, is not a saved run, is damaged or malicious, or has a
        newer version.
    """
    # Its methods use this room, so the package resolves the classes on use.
    report = read_report(path, lexer_core.BenchmarkReport)
    if report.tuning is not None:
        return lexer_core.TuningReport.of(report)
    return report if report.load_test is None else lexer_core.LoadReport.of(report)
