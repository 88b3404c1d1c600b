"""Which inputs does an exported model take?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from lexer_core.export.formats import is_flat
from lexer_core.records import CallInputs, CallStructure, ExportedModel, TensorRef

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["inputs_of_export"]


def inputs_of_export(inputs: CallInputs, exported: ExportedModel) -> CallInputs:
    """Return the inputs of a call as the format of an export takes them.

    A flattened model takes tensors only: the structure of the user's call may contain
    objects of a framework, which a process that does not need the framework should not
    have to import. A complex input becomes real and imaginary parts along a last axis
    if the export declares it so, as ONNX does: it has no complex tensors.
    """
    if not is_flat(exported.format):
        return inputs
    specs = {spec.name: spec for spec in exported.inputs}
    arrays = {
        name: _in_pairs(array)
        if array.dtype.kind == "c"
        and name in specs
        and not specs[name].dtype.startswith("complex")
        and len(specs[name].shape) == array.ndim + 1
        else array
        for name, array in inputs.arrays.items()
    }
    structure = CallStructure(args=tuple(TensorRef(name) for name in arrays))
    return attrs.evolve(inputs, arrays=arrays, structure=structure)


def _in_pairs(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    pairs = np.stack([array.real, array.imag], axis=-1)
    pairs.flags.writeable = False
    return pairs
