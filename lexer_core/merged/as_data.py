"""How are merged runs written as JSON, CSV and a DataFrame?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from lexer_core.reporting.report_csv import COLUMNS, rows_to_csv, table_values
from lexer_core.reporting.report_dataframe import rows_to_dataframe
from lexer_core.reporting.report_json import MERGED_KIND
from lexer_core.results.attrs_fields import plain, without_not_finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from lexer_core.artifact.manifest import FailedRun
    from lexer_core.merged.records import Machine, MergedGroup, MergedRow, MergedRun

__all__ = [
    "MERGED_COLUMNS",
    "merged_to_csv",
    "merged_to_dataframe",
    "merged_to_dict",
    "merged_to_json",
]

SCHEMA_VERSION = 1
"""Incremented when a field is removed or changes its meaning."""

_FIRST = (
    "machine",
    "run",
    "group",
    "inputs",
    "is_best",
    "cores",
    "items_per_sec",
    "items_per_sec_per_core",
    "cost_per_million",
    "currency",
)

MERGED_COLUMNS = (*_FIRST, *COLUMNS)
"""The columns of the CSV, in order: those of merged runs, then those of a report."""

_TYPES = {
    "group": "Int64",
    "is_best": "boolean",
    "cores": "float64",
    "items_per_sec": "float64",
    "items_per_sec_per_core": "float64",
    "cost_per_million": "float64",
}


def merged_to_dict(
    runs: Sequence[MergedRun],
    machines: Sequence[Machine],
    groups: Sequence[MergedGroup],
    notes: Sequence[str],
    failed: Sequence[FailedRun] = (),
) -> dict[str, Any]:
    """Return the tables as JSON types (docs/many-machines.md)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": MERGED_KIND,
        "notes": list(notes),
        "machines": [_machine(machine) for machine in machines],
        "runs": [
            {
                "name": run.name,
                "machine": run.machine,
                "model_name": run.report.model_name,
                "created_at": run.report.created_at,
            }
            for run in runs
        ],
        "failed": [
            {"machine": each.machine, "run": each.run, "reason": each.reason} for each in failed
        ],
        "groups": [
            {
                "model": group.model,
                "inputs": group.inputs,
                "code": group.code,
                "sentences": list(group.sentences),
                "notes": list(group.notes),
                "rows": [
                    {**_own_values(row), "result": row.result.to_dict()} for row in group.rows
                ],
            }
            for group in groups
        ],
    }


def merged_to_json(document: dict[str, Any]) -> str:
    """Return :func:`merged_to_dict` as text: ASCII, with a final newline."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def merged_to_csv(runs: Sequence[MergedRun], groups: Sequence[MergedGroup]) -> str:
    """Return one line per row of all groups."""
    return rows_to_csv(MERGED_COLUMNS, _lines(runs, groups))


def merged_to_dataframe(runs: Sequence[MergedRun], groups: Sequence[MergedGroup]) -> pd.DataFrame:
    """Return one line per row of all groups.

    Raises
    ------
    MissingPackageError
        pandas is not installed.
    """
    return rows_to_dataframe(MERGED_COLUMNS, list(_lines(runs, groups)), _TYPES)


def _lines(runs: Sequence[MergedRun], groups: Sequence[MergedGroup]) -> Iterable[dict[str, object]]:
    values = {(run.name, row["label"]): row for run in runs for row in table_values(run.report)}
    for number, group in enumerate(groups, start=1):
        for row in group.rows:
            yield {
                **values[row.run, row.result.label],
                **_own_values(row),
                "group": number,
                "inputs": group.inputs,
                "model": group.model,
            }


def _own_values(row: MergedRow) -> dict[str, object]:
    return {
        "machine": row.machine,
        "run": row.run,
        "is_best": row.is_best,
        "cores": row.cores,
        "items_per_sec": row.items_per_sec,
        "items_per_sec_per_core": row.items_per_sec_per_core,
        "cost_per_million": row.cost_per_million,
        "currency": row.price.currency if row.price else None,
    }


def _machine(machine: Machine) -> dict[str, Any]:
    environment = cast("dict[str, Any]", without_not_finite(plain(machine.environment), {}))
    return {
        "name": machine.name,
        "hardware": machine.hardware,
        "runs": list(machine.runs),
        "price": None if machine.price is None else machine.price.text,
        "environment": environment,
    }
