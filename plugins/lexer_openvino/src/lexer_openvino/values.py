"""How are numpy arrays converted to OpenVINO's tensors and back?

Always by copying: a request never shares memory with the caller's arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lexer_openvino_runtime import openvino

__all__ = ["empty_tensor", "to_array", "to_tensor"]


def empty_tensor(shape: tuple[int, ...], element: openvino.Type, context: Any) -> Any:
    """Allocate a tensor in a device's memory; without a context, in the host's."""
    if context is None:
        return openvino.Tensor(element, openvino.Shape(shape))
    return context.create_tensor(element, openvino.Shape(shape), {})


def to_tensor(array: npt.NDArray[Any], element: openvino.Type, context: Any) -> Any:
    """Copy an array, whose dtype matches the element type, to a new tensor."""
    tensor = openvino.Tensor(element, openvino.Shape(array.shape))
    # For a type that numpy lacks, the view has another type of the same width:
    # bfloat16 looks like float16.
    np.copyto(tensor.data.view(array.dtype), array)
    if context is None:
        return tensor
    remote = empty_tensor(array.shape, element, context)
    tensor.copy_to(remote)
    return remote


def to_array(tensor: Any, dtype: np.dtype[Any], *, remote: bool) -> npt.NDArray[Any]:
    """Copy a tensor to an array that the caller owns."""
    if remote:
        host = openvino.Tensor(tensor.element_type, tensor.shape)
        tensor.copy_to(host)
        tensor = host
    return np.array(tensor.data.view(dtype))
