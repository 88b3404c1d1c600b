"""How does OpenVINO run an ``.onnx`` file?

The file is compiled for one device and run by an inference request, whose tensors
are allocated before the first call: a call copies neither inputs nor outputs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.engine_helpers import (
    UNKNOWN_SHAPE,
    input_array,
    model_file,
    numpy_dtype,
    run_closed,
)
from lexer_core.errors import EngineError, UnsupportedError
from lexer_core.records import SessionPhases, TensorSpec
from lexer_openvino.computed import computed_types
from lexer_openvino.devices import find_device, remote_context
from lexer_openvino.element_types import BEYOND_INT32, numpy_name
from lexer_openvino.profiling import CallCounters, source_names
from lexer_openvino.properties import check_properties, make_properties
from lexer_openvino.reasons import openvino_error
from lexer_openvino.values import empty_tensor, to_array, to_tensor
from lexer_openvino.whole_numbers import beyond_int32, find_wide_constant
from lexer_openvino_runtime import openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.records import CallInputs, Device, ExportedModel, SessionConfig

__all__ = ["OpenVinoSession", "create_session"]


def create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OpenVinoSession:
    """Compile an exported model for the requested device.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    UnsupportedError
        OpenVINO does not support an operator or element type of the model, or
        the device does not support a setting.
    EngineError
        OpenVINO cannot read or compile the file.
    """
    path = model_file(exported, runtime="OpenVINO")
    core = openvino.Core()
    known = find_device(core, device)
    properties = make_properties(core, known, config)
    try:
        model = core.read_model(path)
    except Exception as error:  # OpenVINO raises plain RuntimeErrors
        raise openvino_error(error, where=f"OpenVINO cannot read {path.name}") from error
    inputs = _ports(model.inputs, exported.inputs, "input")
    outputs = _ports(model.outputs, exported.outputs, "output")
    wide_constant = find_wide_constant(model)
    counters = CallCounters(source_names(model)) if config.profiling else None
    start = time.perf_counter()
    try:
        compiled = core.compile_model(model, known.identifier, properties)
    except Exception as error:
        where = f"OpenVINO cannot compile {path.name} for {known.label}"
        raise openvino_error(error, where=where) from error
    seconds = time.perf_counter() - start
    check_properties(compiled, properties, known)
    return OpenVinoSession(
        compiled,
        known,
        inputs=inputs,
        outputs=outputs,
        context=remote_context(core, known),
        wide_constant=wide_constant,
        phases=SessionPhases(
            compile_seconds=seconds,
            cache_warm=bool(compiled.get_property("LOADED_FROM_CACHE")),
        ),
        counters=counters,
    )


@frozen
class Port:
    """An input or output of the model.

    Parameters
    ----------
    spec
        Name in the export, type and shape; ``"?"`` is a size known at run time.
    index
        Position among the model's inputs or outputs.
    element
        OpenVINO's element type.
    """

    spec: TensorSpec
    index: int
    element: openvino.Type

    @property
    def static_shape(self) -> tuple[int, ...] | None:
        """The shape; ``None`` if it is not fully known before a call."""
        sizes = tuple(size for size in self.spec.shape if isinstance(size, int))
        return sizes if len(sizes) == len(self.spec.shape) else None


class OpenVinoSession:
    """A model, compiled for one device.

    Parameters
    ----------
    compiled
        An ``openvino.CompiledModel``.
    device
        The device; ``identifier`` is OpenVINO's name.
    inputs, outputs
        The model's inputs and outputs.
    context
        Allocates device memory; ``None`` for the host's memory.
    wide_constant
        A constant of the model beyond OpenVINO's integer arithmetic; empty if none.
    phases
        How long compilation took, and whether the cache was used.
    counters
        Keeps what a profile needs; ``None`` for a session that is not profiled.

    Attributes
    ----------
    caveat
        Why the outputs for the inputs of the last :meth:`place` may be wrong.
    run
        Executes a request that :meth:`place` returned, waits for it, and returns it.
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
        wide_constant: str = "",
        phases: SessionPhases,
        counters: CallCounters | None = None,
    ) -> None:
        self.device = device
        self.counters = counters
        self.phases = phases
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self._context = context
        self._wide_constant = wide_constant
        self.caveat = _caveat(wide_constant, [])
        self.run = _run if context is None else _run_remotely
        if counters is not None:
            self.run = counters.counting(self.run)

    @property
    def computed_precision(self) -> str:
        """The types in which the model is computed."""
        return computed_types(self.compiled)

    @property
    def compiled(self) -> Any:
        """The ``openvino.CompiledModel``.

        Raises
        ------
        EngineError
            The session was closed.
        """
        if self._compiled is None:
            run_closed(None)
        return self._compiled

    def place(self, inputs: CallInputs) -> Any:
        """Create a request with copies of the inputs in the device's memory.

        Inputs that the graph does not have are ignored. Each request has its own
        outputs, which its next call overwrites.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is wrong.
        """
        request = self.compiled.create_infer_request()
        wide_inputs = []
        for port in self._inputs:
            array = input_array(inputs, port.spec)
            if port.spec.dtype in BEYOND_INT32 and beyond_int32(array):
                wide_inputs.append(port.spec.name)
            request.set_input_tensor(port.index, to_tensor(array, port.element, self._context))
        if self._context is not None:
            for port in self._outputs:
                shape = port.static_shape
                if shape is not None:
                    tensor = empty_tensor(shape, port.element, self._context)
                    request.set_output_tensor(port.index, tensor)
        self.caveat = _caveat(self._wide_constant, wide_inputs)
        return request

    def fetch(self, request: Any) -> Mapping[str, npt.NDArray[Any]]:
        """Copy the outputs of a request's last call to numpy arrays."""
        remotely = self._context is not None
        return {
            port.spec.name: to_array(
                request.get_output_tensor(port.index),
                numpy_dtype(port.spec.dtype),
                remote=remotely and port.static_shape is not None,
            )
            for port in self._outputs
        }

    def array_call(
        self, structure: object
    ) -> Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[Any]]] | None:
        """Return a call of one request, which copies; ``None`` for a type that numpy lacks."""
        del structure
        ports = (*self._inputs, *self._outputs)
        if not all(hasattr(np, port.spec.dtype) for port in ports):
            return None
        infer = self.compiled.create_infer_request().infer
        inputs = [(port.index, port.spec.name) for port in self._inputs]
        outputs = [(port.index, port.spec.name) for port in self._outputs]
        wide = [port.spec.name for port in self._inputs if port.spec.dtype in BEYOND_INT32]

        def call(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            # As CompiledModel does: the caller waits, and outputs are copies.
            results = infer({index: arrays[name] for index, name in inputs}, share_inputs=True)
            if wide:
                found = [name for name in wide if beyond_int32(arrays[name])]
                self.caveat = _caveat(self._wide_constant, found)
            return {name: results[index] for index, name in outputs}

        return call

    def close(self) -> None:
        """Release the model. May be called twice."""
        self._compiled = None
        self._context = None
        self.run = run_closed


def _run(request: Any) -> Any:
    # Shared outputs: otherwise every call would end by copying them. On the CPU,
    # infer() runs on the calling thread: 9.8 µs for a 64x64 layer, compared to
    # 21 µs for start_async() and wait().
    request.infer(share_outputs=True)
    return request


def _run_remotely(request: Any) -> Any:
    # infer() creates numpy views of the outputs, which device memory does not support.
    request.start_async()
    request.wait()
    return request


def _ports(nodes: Iterable[Any], specs: tuple[TensorSpec, ...], role: str) -> tuple[Port, ...]:
    """Return the model's port for each tensor of the export."""
    by_name = {name: (index, node) for index, node in enumerate(nodes) for name in node.get_names()}
    ports = []
    for spec in specs:
        if spec.name not in by_name:
            raise EngineError(
                f"the file has no {role} {spec.name!r}; it has {', '.join(by_name) or 'none'}."
            )
        index, node = by_name[spec.name]
        element = node.get_element_type()
        dtype = numpy_name(element)
        if dtype is None:
            raise UnsupportedError(
                f"{role} {spec.name!r} is {spec.dtype}; OpenVINO does not compute in that type.",
                hint="It would compute float64 in float32. Convert the model to float32."
                if spec.dtype == "float64"
                else "",
            )
        shape = _shape(node.get_partial_shape())
        ports.append(Port(TensorSpec(name=spec.name, dtype=dtype, shape=shape), index, element))
    return tuple(ports)


def _shape(partial: Any) -> tuple[int | str, ...]:
    if partial.rank.is_dynamic:
        return UNKNOWN_SHAPE
    return tuple("?" if size.is_dynamic else size.get_length() for size in partial)


def _caveat(wide_constant: str, wide_inputs: Sequence[str]) -> str:
    """Return why outputs may be wrong; empty if no value exceeds the integer arithmetic."""
    wide = [f"input {name!r} has larger values" for name in wide_inputs]
    if wide_constant:
        wide.append(f"the model computes with {wide_constant}")
    return f"OpenVINO computes integers in 32 bits, but {' and '.join(wide)}" if wide else ""
