"""How is a tensor converted to a numpy array, and an array to a tensor?

Always by copy, so that writing to one does not change the other. ``bfloat16`` and
the ``float8_…`` types are ml_dtypes types in numpy. torch is imported inside
functions because the core works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.records import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import torch

__all__ = [
    "dtype_name",
    "storage_bytes",
    "tensor_spec",
    "tensor_specs",
    "to_numpy",
    "to_torch",
]

_SAME_SIZE = {1: "uint8", 2: "int16"}
"""Integer types that hold the bits of types numpy does not have."""


def dtype_name(dtype: object) -> str:
    """Return the name of a torch or numpy element type as in numpy: ``float32``, ``bool``."""
    text = str(dtype)
    if text.startswith("torch."):
        return text.removeprefix("torch.")
    named: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]
    return named.name


def to_numpy(value: Any) -> npt.NDArray[Any]:
    """Copy a tensor, on any device, to a contiguous numpy array.

    Parameters
    ----------
    value
        A ``torch.Tensor`` or a numpy array, of any shape and memory layout.

    Returns
    -------
    numpy.ndarray
        An array of the same shape and element type, in native byte order.

    Raises
    ------
    TypeError
        The tensor is sparse, quantised, nested or on the meta device, or numpy
        cannot hold its element type.
    """
    if isinstance(value, np.ndarray):
        return np.array(value, dtype=value.dtype.newbyteorder("="), order="C", copy=True)
    import torch  # the core works without it

    if value.layout != torch.strided:
        raise TypeError(f"numpy cannot hold a tensor of layout {value.layout}")
    if value.is_quantized or value.is_nested:
        kind = "quantised" if value.is_quantized else "nested"
        raise TypeError(f"numpy cannot hold a {kind} tensor")
    if value.device.type == "meta":
        raise TypeError("a tensor on the meta device has no values")
    tensor = value.detach().cpu().resolve_conj().resolve_neg()
    name = dtype_name(value.dtype)
    if name.startswith(("bfloat16", "float8_")):
        bits = tensor.contiguous().view(getattr(torch, _SAME_SIZE[tensor.element_size()]))
        return np.array(bits.numpy().view(numpy_dtype(name)), order="C", copy=True)
    return np.array(tensor.numpy(), order="C", copy=True)


def to_torch(array: npt.NDArray[Any], device: object = None) -> torch.Tensor:
    """Copy a numpy array, writable or not, to a tensor.

    Parameters
    ----------
    array
        An array of any shape and layout; ml_dtypes types become torch types.
    device
        The torch device of the tensor. Default: the CPU.

    Raises
    ------
    TypeError
        torch has no such element type.
    """
    import torch  # only here: the core works without it

    owned = to_numpy(array)
    name = owned.dtype.name
    if name.startswith(("bfloat16", "float8_")):
        dtype = getattr(torch, name, None)
        if dtype is None:
            raise TypeError(f"torch has no element type {name!r}")
        bits = owned.view(np.dtype(_SAME_SIZE[owned.dtype.itemsize]))
        tensor = torch.from_numpy(bits).view(dtype)
    else:
        tensor = torch.from_numpy(owned)
    return tensor if device is None else tensor.to(device)  # type: ignore[call-overload]


def tensor_spec(name: str, value: Any) -> TensorSpec:
    """Return the name, element type and shape of a tensor or array."""
    shape = tuple(int(size) for size in value.shape)
    return TensorSpec(name=name, dtype=dtype_name(value.dtype), shape=shape)


def tensor_specs(values: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Return the specifications of named tensors or arrays, in order."""
    return tuple(tensor_spec(name, value) for name, value in values.items())


def storage_bytes(module: torch.nn.Module) -> int:
    """Return the bytes of a module's parameters and buffers; shared storage counts once."""
    import torch  # only here: the core works without it

    sizes: dict[tuple[str, int], int] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        if torch.nn.parameter.is_lazy(tensor) or tensor.layout != torch.strided:
            continue
        storage = tensor.untyped_storage()
        # Meta tensors have no address, so each one counts.
        address = storage.data_ptr() or id(tensor)
        sizes[(str(tensor.device), address)] = storage.nbytes()
    return sum(sizes.values())
