"""What does a benchmark say?

Frozen, serialisable records: a :class:`BenchmarkReport` is a sequence of
:class:`BenchmarkResult`, one for each case, with the comparisons between them
and the environment they were measured in. How they are shown is the business
of :mod:`lexer_core.reporting`; the methods here only lead there.

A number that is missing is ``None``: not measured, or withheld because the
samples do not carry it. Numbers that are not finite (the error of an output
that is NaN) stay as they are in the records; in JSON they are ``null`` and
named under ``not_finite``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import attrs
from attrs import field, frozen

from lexer_core.evidence import (
    Canary,
    Comparison,
    Environment,
    Failure,
    Interval,
    OutputParity,
    Parity,
    Phase,
    Verdict,
)
from lexer_core.fields import RAW, count, mapping, number, plain_mapping, texts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from lexer_core.kept_model import KeptModel
    from lexer_core.records import Placement, TensorSpec

    Seconds = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = [
    "SCHEMA_VERSION",
    "BenchmarkReport",
    "BenchmarkResult",
    "Canary",
    "Comparison",
    "Environment",
    "Failure",
    "Interval",
    "OutputParity",
    "Parity",
    "Phase",
    "Status",
    "Verdict",
]

SCHEMA_VERSION = 1
"""The version of what :meth:`BenchmarkReport.to_dict` gives (docs/json.md)."""

Status = Literal["ok", "failed", "unsupported"]
"""``unsupported``: the engine works, but not with this model, type or device."""


def _placement(value: Placement | None) -> Placement | None:
    return None if value is None else attrs.evolve(value, fallbacks=texts(value.fallbacks))


@frozen(kw_only=True)
class BenchmarkResult:
    """One case: an engine on a device with its options. One row of the table.

    Times are in milliseconds, sizes in bytes. A number is ``None`` where the
    case failed, or where the samples do not carry it.

    Parameters
    ----------
    num_samples
        Samples measured, after warm-up.
    throughput_per_sec
        Items per second, one call after the other: batch size × calls over the
        sum of their times (calls, where there is no batch size).
    variance
        Variance of the latencies in ms², with n - 1.
    mean_ms, p50_ms, p90_ms, p95_ms, p99_ms
        Mean and percentiles of the latency (linear interpolation).
    engine, device
        As shown: ``"ONNXRuntime"``, ``"CPU"``.
    label
        The row's name, unique in the report.
    status
        ``"ok"``, ``"failed"`` or ``"unsupported"``.
    rank
        1 for the fastest; equal for a tie; ``None`` where the data or the
        outputs do not allow one.
    engine_name, device_name
        As on the command line: ``"onnxruntime"``, ``"cuda:0"``.
    engine_version, engine_distribution
        Version of the runtime; the plugin's distribution and version.
    interpreter
        The other interpreter that ran it, and its version; empty for this one.
    options
        The engine's options in this case.
    batch_size
        Items in one call; ``None`` when the inputs have no such dimension.
    threads
        Threads that one call may use.
    precision, dtype
        The precision asked for (empty: the model's own); the element types of
        the inputs.
    format, exporter
        The format that the engine loaded, and what made it.
    isolation
        ``"process"``: a worker of its own; ``"none"``: the caller's process.
    std_ms, min_ms, max_ms
        Standard deviation (n - 1), least and greatest sample.
    effective_samples
        How many independent samples these are worth for the median.
    intervals
        Confidence intervals by the name of the number (``"p50_ms"``).
    notes_on_percentiles
        Why a percentile is withheld, or has no interval, by its name.
    loops
        Calls per sample. Above 1, percentiles are those of means of calls.
    rounds, launches
        Rounds and worker processes that the samples come from.
    outliers_mild, outliers_severe
        Samples beyond Tukey's inner and outer fences; none is dropped.
    load_ms, compile_ms, export_ms, first_call_ms
        Loading the session; the part of it that was compilation; exporting the
        model (the share of this format); the first call.
    export_cached
        Whether the export came from the cache.
    warm_up_calls, warm_up_steady
        Calls dropped before the samples; whether the latency had settled.
    peak_memory_bytes
        Peak resident memory of the worker.
    model_bytes
        Size of the exported model, or of parameters and buffers.
    device_p50_ms
        Median of the device's own event times.
    parity
        How far the outputs are from the reference's.
    placement
        Where the work really ran.
    withheld
        Why the row takes part in no verdict although it has numbers; otherwise
        empty.
    break_even_calls
        Calls after which export and load are paid back against the baseline.
    diagnosis
        What was observed about noise, by name: ``"autocorrelation"``,
        ``"steal_share"``, …
    warnings
        What a reader must know before trusting the row.
    error
        Why there are no numbers.
    samples
        Raw samples: seconds per call, float64, shape ``(num_samples,)``. Kept
        out of ``to_dict``, equality and ``repr``, like all below.
    sample_rounds, sample_launches
        Round and launch of each sample, int, the same shape.
    warm_up_samples
        What was dropped as warm-up: seconds per call, float64, in order of
        taking. Where calls take microseconds, each is the mean of several
        neighbouring calls, so there are fewer than ``warm_up_calls``.
    warm_up_launches
        Launch of each of these, int, the same shape.
    log
        What the workers printed, or the end of it.
    """

    num_samples: int = count(0)
    throughput_per_sec: float | None = number()
    variance: float | None = number()
    mean_ms: float | None = number()
    p50_ms: float | None = number()
    p90_ms: float | None = number()
    p95_ms: float | None = number()
    p99_ms: float | None = number()
    engine: str
    device: str
    label: str
    status: Status
    rank: int | None = count()
    engine_name: str = ""
    engine_version: str | None = None
    engine_distribution: str = ""
    interpreter: str = ""
    options: Mapping[str, object] = field(factory=dict, converter=plain_mapping)
    device_name: str = "cpu"
    batch_size: int | None = count()
    threads: int | None = count()
    precision: str = ""
    dtype: str = ""
    format: str = ""
    exporter: str = ""
    isolation: Literal["process", "none"] = "process"
    std_ms: float | None = number()
    min_ms: float | None = number()
    max_ms: float | None = number()
    effective_samples: float | None = number()
    intervals: Mapping[str, Interval] = mapping()
    notes_on_percentiles: Mapping[str, str] = mapping()
    loops: int = count(1)
    rounds: int | None = count()
    launches: int | None = count()
    outliers_mild: int = count(0)
    outliers_severe: int = count(0)
    load_ms: float | None = number()
    compile_ms: float | None = number()
    export_ms: float | None = number()
    export_cached: bool | None = None
    first_call_ms: float | None = number()
    warm_up_calls: int | None = count()
    warm_up_steady: bool | None = None
    peak_memory_bytes: int | None = count()
    model_bytes: int | None = count()
    device_p50_ms: float | None = number()
    parity: Parity | None = None
    placement: Placement | None = field(default=None, converter=_placement)
    withheld: str = ""
    break_even_calls: float | None = number()
    diagnosis: Mapping[str, float | None] = mapping()
    warnings: tuple[str, ...] = field(default=(), converter=texts)
    error: Failure | None = None
    samples: Seconds | None = field(default=None, eq=False, repr=False, metadata=RAW)
    sample_rounds: Indices | None = field(default=None, eq=False, repr=False, metadata=RAW)
    sample_launches: Indices | None = field(default=None, eq=False, repr=False, metadata=RAW)
    warm_up_samples: Seconds | None = field(default=None, eq=False, repr=False, metadata=RAW)
    warm_up_launches: Indices | None = field(default=None, eq=False, repr=False, metadata=RAW)
    log: str = field(default="", eq=False, repr=False, metadata=RAW)

    def to_dict(self) -> dict[str, Any]:
        """Give every field but the raw samples, as JSON types (docs/json.md)."""
        from lexer_core.reporting.json import result_to_dict

        return result_to_dict(self)


# Named, because mypy loses the element type of the bare ``tuple`` as a converter.
def _rows(rows: Iterable[BenchmarkResult]) -> tuple[BenchmarkResult, ...]:
    return tuple(rows)


def _pairs(pairs: Iterable[Comparison]) -> tuple[Comparison, ...]:
    return tuple(pairs)


def _models(models: Iterable[KeptModel]) -> tuple[KeptModel, ...]:
    return tuple(models)


@frozen(kw_only=True, repr=False)
class BenchmarkReport(Sequence[BenchmarkResult]):
    """The results of one benchmark: a sequence of rows, printing as a table.

    ``report[0]`` is a row by position, ``report["torch"]`` by its label or, where
    only one row has it, by its engine's name.

    Parameters
    ----------
    results
        One for each case, in the order in which they are shown.
    comparisons
        Between cases, the baseline first.
    environment
        Where it was measured.
    settings
        Every setting and its value, as JSON types.
    sentences
        The verdicts in words.
    notes
        What a reader should know about the run as a whole.
    model_name
        What the user calls the model.
    input_specs
        Names, element types and shapes of the example inputs.
    command
        The command that reproduces the run; empty when there is none.
    created_at
        When it began: UTC, ISO 8601.
    seed
        Seed of the order of the rounds and of generated inputs.
    stopped_because
        Why measuring ended: ``"precise"``, ``"launches"``, ``"max_seconds"``, ``"num_iterations"``,
        ``"rounds"``, ``"interrupted"``, ….
    seconds
        Where the time of the run went, by phase.
    canary
        How fast the machine was for work that is the same in every run; ``None``
        where it was not measured.
    model_fingerprint
        Digests of the model by what they are of: ``"weights"``; ``"graph"``, as
        it was traced; ``"modules"``, its modules and their code; ``"file"``.
        Those that are not known are left out.
    models
        The exported models that the rows ran. Kept out of ``to_dict``, equality
        and ``repr``.
    """

    results: tuple[BenchmarkResult, ...] = field(default=(), converter=_rows)
    comparisons: tuple[Comparison, ...] = field(default=(), converter=_pairs)
    environment: Environment = field(factory=Environment)
    settings: Mapping[str, object] = field(factory=dict, converter=plain_mapping)
    sentences: tuple[str, ...] = field(default=(), converter=texts)
    notes: tuple[str, ...] = field(default=(), converter=texts)
    model_name: str = ""
    input_specs: tuple[TensorSpec, ...] = field(default=(), converter=tuple)
    command: str = ""
    created_at: str = ""
    seed: int | None = count()
    stopped_because: str = ""
    seconds: Mapping[str, float | None] = mapping()
    canary: Canary | None = None
    model_fingerprint: Mapping[str, str] = mapping()
    models: tuple[KeptModel, ...] = field(
        default=(), converter=_models, eq=False, repr=False, metadata=RAW
    )

    def __attrs_post_init__(self) -> None:
        labels = [result.label for result in self.results]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of results must be unique, not {labels}")

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[BenchmarkResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, key: int | str) -> BenchmarkResult: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[BenchmarkResult, ...]: ...
    def __getitem__(self, key: int | str | slice) -> BenchmarkResult | tuple[BenchmarkResult, ...]:
        if not isinstance(key, str):
            return self.results[key]
        for names in ("label", "engine_name", "engine"):
            found = [result for result in self.results if getattr(result, names) == key]
            if len(found) == 1:
                return found[0]
        rows = ", ".join(result.label for result in self.results) or "none"
        raise KeyError(f"no row is called {key!r}; rows: {rows}")

    def __repr__(self) -> str:
        rows = ", ".join(
            f"{row.label} {row.status}"
            if row.p50_ms is None
            else f"{row.label} {row.p50_ms:.4g} ms"
            for row in self.results
        )
        return f"<BenchmarkReport of {self.model_name or 'a model'}: {rows or 'no rows'}>"

    def __str__(self) -> str:
        from lexer_core.reporting.table import report_to_text

        return report_to_text(self)

    def _repr_html_(self) -> str:
        from lexer_core.reporting.html import report_to_html

        return report_to_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Give the whole report but the raw samples, as JSON types (docs/json.md)."""
        from lexer_core.reporting.json import report_to_dict

        return report_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> BenchmarkReport:
        """Read back what :meth:`to_dict` gave; equal to it but for raw samples.

        Raises
        ------
        ReportFormatError
            The data are not of that form, or of a newer schema.
        """
        from lexer_core.reporting.json import report_from_dict

        return report_from_dict(data)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the report as JSON text, and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.json import report_to_json

        return _written(report_to_json(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the rows as CSV text (docs/csv.md), and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.csv import report_to_csv

        return _written(report_to_csv(self), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Give the report as an HTML page with plots (docs/reading-the-report.md).

        The page is one file that loads nothing and runs no script. It is written
        to ``path`` if there is one.

        Raises
        ------
        MissingPackageError
            The extra ``lexer-core[report]`` is not installed.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.page import report_page

        return _written(report_page(self), path)

    def to_dataframe(self, *, samples: bool = False) -> pd.DataFrame:
        """Give the report as a pandas DataFrame.

        Parameters
        ----------
        samples
            One line for each raw sample, with its label, engine, device, launch,
            round and latency in milliseconds; otherwise one line for each row of
            the report, in the columns of the CSV (docs/csv.md).

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        from lexer_core.reporting.dataframe import report_to_dataframe, samples_to_dataframe

        return samples_to_dataframe(self) if samples else report_to_dataframe(self)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Give the report as a Markdown table, and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.markdown import report_to_markdown

        return _written(report_to_markdown(self), path)


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        from lexer_core.files import write_text

        write_text(Path(path), text)
    return text
