"""How is an ``.onnx`` file run by ONNXRuntime?

With inputs and outputs bound to the device's memory (IO binding), so that a
call neither copies its inputs nor makes numpy arrays of its outputs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import onnxruntime

from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    InputError,
    UnsupportedError,
)
from lexer_ort.devices import CPU_PROVIDER, Memory, find_device, memory_of
from lexer_ort.element_types import ElementType, by_ort_name, numpy_dtype
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
    """Load an exported model on exactly the device asked for.

    Raises
    ------
    DeviceUnavailableError
        The device is not there, or its provider did not start. Falling back to
        the CPU is never an answer.
    UnsupportedError
        The precision, an option, an element type or an operator of the model
        is none that this ONNXRuntime has.
    EngineError
        ONNXRuntime cannot load the file.
    """
    if exported.path is None:
        raise UnsupportedError("ONNXRuntime loads files; this export is a live object.")
    if config.precision:
        raise UnsupportedError(
            f"ONNXRuntime computes in the model's own types, not in {config.precision!r}.",
            hint="Convert the model itself, or leave out the precision.",
        )
    known = find_device(device)
    options = make_session_options(config)
    providers: list[str | tuple[str, dict[str, str]]] = [CPU_PROVIDER]
    if known.identifier != CPU_PROVIDER:
        settings = {"device_id": str(known.index)} if memory_of(known).type != "cpu" else {}
        providers.insert(0, (known.identifier, settings))
        options.add_session_config_entry(RECORD_ASSIGNMENT, "1")
    if config.isolated:
        # For the whole process, so only where the process is the session's own.
        onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        with warnings.catch_warnings():
            # What it warns of is the error below.
            warnings.filterwarnings("ignore", message="Specified provider")
            inference = onnxruntime.InferenceSession(
                str(exported.path),
                options,
                providers=providers,
                # Otherwise a provider that fails is replaced by the CPU, in print.
                enable_fallback=0,
            )
    except Exception as error:
        raise load_error(
            error,
            where=f"ONNXRuntime cannot load {exported.path.name} on {known.label}",
            types=_types_of(exported),
        ) from error
    started = inference.get_providers()
    if not started or started[0] != known.identifier:
        raise DeviceUnavailableError(
            f"{known.identifier} did not start on {known.name}; ONNXRuntime would have run on "
            f"{', '.join(started) or 'nothing'}.",
            hint="Its libraries are missing or do not fit this ONNXRuntime: "
            "see the log of the worker.",
        )
    return OrtSession(inference, known)


def _types_of(exported: ExportedModel) -> str:
    return ", ".join(sorted({spec.dtype for spec in (*exported.inputs, *exported.outputs)}))


class OrtSession:
    """One model on one execution provider.

    Parameters
    ----------
    inference
        An ``onnxruntime.InferenceSession``.
    device
        Where it runs; ``identifier`` is the provider.

    Attributes
    ----------
    run
        Executes a binding that :meth:`place` made, and returns it.
    """

    run: Callable[[Any], Any]

    def __init__(self, inference: Any, device: Device) -> None:
        self.provider = device.identifier
        self.outputs: tuple[str, ...] = tuple(node.name for node in inference.get_outputs())
        self._inputs: dict[str, tuple[ElementType, tuple[int | str | None, ...]]] = {
            node.name: (_element_type("input", node), tuple(node.shape))
            for node in inference.get_inputs()
        }
        for node in inference.get_outputs():
            _element_type("output", node)
        self._memory: Memory = memory_of(device)
        self._inference = inference
        self._bindings: list[Any] = []
        self.run = _native_run(inference)

    def place(self, inputs: CallInputs) -> Any:
        """Bind copies of the inputs on the device, and outputs that stay there.

        An input that the graph does not have is left out. ONNXRuntime makes the
        output buffers in the first call and reuses them in later ones.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is not the graph's.
        """
        inference = self._opened()
        binding = inference.io_binding()
        for name, (element, shape) in self._inputs.items():
            array = inputs.arrays.get(name)
            if array is None:
                raise InputError(
                    f"the graph needs input {name!r}, which was not given.",
                    hint=f"Given: {', '.join(inputs.arrays) or 'nothing'}.",
                )
            _check_input(name, array, element, shape)
            binding.bind_ortvalue_input(name, to_value(array, element, self._memory))
        for name in self.outputs:
            binding.bind_output(name, self._memory.type, self._memory.index)
        # Until close(): a binding must not outlive what it was bound from.
        self._bindings.append(binding)
        return getattr(binding, "_iobinding", binding)

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

    def synchronize(self) -> None:
        """Wait until the provider has done everything that it was given."""
        if self.provider != CPU_PROVIDER and self._bindings:
            self._bindings[-1].synchronize_outputs()

    def assignments(self) -> list[Any]:
        """List which provider took which nodes; empty where ONNXRuntime does not say."""
        ask = getattr(self._opened(), "get_provider_graph_assignment_info", None)
        return list(ask()) if ask is not None else []

    def settings(self) -> Any:
        """Return the ``SessionOptions`` that the runtime itself holds."""
        return self._opened().get_session_options()

    def close(self) -> None:
        """Release the model. May be called twice."""
        self._bindings.clear()
        self._inference = None
        self.run = _run_closed

    def _opened(self) -> Any:
        if self._inference is None:
            raise EngineError("this session of ONNXRuntime was closed.")
        return self._inference


def _native_run(inference: Any) -> Callable[[Any], Any]:
    # ONNXRuntime's own Python method adds checks for graph capture to every
    # call, 0.4 µs of 3.4 for a small layer, so the native one is called. The
    # binding is returned because it holds the outputs: 0.02 µs.
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


def _run_closed(_binding: Any) -> Any:
    raise EngineError("this session of ONNXRuntime was closed.")


def _wrapped(value: Any) -> Any:
    # A native value has no public methods for copies between devices.
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


def _check_input(
    name: str,
    array: npt.NDArray[Any],
    element: ElementType,
    shape: tuple[int | str | None, ...],
) -> None:
    fits = len(array.shape) == len(shape) and all(
        not isinstance(wanted, int) or wanted == given
        for wanted, given in zip(shape, array.shape, strict=False)
    )
    if fits and array.dtype == numpy_dtype(element.name):
        return
    wanted_dims = ", ".join("?" if dim is None else str(dim) for dim in shape)
    given_dims = ", ".join(map(str, array.shape))
    raise InputError(
        f"input {name!r} is {array.dtype}[{given_dims}]; "
        f"the graph takes {element.name}[{wanted_dims}].",
        hint="Export with example inputs of that type and shape, or name the axis in dynamic_axes.",
    )
