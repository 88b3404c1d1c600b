"""How does ONNXRuntime run an ``.onnx`` file?

Inputs and outputs are bound to the device's memory (IO binding), so that a call
neither copies its inputs nor converts its outputs to numpy arrays.
"""

from __future__ import annotations

import warnings
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from lexer_core.engine_helpers import has_precision, input_array, model_file, run_closed
from lexer_core.errors import DeviceUnavailableError, EngineError, UnsupportedError
from lexer_core.records import TensorSpec
from lexer_ort.devices import CPU_PROVIDER, Memory, find_device, memory_of
from lexer_ort.element_types import ElementType, by_ort_name
from lexer_ort.profile_files import ProfileFiles
from lexer_ort.reasons import load_error
from lexer_ort.session_options import RECORD_ASSIGNMENT, make_session_options
from lexer_ort.values import to_array, to_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lexer_core.records import CallInputs, Device, ExportedModel, SessionConfig

__all__ = ["OrtSession", "create_session"]

_ERRORS_ONLY = 3


def create_session(exported: ExportedModel, device: Device, config: SessionConfig) -> OrtSession:
    """Load an exported model on the requested device.

    Raises
    ------
    DeviceUnavailableError
        The device is not available, or its provider did not start. The session
        never falls back to the CPU.
    UnsupportedError
        This ONNXRuntime does not support the precision, an option, an element
        type or an operator of the model.
    EngineError
        ONNXRuntime cannot load the file.
    """
    path = model_file(exported, runtime="ONNXRuntime")
    _check_precision(exported, config)
    known = find_device(device)
    options = make_session_options(config)
    written = ProfileFiles.requested(options, path) if config.profiling else None
    providers: list[str | tuple[str, dict[str, str]]] = [CPU_PROVIDER]
    if known.identifier != CPU_PROVIDER:
        settings = {"device_id": str(known.index)} if memory_of(known).type != "cpu" else {}
        providers.insert(0, (known.identifier, settings))
        options.add_session_config_entry(RECORD_ASSIGNMENT, "1")
    if config.isolated:
        # Affects the whole process, so only if the process is the session's own.
        onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        with warnings.catch_warnings():
            # The warning is about the error below.
            warnings.filterwarnings("ignore", message="Specified provider")
            inference = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=providers,
                # Otherwise a provider that fails is replaced by the CPU with a printed note.
                enable_fallback=0,
            )
    except Exception as error:
        raise load_error(
            error,
            where=f"ONNXRuntime cannot load {path.name} on {known.label}",
            types=_types_of(exported),
        ) from error
    started = inference.get_providers()
    if not started or started[0] != known.identifier:
        raise DeviceUnavailableError(
            f"{known.identifier} did not start on {known.name}; ONNXRuntime would use "
            f"{', '.join(started) or 'nothing'} instead.",
            hint="Its libraries are missing or do not match this ONNXRuntime. "
            "See the worker's log.",
        )

    def computes() -> str:
        from lexer_ort.graph_types import computed_types  # imports onnx, which no call needs

        return computed_types(path, make_session_options(config), providers)

    return OrtSession(inference, known, computes=computes, written=written)


_UNSUPPORTED = {
    "bfloat16": "it has no arithmetic in bfloat16 on the CPU, and other providers have it for "
    "few operators",
    "int8-weights": "Lexer quantises models for it by int8-dynamic only",
}


def _check_precision(exported: ExportedModel, config: SessionConfig) -> None:
    """Refuse a precision, unless the file was converted to it or has it anyway."""
    if not config.precision or has_precision(exported, config.precision):
        return
    reason = _UNSUPPORTED.get(config.precision, "it computes in the types of the file")
    raise UnsupportedError(
        f"ONNXRuntime does not compute this model in {config.precision}: {reason}.",
        hint="Leave out the precision, or use one of: float16, int8-dynamic.",
    )


def _types_of(exported: ExportedModel) -> str:
    return ", ".join(sorted({spec.dtype for spec in (*exported.inputs, *exported.outputs)}))


class OrtSession:
    """A model on one execution provider.

    Parameters
    ----------
    inference
        An ``onnxruntime.InferenceSession``.
    device
        The device; ``identifier`` is the provider.
    computes
        Finds out in which types it computes.
    written
        The files that a profiled session writes; ``None`` if it is not profiled.

    Attributes
    ----------
    run
        Executes a binding that :meth:`place` returned, and returns it.
    """

    run: Callable[[Any], Any]

    def __init__(
        self,
        inference: Any,
        device: Device,
        *,
        computes: Callable[[], str] = lambda: "",
        written: ProfileFiles | None = None,
    ) -> None:
        self.provider = device.identifier
        self._written = written
        self._computes = computes
        self.outputs: tuple[str, ...] = tuple(node.name for node in inference.get_outputs())
        self._inputs = [
            (_spec(node), _element_type("input", node)) for node in inference.get_inputs()
        ]
        for node in inference.get_outputs():
            _element_type("output", node)
        self._memory: Memory = memory_of(device)
        self._inference = inference
        self._latest: Any = None
        self.run = _native_run(inference)

    def place(self, inputs: CallInputs) -> Any:
        """Bind copies of the inputs on the device, and outputs that stay there.

        Inputs that the graph does not have are ignored. ONNXRuntime allocates
        the output buffers in the first call and reuses them in later ones.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is wrong.
        """
        inference = self._opened()
        binding = inference.io_binding()
        for spec, element in self._inputs:
            value = to_value(input_array(inputs, spec), element, self._memory)
            binding.bind_ortvalue_input(spec.name, value)
        for name in self.outputs:
            binding.bind_output(name, self._memory.type, self._memory.index)
        self._latest = binding
        native = getattr(binding, "_iobinding", binding)
        # A binding must not outlive its session, so the session is kept as long as it.
        weakref.finalize(native, _let_go, inference).atexit = False
        return native

    def fetch(self, binding: Any) -> Mapping[str, npt.NDArray[Any]]:
        """Copy the outputs of a binding's last run to numpy arrays.

        Raises
        ------
        UnsupportedError
            An output is not a dense tensor of numbers.
        """
        self._opened()
        values = list(binding.get_outputs())
        return {
            name: to_array(_wrapped(value), name)
            for name, value in zip(self.outputs, values, strict=True)
        }

    def array_call(
        self, structure: object
    ) -> Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[Any]]] | None:
        """Return ``InferenceSession.run`` by name; ``None`` for a type that numpy lacks."""
        del structure
        inference = self._opened()
        nodes = (*inference.get_inputs(), *inference.get_outputs())
        if not all(hasattr(np, _element_type("tensor", node).name) for node in nodes):
            return None
        names = list(self.outputs)

        def call(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            return dict(zip(names, inference.run(names, arrays), strict=True))

        return call

    @property
    def computed_precision(self) -> str:
        """The types in which the session computes, from the graph that was optimised for it."""
        return self._computes()

    def synchronize(self) -> None:
        """Wait until the provider has finished all work."""
        if self.provider != CPU_PROVIDER and self._latest is not None:
            self._latest.synchronize_outputs()

    def assignments(self) -> list[Any]:
        """Return which provider got which nodes; empty if ONNXRuntime does not record it."""
        ask = getattr(self._opened(), "get_provider_graph_assignment_info", None)
        return list(ask()) if ask is not None else []

    def settings(self) -> Any:
        """Return the ``SessionOptions`` that the runtime uses."""
        return self._opened().get_session_options()

    def end_profile(self) -> ProfileFiles:
        """Write the profile of the session, and return its files.

        Raises
        ------
        EngineError
            The session was not created for profiling, or its profile was written before.
        """
        if self._written is None:
            raise EngineError("this session is not profiled, or its profile was written before.")
        written, self._written = self._written, None
        return written.finished(self._opened())

    def close(self) -> None:
        """Release the model. May be called twice."""
        if self._written is not None:
            self.end_profile()  # otherwise ONNXRuntime writes the file after this
        self._latest = None
        self._inference = None
        self.run = run_closed

    def _opened(self) -> Any:
        if self._inference is None:
            run_closed(None)
        return self._inference


def _let_go(inference: Any) -> None:
    """Do nothing: that this was to be called with the session has kept it."""
    del inference


def _native_run(inference: Any) -> Callable[[Any], Any]:
    # ONNXRuntime's Python method adds checks for graph capture to every call
    # (0.4 of 3.4 µs for a small layer), so the native method is called. Returning
    # the binding, which has the outputs, takes 0.02 µs.
    native = getattr(inference, "_sess", None)
    if native is not None:
        native_run = native.run_with_iobinding

        def run(binding: Any) -> Any:
            native_run(binding, None)
            return binding

        return run

    def run_checked(binding: Any) -> Any:
        inference.run_with_iobinding(binding)
        return binding

    return run_checked


def _wrapped(value: Any) -> Any:
    # A native value has no public methods to copy between devices.
    is_public = isinstance(value, onnxruntime.OrtValue)
    return value if is_public else onnxruntime.OrtValue(value)


def _element_type(role: str, node: Any) -> ElementType:
    element = by_ort_name(node.type)
    if element is None:
        raise UnsupportedError(
            f"{role} {node.name!r} is {node.type}; Lexer measures models whose inputs and "
            "outputs are dense tensors of numbers."
        )
    return element


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(
        name=node.name,
        dtype=_element_type("input", node).name,
        shape=tuple("?" if dim is None else dim for dim in node.shape),
    )
