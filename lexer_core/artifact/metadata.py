"""What is in the TOML file of an artifact?

It is for people: what was measured, when, where and with which settings, and
which files the artifact has. Keys of Lexer's predecessor are kept if they still
have a meaning. Lexer reads only the list of files from it; the numbers come from
the report's JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import asdict, fields_dict, frozen

from lexer_core.errors import ArtifactError
from lexer_core.records import TensorSpec  # noqa: TC001  validated() resolves it
from lexer_core.results.attrs_fields import plain
from lexer_core.settings.table import Settings
from lexer_core.validated_data import InvalidDataError, check_version, parse_toml, validated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["ARTIFACT_VERSION", "Contents", "StoredModel", "read_metadata", "write_metadata"]

ARTIFACT_VERSION = 1
"""Version of the format that docs/artifact.md documents."""

_HEADING = """\
# A benchmark, saved by Lexer. This file is for people; programs should read
# report.json. `lexer show` prints the table.
"""

_NUMBERS = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "throughput_per_sec")

# Sections of settings that had another name in the predecessor.
_TABLES = {"benchmarks": "benchmark", "exports": "export"}


@frozen(kw_only=True)
class StoredModel:
    """A model in an artifact.

    ``files`` are names in the artifact, the model's own first; ``rows`` are the
    positions of the rows that ran it, from 0. ``precision`` is what the engine converted
    it to; empty if it did not.
    """

    format: str
    exporter: str
    files: tuple[str, ...]
    rows: tuple[int, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str = ""


@frozen(kw_only=True)
class Contents:
    """The files of an artifact.

    Parameters
    ----------
    report, csv, samples
        Names; the last two are empty if there is no such file.
    logs
        Names by the position of the row, from 0.
    models
        The models.
    """

    report: str
    csv: str = ""
    samples: str = ""
    logs: Mapping[int, str]
    models: tuple[StoredModel, ...]


def write_metadata(
    report: ReportData,
    contents: Contents,
    *,
    title: str,
    updated_at: datetime,
    left_out: Iterable[str] = (),
) -> str:
    """Return the TOML file of an artifact.

    Parameters
    ----------
    report
        The report.
    contents
        The files of the artifact.
    title
        The user's name for it.
    updated_at
        When it is written.
    left_out
        Models that are not in the artifact, and why.
    """
    import tomli_w  # only where something is saved

    created_at = _time(report.created_at)
    document = {
        "schema_version": ARTIFACT_VERSION,
        "title": title,
        "created_at": created_at or report.created_at or None,
        "updated_at": updated_at.astimezone(UTC).replace(microsecond=0),
        "model_name": report.model_name,
        "command": report.command or None,
        "stopped_because": report.stopped_because or None,
        "seed": report.seed,
        "verdicts": report.sentences,
        "notes": report.notes,
        "models_left_out": tuple(left_out) or None,
        "files": {
            "report": contents.report,
            "csv": contents.csv or None,
            "samples": contents.samples or None,
        },
        "environment": _environment(report),
        **_settings(report),
        "versions": {
            "engines": report.environment.engines,
            "packages": report.environment.packages,
        },
        "inputs": [asdict(spec) for spec in report.input_specs],
        "results": [
            _row(row, contents.logs.get(number)) for number, row in enumerate(report.results)
        ],
        "models": [asdict(model) for model in contents.models],
    }
    return _HEADING + "\n" + tomli_w.dumps(_writable(document))


def read_metadata(text: str, what: str) -> Contents:
    """Read the list of files from the TOML file of an artifact.

    Parameters
    ----------
    text
        The TOML.
    what
        The file's name in errors.

    Raises
    ------
    ArtifactError
        It is not valid TOML, has a newer version, or is invalid.
    """
    try:
        data = parse_toml(text)
    except InvalidDataError as error:
        raise ArtifactError(f"{what} is {error}.") from error
    try:
        check_version(data, "schema_version", ARTIFACT_VERSION)
        return _contents(validated(data, _Document))
    except InvalidDataError as error:
        raise ArtifactError(f"{what} is invalid: {error}.", hint=error.hint) from error


@frozen(kw_only=True)
class _Files:
    """The table ``files``."""

    report: str
    csv: str = ""
    samples: str = ""


@frozen(kw_only=True)
class _Row:
    """An entry of ``results``, as far as it is read."""

    log: str | None = None


@frozen(kw_only=True)
class _Document:
    """The whole file, as far as it is read."""

    files: _Files
    results: tuple[_Row, ...] = ()
    models: tuple[StoredModel, ...] = ()


def _contents(document: _Document) -> Contents:
    count = len(document.results)
    for at, model in enumerate(document.models):
        if not model.files:
            raise InvalidDataError("a model has no files", f"models[{at}].files")
        if not all(0 <= row < count for row in model.rows):
            raise InvalidDataError(
                f"rows are 0 to {count - 1}, got {list(model.rows)}", f"models[{at}].rows"
            )
    return Contents(
        report=document.files.report,
        csv=document.files.csv,
        samples=document.files.samples,
        logs={
            number: row.log for number, row in enumerate(document.results) if row.log is not None
        },
        models=document.models,
    )


# --- Writing. ---


def _environment(report: ReportData) -> dict[str, object]:
    environment = report.environment
    # "Debian GNU/Linux 12 (Linux 6.1.0)", or only the part in parentheses.
    kernel = re.search(r"(\w+) (\S+?)\)?$", environment.os)
    shown = plain(environment)
    assert isinstance(shown, dict)
    return {
        "lexer_sdk_version": environment.lexer_version,
        "python_version": environment.python.partition(" ")[0],
        "system": kernel[1] if kernel else environment.os,
        "release": kernel[2] if kernel else "",
        **{name: value for name, value in shown.items() if name not in ("engines", "packages")},
    }


def _settings(report: ReportData) -> dict[str, object]:
    """Return the settings by the names of their sections in configuration files."""
    table = fields_dict(Settings)
    tables: dict[str, Any] = {}
    for name, value in report.settings.items():
        section = table[name].metadata["section"] if name in table else "other"
        tables.setdefault(_TABLES.get(section, section), {}).setdefault("config", {})[name] = value
    return tables


def _row(row: BenchmarkResult, log: str | None) -> dict[str, object]:
    return {
        "label": row.label,
        "engine": row.engine,
        "version": row.engine_version,
        "device": row.device,
        "status": row.status,
        "rank": row.rank,
        **{name: _rounded(getattr(row, name)) for name in _NUMBERS},
        "num_samples": row.num_samples,
        "outputs": row.parity.status if row.parity else None,
        "error": row.error.reason if row.error else None,
        "log": log,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return time.astimezone(UTC) if time.tzinfo else time
    except OverflowError:  # the first or last day that datetime supports
        return None


def _writable(value: Any) -> Any:
    """Remove what TOML cannot represent: ``None`` and lone surrogates."""
    if isinstance(value, Mapping):
        return {
            _writable(str(key)): _writable(item) for key, item in value.items() if item is not None
        }
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value if item is not None]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
