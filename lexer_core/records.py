"""What travels between the core and the engines?

Frozen records, keyword-only, that hooks take and return. Importing this module
is cheap: neither numpy nor any runtime is imported by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

__all__ = [
    "CPU",
    "UNKNOWN_PLACEMENT",
    "Call",
    "CallInputs",
    "CallStructure",
    "Clock",
    "Device",
    "EngineInfo",
    "EngineOption",
    "ExportedModel",
    "ModelSource",
    "OptionValue",
    "Placement",
    "Session",
    "SessionConfig",
    "SessionPhases",
    "SessionWithContext",
    "TensorRef",
    "TensorSpec",
    "Timings",
]

OptionValue = bool | int | float | str
"""What an engine option may hold."""

Clock = Callable[[], int]
"""Reads a monotonic clock: nanoseconds, as ``time.perf_counter_ns`` does."""

_DEVICE_LABELS = {"cpu": "CPU", "cuda": "GPU", "rocm": "GPU", "mps": "GPU", "xpu": "GPU"}


@frozen(kw_only=True)
class Device:
    """Where a session executes.

    ``kind`` is an open string (``cpu``, ``cuda``, ``mps``, ``npu``, …),
    ``index`` counts the devices of that kind, ``identifier`` is the engine's
    own name for it (an execution provider, say) and ``description`` is what a
    person would call it. Two devices are the same place when kind and index
    are equal.
    """

    kind: str
    index: int = 0
    identifier: str = field(default="", eq=False)
    description: str = field(default="", eq=False)

    @property
    def name(self) -> str:
        """As written on the command line: ``cpu``, ``cuda:0``."""
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def label(self) -> str:
        """As shown in results: ``CPU``, ``GPU``, else the kind in capitals."""
        return _DEVICE_LABELS.get(self.kind, self.kind.upper())

    def __str__(self) -> str:
        return self.name


CPU = Device(kind="cpu")
"""The device that every machine has."""


@frozen(kw_only=True)
class EngineOption:
    """One option of an engine.

    ``type`` is the Python type that a value is turned into; ``choices``, where
    not empty, lists the only values allowed. ``default`` ``None`` means that
    the runtime's own default holds.
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: OptionValue | None
    help: str
    choices: tuple[OptionValue, ...] = ()


@frozen(kw_only=True)
class EngineInfo:
    """What an engine says of itself, without importing its runtime.

    Parameters
    ----------
    display_name
        As shown in results, such as ``"ONNXRuntime"``.
    runtime_modules
        Top-level modules that must be importable, such as ``("onnxruntime",)``.
    runtime_distributions
        Distributions that may provide the first of those modules; the first is
        the one to install where none is there.
    formats
        Formats that ``lexer_create_session`` accepts, the preferred one first.
    options
        The options that the engine takes.
    runs_by_default
        Whether the engine runs when no engine is named. ``False`` for one that
        compiles for a minute.
    unavailable_because
        What the engine needs beside its runtime modules and does not find on
        this machine, as a clause: ``"there is no C++ compiler"``. It is then
        *unavailable* until that is mended. Look without importing the runtime.
    remedy
        What would mend it, such as a command; needed with the reason.
    """

    display_name: str
    runtime_modules: tuple[str, ...]
    runtime_distributions: tuple[str, ...]
    formats: tuple[str, ...]
    options: tuple[EngineOption, ...] = ()
    runs_by_default: bool = True
    unavailable_because: str = ""
    remedy: str = ""


@frozen(kw_only=True)
class TensorSpec:
    """Name, element type and shape of one tensor.

    ``dtype`` is numpy's name for it, with ``bfloat16`` and the ``float8_…``
    types named as in ml_dtypes. A dimension is an ``int``, or a ``str`` that
    names a dynamic axis.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@frozen
class TensorRef:
    """Stands for the tensor of that name in the structure of a call."""

    name: str


@frozen(kw_only=True)
class CallStructure:
    """How ``forward`` is called, with a :class:`TensorRef` for each tensor.

    Everything else in ``args`` and ``kwargs`` (tuples, lists, dicts, numbers,
    ``None``, …) stands for itself.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True, eq=False)
class CallInputs:
    """The inputs of one call: named numpy arrays, and the structure of the call.

    ``arrays`` is in the order of ``forward``'s parameters. An engine that knows
    only named tensors takes ``arrays`` and ignores ``structure``; with the
    formats ``onnx`` and ``torch_export``, which take flat tensors, it is one
    after the other. The arrays are read-only and must not be modified.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    structure: CallStructure


@frozen(kw_only=True, eq=False)
class ModelSource:
    """What is to be exported; exactly one of the first three is set.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in eval mode.
    program
        A ``torch.export.ExportedProgram``. May be there beside ``module``: it
        is then that module, flattened (tensors in, tuple of tensors out) and
        traced with ``inputs``.
    onnx_path
        An ``.onnx`` file.
    inputs
        Example inputs.
    input_names, output_names
        Names of the flattened tensors, in order.
    dynamic_axes
        Per input name: dimension → name of the axis. Empty: every shape is
        static, as for measuring.
    model_name
        What the user calls the model; for messages and file names.
    """

    module: Any = None
    program: Any = None
    onnx_path: Path | None = None
    inputs: CallInputs
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    model_name: str = "model"


@frozen(kw_only=True, eq=False)
class ExportedModel:
    """A model in a format that engines accept.

    Parameters
    ----------
    format
        ``"onnx"``, ``"torch"``, ``"torch_export"``, or an engine's own.
    path
        The file, where the format is a file. External data lies beside it.
    model
        The live object, where the format is not a file (``"torch"``).
    inputs, outputs
        What the exported model takes and gives. An input that the graph does
        not use may be missing here; it is then not placed.
    size_bytes
        Size of the file and its external data, or of parameters and buffers.
    exporter
        What made it, with its version: ``"torch.onnx (dynamo) 2.13.0"``.
    specific_to
        Name of the only engine that may use it; empty when every engine that
        accepts the format may.
    notes
        What a reader of the row should know about this export.
    """

    format: str
    path: Path | None = None
    model: Any = None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    size_bytes: int
    exporter: str
    specific_to: str = ""
    notes: tuple[str, ...] = ()


@frozen(kw_only=True)
class SessionConfig:
    """How a session is to be made.

    Parameters
    ----------
    threads
        Threads that one call may use; the same for every engine.
    precision
        ``""`` for the model's own; else a dtype name that the engine is asked
        to compute in.
    cache_dir
        A folder of this case's own for what the engine compiles, which outlives
        the process and ends with the benchmark; ``None`` where no later launch
        would find it.
    options
        The engine's options: validated, of the declared types. An option that
        the user did not set and that has no default is absent.
    isolated
        Whether the session has its process for itself. When ``False`` it shares
        the process with the user's program and must leave no trace in it.
    """

    threads: int
    precision: str = ""
    cache_dir: Path | None = None
    options: Mapping[str, OptionValue] = field(factory=dict)
    isolated: bool = True


@frozen(kw_only=True)
class SessionPhases:
    """Where the time of loading went, as far as is known.

    ``compile_seconds`` is the part that was compilation; ``cache_warm`` says
    whether compiled code came from a cache (``None``: unknown). They may become
    known in ``lexer_place_inputs`` only, to a compiler that needs example
    inputs: what it compiled there counts as loading.
    """

    compile_seconds: float | None = None
    cache_warm: bool | None = None


class Session(Protocol):
    """A model loaded by one engine on one device, ready to run.

    Two optional attributes are looked for: ``phases`` (a
    :class:`SessionPhases`, looked at when the session is made and again when
    its inputs are placed) and ``call_context``, a function that returns a
    context manager which the core enters around every *series* of calls, never
    around each (``torch.inference_mode`` is one).
    """

    @property
    def run(self) -> Callable[[Any], Any]:
        """Execute one call on placed inputs; returns the engine's own outputs.

        A method or a plain attribute: a runtime's own bound method here saves
        a Python frame per call.
        """

    def close(self) -> None:
        """Release everything. May be called twice."""


class SessionWithContext(Session, Protocol):
    """A session whose calls happen inside a context of the engine's own."""

    def call_context(self) -> AbstractContextManager[object]:
        """Make the context manager that is entered around a series of calls."""


@frozen(eq=False)
class Call:
    """One call of a session, bound to its placed inputs.

    ``run()`` executes it and returns the engine's own outputs. ``reset``, where
    it is not ``None``, puts a stateful model back and must be called before
    each ``run()``, outside the timed region; ``loops`` is then always 1.
    """

    run: Callable[[], Any]
    reset: Callable[[], object] | None = None


@frozen(kw_only=True, eq=False)
class Timings:
    """What one block took.

    Parameters
    ----------
    host
        Seconds per call on the host's clock, float64 of shape ``(count,)``,
        each the mean of ``loops`` calls that have completed.
    device
        The device's own event times, the same shape and unit, or ``None``.
    """

    host: npt.NDArray[np.float64]
    device: npt.NDArray[np.float64] | None = None


@frozen(kw_only=True)
class Placement:
    """Where the work really runs.

    ``share`` is the part on the device asked for, 0 to 1, counted by
    ``method``; ``fallbacks`` names what ran elsewhere, and where.
    """

    share: float | None
    method: Literal["nodes", "time", "unknown"]
    fallbacks: Sequence[str] = ()


UNKNOWN_PLACEMENT = Placement(share=None, method="unknown")
"""The engine does not say where its work runs."""
