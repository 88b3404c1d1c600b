"""How is a report converted to JSON and back?

``docs/json.md`` documents the format. What is read is not trusted: invalid data
is a :class:`ReportFormatError` that names the place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs

from lexer_core.errors import ReportFormatError
from lexer_core.results.attrs_fields import is_raw, map_leaves, plain, without_not_finite
from lexer_core.results.report_data import SCHEMA_VERSION, ReportData
from lexer_core.validated_data import InvalidDataError, check_version, parse_json, validated

__all__ = [
    "MERGED_KIND",
    "report_fields",
    "report_from_dict",
    "report_from_json",
    "report_to_dict",
    "report_to_json",
]

ReportT = TypeVar("ReportT", bound=ReportData)

MERGED_KIND = "merged runs"
"""The ``kind`` of a document that has the table of several runs instead of a report."""

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def report_to_dict(report: ReportData) -> dict[str, Any]:
    """Return a report as JSON types (docs/json.md).

    Numbers that are not finite become ``None``, and ``not_finite`` lists them by
    their path.
    """
    not_finite: dict[str, str] = {}
    body = without_not_finite(plain(report_fields(report)), not_finite)
    return {
        "schema_version": SCHEMA_VERSION,
        **cast("dict[str, Any]", body),
        "not_finite": not_finite,
    }


def report_fields(report: ReportData) -> dict[str, object]:
    """Return the fields of a report by name, except raw ones."""
    # A report is a sequence, so plain(report) would be a list.
    return {
        field.name: getattr(report, field.name)
        for field in attrs.fields(ReportData)
        if not is_raw(field)
    }


def report_to_json(report: ReportData) -> str:
    """Return a report as JSON text: ASCII, with a final newline."""
    return json.dumps(report_to_dict(report), indent=2, allow_nan=False) + "\n"


def report_from_json(text: str | bytes, kind: type[ReportT]) -> ReportT:
    """Read a report that :func:`report_to_json` wrote.

    Raises
    ------
    ReportFormatError
        The text is not valid JSON, or not a valid report.
    """
    try:
        data = parse_json(text)
    except InvalidDataError as error:
        raise ReportFormatError(f"the saved report is {error}.") from error
    return report_from_dict(data, kind)


def report_from_dict(data: object, kind: type[ReportT]) -> ReportT:
    """Read a report that :func:`report_to_dict` returned.

    Missing fields take their defaults, and unknown ones are ignored, so that the
    schema can grow within one version.

    Raises
    ------
    ReportFormatError
        The data is not a valid report, or has a newer schema version.
    """
    if isinstance(data, Mapping) and data.get("kind") == MERGED_KIND:
        raise ReportFormatError(
            "it is the table of merged runs, from which the runs cannot be restored.",
            hint="Use the .lexer file: lexer merge … -o fleet.lexer",
        )
    try:
        check_version(data, "schema_version", SCHEMA_VERSION)
        report = cast("ReportT", validated(_with_not_finite(data), kind, skip=is_raw))
        _check_labels(report)
    except InvalidDataError as error:
        raise ReportFormatError(
            f"the saved report is invalid: {error}.", hint=error.hint
        ) from error
    except RecursionError as error:  # map_leaves
        raise ReportFormatError("the saved report is nested too deeply.") from error
    return report


def _check_labels(report: ReportData) -> None:
    """Check that every configuration of a tuning or a load test has a row."""
    rows = {row.label for row in report.results}
    labels: dict[str, list[str]] = {}
    if report.tuning is not None:
        labels["tuning"] = [each.label for each in report.tuning.configurations]
    if report.load_test is not None:
        labels["load_test"] = [each.label for each in report.load_test.configurations]
    for name, listed in labels.items():
        for at, label in enumerate(listed):
            if label not in rows:
                raise InvalidDataError(
                    f"there is no row {label!r}", f"{name}.configurations[{at}].label"
                )


def _with_not_finite(data: object) -> object:
    """Put numbers that are not finite back in the places that ``not_finite`` lists."""
    top = validated(data, Mapping[str, object])
    listed = validated(top.get("not_finite", {}), Mapping[str, str], "not_finite")
    for place, text in listed.items():
        if text not in _NOT_FINITE:
            raise InvalidDataError(
                f"expected 'nan', 'inf' or '-inf', got {text!r}", f"not_finite[{place!r}]"
            )

    def restore(leaf: object, place: str) -> object:
        return _NOT_FINITE[listed[place]] if leaf is None and place in listed else leaf

    return map_leaves(top, "", restore)
