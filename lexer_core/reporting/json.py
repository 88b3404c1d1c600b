"""How is a benchmark written as JSON, and read back?

``docs/json.md`` describes the form. Reading trusts nothing: what is not of that
form is a :class:`ReportFormatError` that names the place.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast, get_args

import attrs

from lexer_core import evidence, records, results
from lexer_core.errors import ReportFormatError
from lexer_core.fields import is_raw, plain
from lexer_core.results import SCHEMA_VERSION, BenchmarkReport, BenchmarkResult

__all__ = [
    "report_from_dict",
    "report_from_json",
    "report_to_dict",
    "report_to_json",
    "result_to_dict",
]

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_RECORDS: Mapping[str, type[Any]] = {
    record.__name__: record
    for record in (
        evidence.Canary,
        evidence.Comparison,
        evidence.Environment,
        evidence.Failure,
        evidence.Interval,
        evidence.OutputParity,
        evidence.Parity,
        records.Placement,
        records.TensorSpec,
        results.BenchmarkResult,
    )
}

_CHOICES = {"Phase": evidence.Phase, "Status": results.Status, "Verdict": evidence.Verdict}

_Reader = Callable[[object, str], object]


def result_to_dict(result: BenchmarkResult) -> dict[str, Any]:
    """Give one row as JSON types; numbers that are not finite become ``None``."""
    return cast("dict[str, Any]", _without_not_finite(plain(result), "", {}))


def report_to_dict(report: BenchmarkReport) -> dict[str, Any]:
    """Give a whole report as JSON types (docs/json.md).

    Numbers that are not finite become ``None``; ``not_finite`` says where they
    were and what they were.
    """
    not_finite: dict[str, str] = {}
    body = _without_not_finite(plain(report_fields(report)), "", not_finite)
    return {
        "schema_version": SCHEMA_VERSION,
        **cast("dict[str, Any]", body),
        "not_finite": not_finite,
    }


def report_fields(report: BenchmarkReport) -> dict[str, object]:
    # A report is a sequence, so plain() of it would be the list of its rows' texts.
    return {
        field.name: getattr(report, field.name)
        for field in attrs.fields(BenchmarkReport)
        if not is_raw(field)
    }


def report_to_json(report: BenchmarkReport) -> str:
    """Give a whole report as JSON text, ASCII only, with a final line end."""
    return json.dumps(report_to_dict(report), indent=2, allow_nan=False) + "\n"


def report_from_json(text: str | bytes) -> BenchmarkReport:
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
    return report_from_dict(data)


def report_from_dict(data: object) -> BenchmarkReport:
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
        return cast("BenchmarkReport", _record_of(BenchmarkReport)(restored, ""))
    except RecursionError as error:
        raise ReportFormatError("the report is nested too deeply to be one.") from error


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _walked(value: object, path: str, change: Callable[[object, str], object]) -> object:
    if isinstance(value, Mapping):
        return {key: _walked(item, _join(path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walked(item, f"{path}[{at}]", change) for at, item in enumerate(value)]
    return change(value, path)


def _without_not_finite(value: object, path: str, not_finite: dict[str, str]) -> object:
    def change(leaf: object, where: str) -> object:
        if isinstance(leaf, float) and not math.isfinite(leaf):
            not_finite[where] = str(leaf)
            return None
        return leaf

    return _walked(value, path, change)


def _restored(value: object, path: str, not_finite: Mapping[str, str]) -> object:
    for where, text in not_finite.items():
        if text not in _NOT_FINITE:
            raise _wrong(f"not_finite[{where!r}]", "nan, inf or -inf", text)

    def change(leaf: object, where: str) -> object:
        return _NOT_FINITE[not_finite[where]] if leaf is None and where in not_finite else leaf

    return _walked(value, path, change)


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
                arguments[field.name] = read_field(given[field.name], _join(path, field.name))
            elif field.default is attrs.NOTHING:
                raise ReportFormatError(f"a saved report lacks {_join(path, field.name)!r}.")
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
        return {key: read(item, _join(path, key)) for key, item in _mapping(value, path).items()}

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
