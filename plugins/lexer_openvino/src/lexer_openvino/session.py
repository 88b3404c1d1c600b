"""How is an ``.onnx`` file run by OpenVINO?

Read, compiled for one device, and then run by a request that holds its tensors
from before the first call: a call neither copies its inputs nor its outputs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import EngineError, InputError, UnsupportedError
from lexer_core.records import SessionPhases
from lexer_openvino.devices import find_device, remote_context
from lexer_openvino.element_types import BEYOND_INT32, numpy_dtype
from lexer_openvino.properties import check_properties, make_properties
from lexer_openvino.reasons import openvino_error
from lexer_openvino.values import empty_tensor, to_array, to_tensor
from lexer_openvino.whole_numbers import beyond_int32, find_wide_constant
from lexer_openvino_runtime import openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import CallInputs, Device, ExportedModel, SessionConfig, TensorSpec

__all__ = ["OpenVinoSession", "create_session"]


def create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OpenVinoSession:
    """Compile an exported model for exactly the device asked for.

    Raises
    ------
    DeviceUnavailableError
        The device is not there.
    UnsupportedError
        The model has an operator or element type that OpenVINO does not
        compute, or the device does not do what was asked for.
    EngineError
        OpenVINO cannot read or compile the file.
    """
    if exported.path is None:
        raise UnsupportedError("OpenVINO loads files; this export is a live object.")
    core = openvino.Core()
    known = find_device(core, device)
    properties = make_properties(core, known, config)
    try:
        model = core.read_model(exported.path)
    except Exception as error:  # OpenVINO's own are plain RuntimeErrors
        raise openvino_error(error, where=f"OpenVINO cannot read {exported.path.name}") from error
    inputs = _ports(model.inputs, exported.inputs, "input")
    outputs = _ports(model.outputs, exported.outputs, "output")
    wide = find_wide_constant(model)
    if wide:
        raise UnsupportedError(
            f"{exported.path.name} computes with a number beyond 32 bits: {wide}; "
            "OpenVINO computes whole numbers in int32."
        )
    start = time.perf_counter()
    try:
        compiled = core.compile_model(model, known.identifier, properties)
    except Exception as error:
        where = f"OpenVINO cannot compile {exported.path.name} for {known.label}"
        raise openvino_error(error, where=where) from error
    seconds = time.perf_counter() - start
    check_properties(compiled, properties, known)
    return OpenVinoSession(
        compiled,
        known,
        inputs=inputs,
        outputs=outputs,
        context=remote_context(core, known),
        phases=SessionPhases(
            compile_seconds=seconds,
            cache_warm=bool(compiled.get_property("LOADED_FROM_CACHE")),
        ),
    )


@frozen
class Port:
    """One input or output: its name in the export, its place, type and shape.

    A dimension of ``shape`` is ``None`` where it is known at run time only, and
    ``shape`` itself where even their number is.
    """

    name: str
    index: int
    element: openvino.Type
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None

    @property
    def static_shape(self) -> tuple[int, ...] | None:
        """The shape, where all of it is known before a call."""
        if self.shape is None:
            return None
        sizes = tuple(size for size in self.shape if size is not None)
        return sizes if len(sizes) == len(self.shape) else None


class OpenVinoSession:
    """One model, compiled for one device.

    Parameters
    ----------
    compiled
        An ``openvino.CompiledModel``.
    device
        Where it runs; ``identifier`` is OpenVINO's name.
    inputs, outputs
        What it takes and gives.
    context
        What allocates in the device's memory; ``None`` for the host's.
    phases
        How long compiling took, and whether the cache had it.

    Attributes
    ----------
    run
        Executes a request that :meth:`place` made, waits for it, and returns it.
    """

    run: Callable[[Any], Any]

    def __init__(
        self,
        compiled: Any,
        device: Device,
        *,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        context: Any = None,
        phases: SessionPhases,
    ) -> None:
        self.device = device
        self.phases = phases
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self._context = context
        self.run = _run if context is None else _run_remotely

    @property
    def compiled(self) -> Any:
        """The ``openvino.CompiledModel``.

        Raises
        ------
        EngineError
            The session was closed.
        """
        if self._compiled is None:
            raise EngineError("this session of OpenVINO was closed.")
        return self._compiled

    def place(self, inputs: CallInputs) -> Any:
        """Make a request with copies of the inputs in the device's memory.

        An input that the graph does not have is left out. Each request has
        outputs of its own, which its next call overwrites.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is not the graph's.
        UnsupportedError
            An input holds numbers that OpenVINO's arithmetic does not.
        """
        request = self.compiled.create_infer_request()
        for port in self._inputs:
            array = inputs.arrays.get(port.name)
            if array is None:
                raise InputError(
                    f"the graph needs input {port.name!r}, which was not given.",
                    hint=f"Given: {', '.join(inputs.arrays) or 'nothing'}.",
                )
            _check_input(port, array)
            request.set_input_tensor(port.index, to_tensor(array, port.element, self._context))
        if self._context is not None:
            for port in self._outputs:
                shape = port.static_shape
                if shape is not None:
                    tensor = empty_tensor(shape, port.element, self._context)
                    request.set_output_tensor(port.index, tensor)
        return request

    def fetch(self, request: Any) -> Mapping[str, npt.NDArray[Any]]:
        """Copy the outputs of a request's last call to numpy arrays."""
        remotely = self._context is not None
        return {
            port.name: to_array(
                request.get_output_tensor(port.index),
                port.dtype,
                remote=remotely and port.static_shape is not None,
            )
            for port in self._outputs
        }

    def close(self) -> None:
        """Release the model. May be called twice."""
        self._compiled = None
        self._context = None
        self.run = _run_closed


def _run(request: Any) -> Any:
    # Shared outputs: otherwise every call would end with a copy of them. On the
    # CPU it runs on the calling thread: 9.8 µs for a 64x64 layer, and 21 µs by
    # start_async and wait.
    request.infer(share_outputs=True)
    return request


def _run_remotely(request: Any) -> Any:
    # infer() makes numpy views of the outputs, which the device's memory has none of.
    request.start_async()
    request.wait()
    return request


def _run_closed(_request: Any) -> Any:
    raise EngineError("this session of OpenVINO was closed.")


def _ports(found: Iterable[Any], specs: tuple[TensorSpec, ...], role: str) -> tuple[Port, ...]:
    """Find a port of the model for each tensor of the export."""
    by_name = {name: (index, port) for index, port in enumerate(found) for name in port.get_names()}
    ports = []
    for spec in specs:
        if spec.name not in by_name:
            raise EngineError(
                f"OpenVINO finds no {role} {spec.name!r} in the file; "
                f"it finds {', '.join(by_name) or 'none'}."
            )
        index, port = by_name[spec.name]
        element = port.get_element_type()
        dtype = numpy_dtype(element)
        if dtype is None:
            raise UnsupportedError(
                f"{role} {spec.name!r} is {spec.dtype}; OpenVINO does not compute in that type.",
                hint="It takes float64 and computes in float32: convert the model to float32."
                if spec.dtype == "float64"
                else "",
            )
        ports.append(Port(spec.name, index, element, dtype, _shape(port.get_partial_shape())))
    return tuple(ports)


def _shape(partial: Any) -> tuple[int | None, ...] | None:
    if partial.rank.is_dynamic:
        return None
    return tuple(None if size.is_dynamic else size.get_length() for size in partial)


def _check_input(port: Port, array: npt.NDArray[Any]) -> None:
    fits = port.shape is None or (
        len(port.shape) == array.ndim
        and all(
            wanted in (None, given) for wanted, given in zip(port.shape, array.shape, strict=True)
        )
    )
    if not fits or array.dtype != port.dtype:
        dims = (
            "..."
            if port.shape is None
            else ", ".join("?" if size is None else str(size) for size in port.shape)
        )
        raise InputError(
            f"input {port.name!r} is {array.dtype}[{', '.join(map(str, array.shape))}]; "
            f"the graph takes {port.dtype}[{dims}].",
            hint="Export with example inputs of that type and shape, "
            "or name the axis in dynamic_axes.",
        )
    if port.dtype.name in BEYOND_INT32 and beyond_int32(array):
        raise UnsupportedError(
            f"input {port.name!r} holds numbers beyond 32 bits; OpenVINO computes "
            f"{port.dtype} in int32."
        )
