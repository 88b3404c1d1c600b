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
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import torch

    from lexer_core.records import CallInputs

__all__ = [
    "dense_parts",
    "dtype_name",
    "is_lazy",
    "place_leaves",
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

    native = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    name = native.dtype.name
    # Not from_numpy: a model may resize a tensor whose memory is torch's own.
    # Not on the default device, which the caller may have set.
    if name.startswith(("bfloat16", "float8_")):
        dtype = getattr(torch, name, None)
        if dtype is None:
            raise TypeError(f"torch has no element type {name!r}")
        bits = native.view(np.dtype(_SAME_SIZE[native.dtype.itemsize]))
        tensor = torch.tensor(bits, device="cpu").view(dtype)
    else:
        tensor = torch.tensor(native, device="cpu")
    return tensor if device is None else tensor.to(device)  # type: ignore[call-overload]


def place_leaves(
    inputs: CallInputs, convert: Callable[[npt.NDArray[Any]], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Convert the arrays of a call to tensors, as the user passed them.

    Inputs that are the same array are the same tensor, and tensors require gradients
    if the user's do, except in inference mode, which has none.
    """
    import torch  # the core works without it

    made: dict[int, torch.Tensor] = {}
    for array in inputs.arrays.values():
        if id(array) not in made:
            made[id(array)] = convert(array)
    tensors = {name: made[id(array)] for name, array in inputs.arrays.items()}
    if not torch.is_inference_mode_enabled():
        for name in inputs.requires_grad:
            tensors[name].requires_grad_()
    return tensors


def tensor_spec(name: str, value: Any) -> TensorSpec:
    """Return the name, element type and shape of a tensor or array."""
    shape = tuple(int(size) for size in value.shape)
    return TensorSpec(name=name, dtype=dtype_name(value.dtype), shape=shape)


def tensor_specs(values: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Return the specifications of named tensors or arrays, in order."""
    return tuple(tensor_spec(name, value) for name, value in values.items())


def is_lazy(tensor: torch.Tensor) -> bool:
    """Whether a parameter or buffer of a lazy module has no shape yet."""
    import torch  # only here: the core works without it

    return bool(torch.nn.parameter.is_lazy(tensor))


def dense_parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the dense tensors that hold a tensor's values.

    Indices and values of a sparse tensor, integers and scales of a quantized one,
    the components of a nested tensor, the inner tensors of a wrapper; a dense tensor
    is its only part.

    Raises
    ------
    TypeError
        The tensor's layout is unknown.
    """
    import torch  # only here: the core works without it

    tensor = tensor.detach()
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return tuple(part for name in names for part in dense_parts(getattr(tensor, name)))
    if tensor.is_nested:
        return tuple(part for each in tensor.unbind() for part in dense_parts(each))
    if tensor.is_quantized:
        return (tensor.int_repr(), *_scales(tensor))
    if tensor.layout == torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    if tensor.is_mkldnn:
        return (tensor.to_dense(),)
    if tensor.layout != torch.strided:
        raise TypeError(f"the values of a tensor of layout {tensor.layout} cannot be read")
    return (tensor,)


def _scales(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    import torch  # only here: the core works without it

    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        # float64 holds every zero point exactly.
        return (
            torch.tensor(
                [tensor.q_scale(), tensor.q_zero_point()], dtype=torch.float64, device="cpu"
            ),
        )
    return tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()


def storage_bytes(module: torch.nn.Module) -> int:
    """Return the bytes of a module's parameters and buffers; shared storage counts once.

    An estimate: a tensor that does not show its storage counts as if it were dense.
    """
    sizes: dict[tuple[str, int], int] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        if is_lazy(tensor):
            continue
        try:
            storages = [part.untyped_storage() for part in dense_parts(tensor)]
        except Exception:  # a subclass of the user's may raise anything
            sizes[("", id(tensor))] = _dense_bytes(tensor)
            continue
        for number, storage in enumerate(storages):
            # Meta tensors have no address, so each one counts.
            address = storage.data_ptr() or hash((id(tensor), number))
            sizes[(str(storage.device), address)] = storage.nbytes()
    return sum(sizes.values())


def _dense_bytes(tensor: torch.Tensor) -> int:
    try:
        return tensor.numel() * tensor.element_size()
    except Exception:  # see storage_bytes
        return 0
