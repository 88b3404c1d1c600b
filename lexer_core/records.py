"""Which records do the core and the engines exchange?

The arguments and return values of the hooks, as frozen attrs classes. Importing
this module is cheap: it imports neither numpy nor a runtime.
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
    "Concurrency",
    "DeployedModel",
    "Device",
    "DeviceUsage",
    "EngineInfo",
    "EngineOption",
    "ExportedModel",
    "ModelSource",
    "OptionValue",
    "Placement",
    "ProfiledOperation",
    "Session",
    "SessionConfig",
    "SessionPhases",
    "SessionWithContext",
    "TensorRef",
    "TensorSpec",
    "Timings",
]

Concurrency = Literal["shared", "per_thread", "none"]
"""What threads may call at the same time; see :class:`EngineInfo`."""

OptionValue = bool | int | float | str
"""The value of an engine option."""

Clock = Callable[[], int]
"""Returns the time of a monotonic clock in nanoseconds, like ``time.perf_counter_ns``."""

_DEVICE_LABELS = {"cpu": "CPU", "cuda": "GPU", "rocm": "GPU", "mps": "GPU", "xpu": "GPU"}


@frozen(kw_only=True)
class Device:
    """A device on which a session executes.

    Two devices are equal if kind and index are.

    Parameters
    ----------
    kind
        ``"cpu"``, ``"cuda"``, ``"mps"``, ``"npu"`` or any other string.
    index
        Number of the device among those of its kind, from 0.
    identifier
        The engine's own name of the device, such as an execution provider.
    description
        A name for people, such as the model of the processor.
    uuid
        For an NVIDIA GPU: its UUID, ``"GPU-…"``. Lexer asks the driver by it whether
        power or heat limited the clocks. Empty if unknown.
    """

    kind: str
    index: int = 0
    identifier: str = field(default="", eq=False)
    description: str = field(default="", eq=False)
    uuid: str = field(default="", eq=False)

    @property
    def name(self) -> str:
        """The name on the command line: ``cpu``, ``cuda:0``."""
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def label(self) -> str:
        """The name in results: ``CPU``, ``GPU``, or the kind in capitals."""
        return _DEVICE_LABELS.get(self.kind, self.kind.upper())

    def __str__(self) -> str:
        return self.name


CPU = Device(kind="cpu")
"""The device that every machine has."""


@frozen(kw_only=True)
class EngineOption:
    """One option of an engine.

    Parameters
    ----------
    name
        The option's name on the command line and in configuration files.
    type
        The type of its values. Text from the command line is converted to it.
    default
        The default value; ``None`` leaves the choice to the runtime.
    help
        What the option changes, in one sentence.
    choices
        The allowed values; empty allows all values of the type.
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: OptionValue | None
    help: str
    choices: tuple[OptionValue, ...] = ()


@frozen(kw_only=True)
class EngineInfo:
    """Describes an engine, without importing its runtime.

    Parameters
    ----------
    display_name
        The engine's name in results, such as ``"ONNXRuntime"``.
    runtime_modules
        Modules that must be importable, such as ``("onnxruntime",)``. Name the
        submodule of a namespace package: ``("iree.runtime",)``.
    runtime_distributions
        Distributions that can provide the first of these modules. If none is
        installed, Lexer suggests installing the first one.
    formats
        Formats that ``lexer_create_session`` accepts, in order of preference.
    options
        The engine's options.
    runs_by_default
        Whether the engine runs when no engine is named. ``False`` suits an engine
        that takes a minute to compile.
    unavailable_because
        Something other than the runtime modules that the engine needs and that is
        missing on this machine, as a clause: ``"there is no C++ compiler"``. The
        engine is then listed as *unavailable*. Check it without importing the
        runtime.
    remedy
        How to fix that, such as a command; required with ``unavailable_because``.
    declarations
        What the conformance kit must know about the engine: ``"module:Class"``, a class
        derived from ``lexer_core.testing.EngineUnderTest``. It is imported only by the kit.
    precisions
        The precisions that the engine can be asked for, such as
        ``("float32", "bfloat16")``; with names of its own, if it has others than
        :data:`lexer_core.precisions.PRECISIONS`. A request for another one is refused
        before anything is exported. The engine may still refuse one of these, for a
        device or a model. Empty: unknown, so that the engine is asked. Added in contract
        2.
    concurrency
        What threads may call at the same time, in one process: ``"none"``, nothing, so
        that calls come one at a time; ``"per_thread"``, sessions, of which each is called
        from one thread at a time; ``"shared"``, also one session, each thread with inputs
        that were placed for it. Added in contract 2.
    """

    display_name: str
    runtime_modules: tuple[str, ...]
    runtime_distributions: tuple[str, ...]
    formats: tuple[str, ...]
    options: tuple[EngineOption, ...] = ()
    runs_by_default: bool = True
    unavailable_because: str = ""
    remedy: str = ""
    declarations: str = ""
    precisions: tuple[str, ...] = ()
    concurrency: Concurrency = "none"


@frozen(kw_only=True)
class TensorSpec:
    """Name, element type and shape of a tensor.

    Parameters
    ----------
    name
        The tensor's name.
    dtype
        The element type's name in numpy, or in ml_dtypes for ``bfloat16`` and the
        ``float8_…`` types.
    shape
        One entry per dimension: its size, or the name of a dynamic axis.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@frozen
class TensorRef:
    """A placeholder for the named tensor in a :class:`CallStructure`."""

    name: str


@frozen(kw_only=True)
class CallStructure:
    """The arguments of ``forward``, with a :class:`TensorRef` for each tensor.

    Everything else in ``args`` and ``kwargs`` (tuples, lists, dicts, numbers,
    ``None``, …) is passed as it is.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True, eq=False)
class CallInputs:
    """The inputs of one call.

    Parameters
    ----------
    arrays
        Numpy arrays by input name, in the order of ``forward``'s parameters. They
        are read-only. An engine whose models take named tensors needs only these.
    structure
        The arguments of the call, with references to ``arrays``. The formats
        ``onnx`` and ``torch_export`` take flat tensors: one positional argument
        per array.
    requires_grad
        Names of the inputs that require gradients in the user's call.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    structure: CallStructure
    requires_grad: frozenset[str] = frozenset()


@frozen(kw_only=True, eq=False)
class ModelSource:
    """A model to export.

    Either ``onnx_path`` is set, or ``module``, ``program`` or both.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in eval mode.
    program
        A ``torch.export.ExportedProgram``. If ``module`` is set, too, this is the
        module flattened (tensors in, tuple of tensors out) and traced with
        ``inputs``.
    onnx_path
        An ``.onnx`` file.
    inputs
        Example inputs.
    input_names, output_names
        Names of the flattened tensors, in order.
    dynamic_axes
        For each input name, the names of its dynamic axes by dimension:
        ``{"image": {0: "batch"}}``. Empty for benchmarks, where every shape is
        static.
    model_name
        The user's name for the model, for messages and file names.
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

    Exactly one of ``path`` and ``model`` is set.

    Parameters
    ----------
    format
        ``"onnx"``, ``"torch"``, ``"torch_export"``, or an engine's own format.
    path
        The exported file. External data is stored next to it.
    model
        The live object, for a format that is not a file (``"torch"``).
    inputs, outputs
        Specifications of the inputs and outputs, in order. Inputs that the graph
        does not use may be left out; they are then not passed to the session.
    size_bytes
        Size of the file and its external data, or of parameters and buffers.
    exporter
        Name and version of the exporter: ``"torch.onnx (dynamo) 2.13.0"``.
    specific_to
        Name of the only engine that may use the export. Default: every engine
        that accepts the format.
    notes
        Remarks on this export for the reader of the report.
    precision
        The precision to which ``lexer_convert_model`` converted it; empty for an export
        as it was made. Added in contract 2.
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
    precision: str = ""


@frozen(kw_only=True)
class SessionConfig:
    """The configuration of a session.

    Parameters
    ----------
    threads
        Number of threads that one call may use; the same for every engine.
    precision
        What to compute in, such as ``"bfloat16"`` or ``"int8-dynamic"``; ``""`` for the
        model's own dtypes.
    cache_dir
        A folder for compiled code, used by this case only. It is kept until the
        benchmark ends, so that later launches can reuse it. ``None`` if no later
        launch will.
    options
        The engine's options, validated and of the declared types. An option that
        is not set and has no default is absent.
    isolated
        Whether the session has a process to itself. If ``False``, it shares the
        process with the user's program and must not change global state.
    profiling
        Whether the session is created for ``lexer_profile_calls``. Nothing else is
        measured in it, so it may be slower. Added in contract 2.
    """

    threads: int
    precision: str = ""
    cache_dir: Path | None = None
    options: Mapping[str, OptionValue] = field(factory=dict)
    isolated: bool = True
    profiling: bool = False


@frozen(kw_only=True)
class SessionPhases:
    """How a session spent its load time, if known.

    An engine that needs example inputs to compile sets it in
    ``lexer_place_inputs``; compilation there counts as load time.

    Parameters
    ----------
    compile_seconds
        Time spent on compilation.
    cache_warm
        Whether compiled code was read from a cache.
    """

    compile_seconds: float | None = None
    cache_warm: bool | None = None


@frozen(kw_only=True)
class DeviceUsage:
    """What a session used of its device, and how it computes there.

    Parameters
    ----------
    peak_memory_bytes
        The most memory of the device that tensors occupied at once, from the time when
        inputs were placed: weights, inputs, intermediate results and outputs. ``None``
        if unknown, and on the CPU.
    notes
        What the reader of the row should know, such as the precision of products.
    """

    peak_memory_bytes: int | None = None
    notes: tuple[str, ...] = ()


class Session(Protocol):
    """A model loaded by one engine on one device, ready to run.

    A session may have more attributes. ``phases`` is a :class:`SessionPhases`,
    read after ``lexer_create_session`` and again after ``lexer_place_inputs``.
    ``caveat`` is text, read after ``lexer_place_inputs``: why the outputs for this
    model and these inputs may be wrong, such as a limit of the runtime that only some
    values exceed. If the outputs turn out to be wrong, the row is unsupported, with
    this as the reason; if they are right, it is measured like any other.
    ``call_context`` is a function that returns a context manager, such as
    ``torch.inference_mode``, which the core enters around each *series* of calls,
    not around each call. ``relax_call_context`` is a function that the core calls with
    the exception if the first call raises: if ``call_context`` can return a less
    strict context from now on, it returns a note for the row, and the core places the
    inputs and makes the call again; otherwise it returns ``""``. ``device_usage`` is a
    function that returns a :class:`DeviceUsage`; it is called once, after the last sample
    and before any other call. ``uses_tf32`` is a bool, read after ``lexer_place_inputs``:
    whether products of float32 numbers are computed in TF32, so that outputs in float32
    are judged with TF32's tolerance. ``computed_precision`` is text, read once after the
    last sample: what the session computes in, if ``config.precision`` asked for something.
    If it differs, as for a runtime that stores float16 and computes in float32, the row
    says so; several are separated by commas, that of most products first. It may be a
    property: finding it out is in no measured time.

    A session may also have ``array_call``, for a deployed model (:func:`lexer_core.load`):
    a function that takes the :class:`CallStructure` of the calls and returns a function
    from numpy arrays by input name to numpy arrays by output name, or ``None``. It is the
    runtime's shortest way to run the model on arrays in the host's memory, and its caller
    owns the outputs. The arrays have the names, types and shapes of
    ``ExportedModel.inputs``; calls of it come one at a time. Without it, each call of a deployed
    model places its inputs, runs, and fetches the outputs.
    """

    @property
    def run(self) -> Callable[[Any], Any]:
        """Execute one call on placed inputs and return the engine's own outputs.

        It may be a method or an attribute. Assigning the runtime's own bound
        method saves a Python frame per call.
        """

    def close(self) -> None:
        """Release all resources. May be called twice."""


class SessionWithContext(Session, Protocol):
    """A session whose calls run inside a context manager."""

    def call_context(self) -> AbstractContextManager[object]:
        """Return the context manager to enter around a series of calls."""


@frozen(eq=False)
class Call:
    """A call of a session, bound to its placed inputs.

    Parameters
    ----------
    run
        Executes the call and returns the engine's own outputs.
    reset
        Resets a session that keeps state; call it before each ``run()``, untimed.
        ``loops`` is then always 1. ``None`` for sessions without state.
    """

    run: Callable[[], Any]
    reset: Callable[[], object] | None = None


@frozen(kw_only=True, eq=False)
class Timings:
    """The times of one block of calls.

    Parameters
    ----------
    host
        Seconds per call on the host's clock, float64 of shape ``(count,)``. Each
        value is the mean of ``loops`` completed calls.
    device
        Event times of the device, same shape and unit, or ``None``.
    """

    host: npt.NDArray[np.float64]
    device: npt.NDArray[np.float64] | None = None


@frozen(kw_only=True)
class Placement:
    """Where a session's work is actually executed.

    Parameters
    ----------
    share
        The share of the work on the requested device, 0 to 1; ``None`` if unknown.
    method
        How the share was counted: by ``"nodes"`` of the graph or by ``"time"``.
    fallbacks
        What ran on another device, and on which one.
    """

    share: float | None
    method: Literal["nodes", "time", "unknown"]
    fallbacks: Sequence[str] = ()


@frozen(kw_only=True)
class ProfiledOperation:
    """What profiled calls spent on one operation: a kernel, or a call of an operator.

    Parameters
    ----------
    name
        The runtime's name of the operation.
    operator
        Its type, such as ``"Conv"``.
    seconds
        Time of all its executions together, without that of other operations in the list.
        It may be their number times the median, so that a disturbance of one call does not
        count.
    calls
        Number of executions.
    device
        The kind of device that executed it.
    nodes
        The nodes of the exported graph that it computes, each by its name or by the name
        of one of its outputs; several for a fused kernel. Empty if unknown.
    modules
        The modules of the user's model that it computes, such as ``"blocks.3.attn"``;
        ``""`` is the model itself. For an engine that runs the module, or that knows
        them better than the exported graph does. Empty: by ``nodes``.
    """

    name: str
    operator: str
    seconds: float
    calls: int
    device: str = "cpu"
    nodes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@frozen(kw_only=True)
class DeployedModel:
    """A model that is saved to a folder, to be run later.

    Parameters
    ----------
    format, inputs, outputs
        As in :class:`ExportedModel`.
    file
        The model's file, relative to the folder: ``"model/net.onnx"``. For the format
        ``"torch"``, the weights.
    device
        The device to run on.
    threads, precision, options
        As in :class:`SessionConfig`.
    build
        For the format ``"torch"``: what returns the module when it is called, as
        ``module:Class``.
    arguments
        The keyword arguments of that call.
    structure
        For the format ``"torch"``: the arguments of ``forward``, as in
        :class:`CallInputs`.
    """

    format: str
    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device: Device
    threads: int
    precision: str = ""
    options: Mapping[str, OptionValue] = field(factory=dict)
    build: str = ""
    arguments: Mapping[str, Any] = field(factory=dict)
    structure: CallStructure = field(factory=CallStructure)


UNKNOWN_PLACEMENT = Placement(share=None, method="unknown")
"""The placement of an engine that does not report it."""
