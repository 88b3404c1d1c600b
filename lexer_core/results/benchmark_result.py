"""What is the result of one case, one row of the report?

A number is ``None`` if it was not measured or the samples do not support it.
Numbers that are not finite (such as the error of an output that is NaN) are
unchanged here; in JSON they are ``null`` and listed in ``not_finite``.
"""

from __future__ import annotations

# validated_data resolves the annotations, so they are imported at run time.
from collections.abc import Mapping  # noqa: TC003
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs
from attrs import field, frozen

from lexer_core.errors import DeploymentError
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
from lexer_core.results.profile import Profile  # noqa: TC001
from lexer_core.results.result_records import Failure, Interval, Parity  # noqa: TC001

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Seconds = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = ["BenchmarkResult", "Status"]

Status = Literal["ok", "failed", "unsupported"]
"""``unsupported``: the engine works, but not with this model, dtype or device."""


def _placement(value: Placement | None) -> Placement | None:
    return None if value is None else attrs.evolve(value, fallbacks=texts(value.fallbacks))


@frozen(kw_only=True, repr=False)
class BenchmarkResult:
    """One case: an engine on a device with its options, one row of the table.

    Times are in milliseconds, sizes in bytes. A number is ``None`` if the case
    failed or the samples do not support it.

    Parameters
    ----------
    num_samples
        Number of samples, without warm-up.
    throughput_per_sec
        Items per second in sequential calls: batch size × calls ÷ the sum of their
        times (calls per second if there is no batch size).
    variance
        Sample variance of the latencies in ms² (n - 1).
    mean_ms, p50_ms, p90_ms, p95_ms, p99_ms
        Mean and percentiles of the latency (linear interpolation).
    engine, device
        Display names: ``"ONNXRuntime"``, ``"CPU"``. For programs, ``engine_name`` and
        ``device_name`` are ``"onnxruntime"`` and ``"cpu"``.
    label
        The row's name, unique in the report.
    model
        Name of the model, if the report has several; else empty.
    status
        ``"ok"``, ``"failed"`` or ``"unsupported"``.
    rank
        1 for the fastest; equal for a tie; ``None`` if the data or the outputs do
        not allow one.
    engine_name, device_name
        Names on the command line: ``"onnxruntime"``, ``"cuda:0"``.
    engine_version, engine_distribution
        Version of the runtime; the plugin's distribution and version.
    interpreter
        The other interpreter that ran the case, and its version; empty for this
        interpreter.
    options
        The engine's options in this case.
    batch_size
        Items per call; ``None`` if unknown, and then a call counts as one item.
    threads
        Number of threads that a call may use.
    precision, computed_precision, dtype
        The requested precision (empty: the model's own); what the engine says that it
        computed in (empty if it does not); the dtypes of the inputs.
    format, exporter
        The format that the engine loaded, and the exporter that made it.
    isolation
        ``"process"``: in its own worker; ``"none"``: in the caller's process.
    std_ms, min_ms, max_ms
        Standard deviation (n - 1), smallest and largest sample.
    effective_samples
        Effective sample size for the median.
    intervals
        Confidence intervals by field name (``"p50_ms"``).
    notes_on_percentiles
        Why a percentile is missing or has no interval, by field name.
    loops
        Calls per sample. If above 1, percentiles are of means of calls.
    sampled_ms
        Total time of all calls in the samples.
    rounds, launches
        Number of rounds and worker processes.
    outliers_mild, outliers_severe
        Samples beyond Tukey's inner and outer fences; all are kept.
    load_ms, compile_ms, export_ms, first_call_ms
        Time to load the session; the part of it that was compilation; time to
        export the model to this format; time of the first call.
    export_cached
        Whether the export came from the cache.
    warm_up_calls, warm_up_steady
        Calls discarded before the samples; whether the latency had settled.
    peak_memory_bytes
        Peak resident memory of the worker.
    device_peak_memory_bytes
        Most memory of the device that tensors occupied at once during the calls; not on
        the CPU.
    model_bytes
        Size of the exported model, or of parameters and buffers.
    device_p50_ms
        Median of the device's own event times.
    parity
        Difference between the outputs and those of the reference.
    placement
        Where the work was actually executed.
    profile
        Where the time of its calls goes; ``None`` unless the setting ``profile`` is on.
    withheld
        Why the row has numbers but is excluded from verdicts; otherwise empty.
    break_even_calls
        Calls after which the time saved exceeds the extra time of the set-up (export,
        load, first call), compared with the baseline; an export that both use does
        not count.
    diagnosis
        Observations about noise, by name: ``"sample_autocorrelation"``,
        ``"steal_share"``, …
    warnings
        Reasons to distrust the row.
    error
        Why there are no numbers.
    samples
        Raw samples: seconds per call, float64, shape ``(num_samples,)``. Like all
        fields below, not part of ``to_dict``, equality and ``repr``.
    sample_rounds, sample_launches
        Round and launch of each sample, int, the same shape.
    warm_up_samples
        The warm-up: seconds per call, float64, in chronological order. If calls
        take microseconds, each is the mean of several neighbouring calls, so there
        are fewer than ``warm_up_calls``.
    warm_up_launches
        Launch of each of these, int, the same shape.
    log
        What the workers printed, or the end of it.
    saver
        Saves the model of the row; the report that has the row sets it.
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
    model: str = ""
    engine_name: str = ""
    engine_version: str | None = None
    engine_distribution: str = ""
    interpreter: str = ""
    options: Mapping[str, object] = field(factory=dict, converter=plain_mapping)
    device_name: str = "cpu"
    batch_size: int | None = count()
    threads: int | None = count()
    precision: str = ""
    computed_precision: str = ""
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
    sampled_ms: float | None = number()
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
    device_peak_memory_bytes: int | None = count()
    model_bytes: int | None = count()
    device_p50_ms: float | None = number()
    parity: Parity | None = None
    placement: Placement | None = field(default=None, converter=_placement)
    profile: Profile | None = None
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
    saver: Callable[..., Path] | None = field(default=None, eq=False, repr=False, metadata=RAW)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        model: Any = None,
        input: object = None,
        build: str = "",
        arguments: Mapping[str, object] | None = None,
    ) -> Path:
        """Save the model of this row to a folder, ready to be loaded and served.

        The folder has the exported model, ``lexer.json`` (engine, settings, inputs and
        outputs, measured figures, checksums), and ``run.py``, which runs the model without
        Lexer. :func:`lexer_core.load` returns a session for it. It is written completely
        or not at all. See docs/deploying.md.

        Parameters
        ----------
        folder
            The folder to create. An existing one must be empty or a deployment.
        overwrite
            Whether to replace a deployment.
        model, input
            The Torch model and its example inputs, for a row that ran a live model, if the
            report was loaded from a file. The weights must be those that were measured.
        build, arguments
            For the engines that run the Torch module itself, whose weights are saved: what
            builds it, as ``"package.module:Class"``, and its keyword arguments. Default:
            its class, if that needs no arguments.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        DeploymentError
            The row was not measured, its model is not available, it is not known how to
            build it, or the folder is not empty.
        OutputFileError
            The folder cannot be written.
        """
        if self.saver is None:
            raise DeploymentError(
                f"row {self.label!r} is not part of a report, which has the model.",
                hint='Save a row of a report: report["onnxruntime"].save("deploy/").',
            )
        return self.saver(
            self,
            Path(folder),
            overwrite=overwrite,
            model=model,
            input=input,
            build=build,
            arguments=arguments,
        )

    def __repr__(self) -> str:
        number = "" if self.p50_ms is None else f", {self.p50_ms:.4g} ms"
        rank = "" if self.rank is None else f", rank {self.rank}"
        return f"<{type(self).__name__} {self.label}: {self.status}{number}{rank}>"

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except raw ones, as JSON types (docs/json.md).

        Numbers that are not finite become ``None``.
        """
        return cast("dict[str, Any]", without_not_finite(plain(self), {}))
