"""How is a benchmark written as JSON, and read back?

``docs/json.md`` describes the form. Reading trusts nothing: what is not of that
form is a :class:`ReportFormatError` that names the place.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast, get_args

import attrs

from lexer_core import records
from lexer_core.errors import ReportFormatError
from lexer_core.results import benchmark_result, result_records
from lexer_core.results.attrs_fields import (
    is_raw,
    join_path,
    map_leaves,
    plain,
    without_not_finite,
)
from lexer_core.results.report_data import SCHEMA_VERSION, ReportData

__all__ = [
    "report_from_dict",
    "report_from_json",
    "report_to_dict",
    "report_to_json",
]

ReportT = TypeVar("ReportT", bound=ReportData)

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_RECORDS: Mapping[str, type[Any]] = {
    record.__name__: record
    for record in (
        result_records.ReferenceWorkloadTimes,
        result_records.Comparison,
        result_records.Environment,
        result_records.Failure,
        result_records.Interval,
        result_records.OutputParity,
        result_records.Parity,
        records.Placement,
        records.TensorSpec,
        benchmark_result.BenchmarkResult,
    )
}

_CHOICES = {
    "Phase": result_records.Phase,
    "Status": benchmark_result.Status,
    "Verdict": result_records.Verdict,
}

_Reader = Callable[[object, str], object]


def report_to_dict(report: ReportData) -> dict[str, Any]:
    """Give a whole report as JSON types (docs/json.md).

    Numbers that are not finite become ``None``; ``not_finite`` says where they
    were and what they were.
    """
    not_finite: dict[str, str] = {}
    body = without_not_finite(plain(report_fields(report)), not_finite)
    return {
        "schema_version": SCHEMA_VERSION,
        **cast("dict[str, Any]", body),
        "not_finite": not_finite,
    }


def report_fields(report: ReportData) -> dict[str, object]:
    # A report is a sequence, so plain() of it would be the list of its rows' texts.
    return {
        field.name: getattr(report, field.name)
        for field in attrs.fields(ReportData)
        if not is_raw(field)
    }


def report_to_json(report: ReportData) -> str:
    """Give a whole report as JSON text, ASCII only, with a final line end."""
    return json.dumps(report_to_dict(report), indent=2, allow_nan=False) + "\n"


def report_from_json(text: str | bytes, kind: type[ReportT]) -> ReportT:
    """Read a report from what :func:`report_to_json` wrote.

    Raises
    ------
    ReportFormatError
        The text is not JSON, or not of that form.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportFormatError(f"a saved report is not JSON: {error}.") from error
    return report_from_dict(data, kind)


def report_from_dict(data: object, kind: type[ReportT]) -> ReportT:
    """Read a report from what :func:`report_to_dict` gave.

    Fields that are missing take their defaults and fields that this version
    does not know are ignored, so that schemas of one version can grow.

    Raises
    ------
    ReportFormatError
        The data are not of that form, or of a newer schema.
    """
    top = _mapping(data, "the report")
    version = _whole(top.get("schema_version"), "schema_version")
    if version != SCHEMA_VERSION:
        raise ReportFormatError(
            f"the report has schema version {version}; this Lexer reads {SCHEMA_VERSION}.",
            hint="Install a newer lexer-core." if version > SCHEMA_VERSION else "",
        )
    try:
        not_finite = _map_of(_text)(top.get("not_finite", {}), "not_finite")
        restored = _restored(top, "", cast("dict[str, str]", not_finite))
        return cast("ReportT", _record_of(kind)(restored, ""))
    except RecursionError as error:
        raise ReportFormatError("the report is nested too deeply to be one.") from error


def _restored(value: object, path: str, not_finite: Mapping[str, str]) -> object:
    for where, text in not_finite.items():
        if text not in _NOT_FINITE:
            raise _wrong(f"not_finite[{where!r}]", "nan, inf or -inf", text)

    def change(leaf: object, where: str) -> object:
        return _NOT_FINITE[not_finite[where]] if leaf is None and where in not_finite else leaf

    return map_leaves(value, path, change)


# --- Readers: one for each kind of annotation that the records use. ---


def _reader(annotation: str) -> _Reader:
    """Make the reader for an annotation, as it is written in the records."""
    if annotation.endswith(" | None"):
        return _optional(_reader(annotation.removesuffix(" | None")))
    if annotation.startswith("Literal["):
        return _one_of(json.loads(annotation.removeprefix("Literal").replace("'", '"')))
    if annotation.startswith("tuple[") and annotation.endswith(", ...]"):
        return _list_of(_reader(annotation[len("tuple[") : -len(", ...]")]))
    if annotation.startswith("Sequence["):
        return _list_of(_reader(annotation[len("Sequence[") : -1]))
    if annotation.startswith("Mapping[str, "):
        return _map_of(_reader(annotation[len("Mapping[str, ") : -1]))
    if annotation in _RECORDS:
        return _record_of(_RECORDS[annotation])
    if annotation in _CHOICES:
        return _one_of(get_args(_CHOICES[annotation]))
    return _SIMPLE[annotation]


def _record_of(record: type[Any]) -> _Reader:
    def read(value: object, path: str) -> object:
        given = _mapping(value, path or "the report")
        arguments = {}
        for field in attrs.fields(record):
            if is_raw(field):
                continue
            if field.name in given:
                read_field = _reader(str(field.type))
                arguments[field.name] = read_field(given[field.name], join_path(path, field.name))
            elif field.default is attrs.NOTHING:
                raise ReportFormatError(f"a saved report lacks {join_path(path, field.name)!r}.")
        try:
            return record(**arguments)
        except ValueError as error:
            raise ReportFormatError(f"a saved report contradicts itself: {error}.") from error

    return read


def _optional(read: _Reader) -> _Reader:
    return lambda value, path: None if value is None else read(value, path)


def _list_of(read: _Reader) -> _Reader:
    def read_list(value: object, path: str) -> object:
        if not isinstance(value, list | tuple):
            raise _wrong(path, "a list", value)
        return tuple(read(item, f"{path}[{at}]") for at, item in enumerate(value))

    return read_list


def _map_of(read: _Reader) -> _Reader:
    def read_map(value: object, path: str) -> object:
        return {
            key: read(item, join_path(path, key)) for key, item in _mapping(value, path).items()
        }

    return read_map


def _one_of(choices: Iterable[str]) -> _Reader:
    allowed = tuple(choices)

    def read(value: object, path: str) -> object:
        if value not in allowed:
            raise _wrong(path, f"one of {', '.join(map(repr, allowed))}", value)
        return value

    return read


def _mapping(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(path, "a mapping of names", value)
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "a text", value)
    return value


def _truth(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return value


def _whole(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, "a whole number", value)
    return value


def _real(value: object, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(path, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise _wrong(path, "a number that a float can hold", value) from None


def _whole_or_text(value: object, path: str) -> int | str:
    return value if isinstance(value, str) else _whole(value, path)


def _anything(value: object, path: str) -> object:
    del path  # every JSON value is right here
    return value


_SIMPLE: Mapping[str, _Reader] = {
    "bool": _truth,
    "float": _real,
    "int": _whole,
    "int | str": _whole_or_text,
    "object": _anything,
    "str": _text,
}


def _wrong(path: str, wanted: str, value: object) -> ReportFormatError:
    return ReportFormatError(
        f"a saved report is wrong at {path}: {wanted} is needed, not {reprlib.repr(value)}."
    )
