"""What does a benchmark say about one case: one row of the report?

A missing number is ``None``: it was not measured, or the samples do not support
it. Numbers that are not finite (the error of an output that is NaN) stay as they
are here; in JSON they are ``null`` and listed under ``not_finite``.
"""

from __future__ import annotations

# validated_data resolves the annotations, so they are imported at run time.
from collections.abc import Mapping  # noqa: TC003
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs
from attrs import field, frozen

from lexer_core.records import Placement  # noqa: TC001
from lexer_core.results.attrs_fields import (
    RAW,
    count,
    mapping,
    number,
    plain,
    plain_mapping,
    texts,
    without_not_finite,
)
from lexer_core.results.result_records import Failure, Interval, Parity  # noqa: TC001

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Seconds = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = ["BenchmarkResult", "Status"]

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
        """Return every field except the raw samples, as JSON types (docs/json.md).

        Numbers that are not finite become ``None``.
        """
        return cast("dict[str, Any]", without_not_finite(plain(self), {}))
