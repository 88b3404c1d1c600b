"""How are numpy arrays converted to ONNXRuntime's tensors and back?

Always by copying: bound tensors never share memory with the caller's arrays. On
the CPU, bytes are copied by address, because ONNXRuntime has no numpy type for
bfloat16 and the 8-bit floats.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.errors import EngineError, UnsupportedError
from lexer_ort.devices import Memory
from lexer_ort.element_types import ElementType, by_onnx_number
from lexer_ort.versions import tensor_copier

__all__ = ["to_array", "to_value"]


def to_value(array: npt.NDArray[Any], element: ElementType, memory: Memory) -> Any:
    """Copy an array to a new ``OrtValue`` in a memory.

    ``array.dtype`` must match the element type.
    """
    contiguous = np.ascontiguousarray(array)
    if memory.type != "cpu" and _is_numpy_type(element):
        return onnxruntime.OrtValue.ortvalue_from_numpy(contiguous, memory.type, memory.index)
    value = _empty(array.shape, element, Memory("cpu", 0))
    if contiguous.nbytes:
        ctypes.memmove(value.data_ptr(), contiguous.ctypes.data, contiguous.nbytes)
    return value if memory.type == "cpu" else _copied(value, array.shape, element, memory)


def to_array(value: Any, name: str) -> npt.NDArray[Any]:
    """Copy an output to a numpy array that the caller owns.

    Raises
    ------
    EngineError
        The output has no value: there was no run, or it failed.
    UnsupportedError
        The output is not a dense tensor of a type that numpy has.
    """
    if not value.has_value():  # any other method would crash the process
        raise EngineError(f"output {name!r} has no value: fetch outputs after a successful run.")
    element = by_onnx_number(value.element_type()) if value.is_tensor() else None
    if element is None:
        raise UnsupportedError(
            f"output {name!r} is {value.data_type()}; Lexer compares dense tensors of numbers."
        )
    shape = tuple(value.shape())
    array = np.empty(shape, numpy_dtype(element.name))
    if not array.nbytes:
        return array
    if value.device_name().lower() != "cpu":
        if _is_numpy_type(element):
            return np.array(value.numpy())
        value = _copied(value, shape, element, Memory("cpu", 0))
    ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array


def _is_numpy_type(element: ElementType) -> bool:
    return hasattr(np, element.name)


def _empty(shape: tuple[int, ...], element: ElementType, memory: Memory) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
        list(shape), element.onnx_number, memory.type, memory.index
    )


def _copied(value: Any, shape: tuple[int, ...], element: ElementType, memory: Memory) -> Any:
    copy_tensors = tensor_copier()
    if copy_tensors is None:
        raise UnsupportedError(
            f"ONNXRuntime {onnxruntime.__version__} cannot copy {element.name} between devices.",
            hint="Install onnxruntime 1.23 or newer to measure this model on this device.",
        )
    target = _empty(shape, element, memory)
    copy_tensors([value], [target])
    return target
