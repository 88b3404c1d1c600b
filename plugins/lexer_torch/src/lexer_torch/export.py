"""How is the user's model exported to the formats ``torch`` and ``torch_export``?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch

from lexer_core.engine_helpers import error_summary, program_specs
from lexer_core.errors import ExportError
from lexer_core.export.trace_errors import explain_trace_error
from lexer_core.model.by_value import program_module
from lexer_core.model.reference import call_module
from lexer_core.model.state import (
    contains_torchscript,
    eager_module,
    measured_state,
    preserved_randomness,
)
from lexer_core.model.structure import flatten_outputs
from lexer_core.model.tensors import storage_bytes, tensor_spec, tensor_specs, to_torch
from lexer_core.model.wrapper import dynamic_shapes, flattening_module
from lexer_core.records import ExportedModel

if TYPE_CHECKING:
    from lexer_core.records import Device, ModelSource

__all__ = ["export_module", "export_program"]

_HINT_LINES = 12
"""Lines of the model's message to show; the cause has all of it."""


def export_module(source: ModelSource) -> ExportedModel:
    """Return the module as it is, with specifications from one call.

    Raises
    ------
    ExportError
        The module raises an exception, or its outputs do not match the names.
    """
    module = _module_of(source)
    eager = eager_module(module)
    try:
        with preserved_randomness(), measured_state(eager):
            outputs = flatten_outputs(call_module(eager, source.inputs).returned)
    except Exception as error:  # the user's module may raise anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ExportError(
            f"{source.model_name} cannot run: {error_summary(error)}",
            hint="\n".join(lines[1:_HINT_LINES]),
        ) from error
    if len(outputs.tensors) != len(source.output_names):
        raise ExportError(
            f"{source.model_name} returned {len(outputs.tensors)} tensors, but there are "
            f"{len(source.output_names)} output names.",
            hint=f"It returned: {', '.join(outputs.tensors) or 'nothing'}.",
        )
    return ExportedModel(
        format="torch",
        model=module,
        inputs=tensor_specs(source.inputs.arrays),
        outputs=tuple(
            tensor_spec(name, tensor)
            for name, tensor in zip(source.output_names, outputs.tensors.values(), strict=True)
        ),
        size_bytes=storage_bytes(module),
        exporter=f"torch {torch.__version__}",
        notes=outputs.notes,
    )


def export_program(source: ModelSource, device: Device) -> ExportedModel:
    """Trace the flattened module with ``torch.export``.

    If the source has a program in addition to its module, that is used.

    Raises
    ------
    ExportError
        ``torch.export`` cannot trace the module.
    """
    program = source.program if source.module is not None else None
    if program is None:
        program = _trace(source, device)
    inputs, outputs = program_specs(attrs.evolve(source, program=program))
    return ExportedModel(
        format="torch_export",
        model=program,
        inputs=inputs,
        outputs=outputs,
        size_bytes=storage_bytes(program.module()),
        exporter=f"torch.export {torch.__version__}",
    )


def _trace(source: ModelSource, device: Device) -> torch.export.ExportedProgram:
    module = _module_of(source)
    if contains_torchscript(module):
        raise ExportError(
            f"{source.model_name} is or contains a TorchScript module, which torch.export does "
            "not trace.",
            hint="Benchmark the original module.",
        )
    wrapper = flattening_module(
        module, source.inputs.structure, source.input_names, source.output_names
    )
    where = _device_of(wrapper, device)
    arrays = source.inputs.arrays
    tensors = tuple(to_torch(arrays[name], where) for name in source.input_names)
    try:
        with preserved_randomness(), measured_state(wrapper), torch.no_grad():
            return torch.export.export(
                wrapper,
                tensors,
                dynamic_shapes=dynamic_shapes(source.input_names, source.dynamic_axes),
            )
    except Exception as error:  # any part of the tracer may raise anything
        failure = explain_trace_error(error, source.input_names)
        raise ExportError(
            f"torch.export {torch.__version__} cannot trace {source.model_name}: {failure.reason}",
            hint=failure.fix,
        ) from error


def _module_of(source: ModelSource) -> torch.nn.Module:
    # A module that Lexer makes from a program can be sent to another process.
    return program_module(source.program) if source.module is None else source.module


def _device_of(module: torch.nn.Module, device: Device) -> torch.device:
    """The module's device; the requested device if the module has no tensors."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device(device.identifier or device.kind)
