"""How is a report converted to a pandas DataFrame?

The dtype of a column does not depend on the values of the rows.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from lexer_core.errors import MissingPackageError
from lexer_core.reporting.report_csv import COLUMNS, column_kind, table_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from lexer_core.results import ReportData

__all__ = ["report_to_dataframe", "rows_to_dataframe", "samples_to_dataframe"]


def report_to_dataframe(report: ReportData) -> pd.DataFrame:
    """Return one line per row, with the columns of the CSV (docs/csv.md).

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    return rows_to_dataframe(COLUMNS, table_values(report))


def rows_to_dataframe(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    types: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return one line per row, whose values are by column.

    ``types`` are the dtypes of columns that the CSV of a report does not have.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    _check_pandas()
    import pandas as pd  # not a requirement of the core

    known = types or {}
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows], dtype=known.get(name) or _type(name))
            for name in columns
        }
    )


def samples_to_dataframe(report: ReportData) -> pd.DataFrame:
    """Return one line per sample: label, engine, device, launch, round, latency in ms.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    _check_pandas()
    import pandas as pd  # not a requirement of the core

    columns = ("label", "engine", "device", "launch", "round", "latency_ms")
    parts = [
        pd.DataFrame(
            {
                "label": row.label,
                "engine": row.engine,
                "device": row.device,
                "launch": row.sample_launches,
                "round": row.sample_rounds,
                "latency_ms": row.samples * 1000.0,
            }
        )
        for row in report.results
        if row.samples is not None and len(row.samples)
    ]
    if not parts:
        return pd.DataFrame({name: [] for name in columns})
    return pd.concat(parts, ignore_index=True)


def _check_pandas() -> None:
    if find_spec("pandas") is None:
        raise MissingPackageError(
            "a DataFrame needs pandas, which is not installed.",
            hint="Install it: pip install pandas",
        )


def _type(column: str) -> str:
    """Return a column's dtype, which allows for missing values."""
    return {"int": "Int64", "float": "float64", "bool": "boolean"}.get(
        column_kind(column), "object"
    )
