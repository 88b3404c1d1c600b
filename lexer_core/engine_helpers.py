"""What do most engines need: devices, files, inputs, placement, errors?

For plugin authors. Every function is optional. Importing this module is cheap: it
imports neither numpy nor a runtime, so a plugin's module may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    InputError,
    UnsupportedError,
    text_of,
)
from lexer_core.records import Placement, TensorSpec

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import CallInputs, Device, ExportedModel, ModelSource, SessionConfig

__all__ = [
    "UNKNOWN_SHAPE",
    "count_placement",
    "error_summary",
    "find_device",
    "first_line",
    "has_precision",
    "headline",
    "input_array",
    "model_file",
    "numpy_dtype",
    "program_specs",
    "refuse_precision",
    "run_closed",
]

UNKNOWN_SHAPE = ("...",)
"""``TensorSpec.shape`` of a tensor whose number of dimensions is not known."""

_LONGEST_LINE = 300
_NAMED_OPERATORS = 5


def find_device(
    devices: Iterable[Device], device: Device, *, runtime: str, hint: str = ""
) -> Device:
    """Find a device among those that the engine lists.

    Call it in ``lexer_create_session``: the listed device has the ``identifier``
    that the runtime knows, which the device from the command line may lack.

    Parameters
    ----------
    devices
        What ``lexer_list_devices`` returns.
    device
        The requested device.
    runtime
        The runtime's name, for the error message.
    hint
        How to get more devices, for the error message.

    Raises
    ------
    DeviceUnavailableError
        The device is not listed; the hint names those that are.
    """
    usable = tuple(devices)
    for candidate in usable:
        if candidate == device:
            return candidate
    names = ", ".join(candidate.name for candidate in usable) or "none"
    raise DeviceUnavailableError(
        f"{runtime} has no device {device.name!r} on this machine.",
        hint=f"Available devices: {names}. {hint}".rstrip(),
    )


def has_precision(exported: ExportedModel, precision: str) -> bool:
    """Return whether an exported model has a precision: was converted to it, or has it anyway.

    A model has ``"float32"`` if all its floating-point inputs and outputs are float32, and
    there is one.
    """
    own = {spec.dtype for spec in (*exported.inputs, *exported.outputs) if "float" in spec.dtype}
    return precision == exported.precision or own == {precision}


def refuse_precision(
    config: SessionConfig, *, runtime: str, exported: ExportedModel | None = None
) -> None:
    """Refuse a precision, for an engine that computes in the model's own types.

    Parameters
    ----------
    config
        The session's configuration.
    runtime
        The runtime's name, for the error message.
    exported
        The model. A precision that it has is not refused (:func:`has_precision`). Without
        it, every precision is.

    Raises
    ------
    UnsupportedError
        ``config.precision`` is set.
    """
    if config.precision and (exported is None or not has_precision(exported, config.precision)):
        raise UnsupportedError(
            f"{runtime} computes in the model's own types and cannot use precision "
            f"{config.precision!r}.",
            hint="Convert the model, or leave out the precision.",
        )


def model_file(exported: ExportedModel, *, runtime: str) -> Path:
    """Return the file of an exported model.

    Raises
    ------
    UnsupportedError
        The export is a live object.
    """
    if exported.path is None:
        raise UnsupportedError(
            f"{runtime} loads files, and format {exported.format!r} is a live object."
        )
    return exported.path


def input_array(inputs: CallInputs, spec: TensorSpec) -> npt.NDArray[Any]:
    """Return the array for one input of the model, after comparing type and shape.

    Parameters
    ----------
    inputs
        What ``lexer_place_inputs`` gets.
    spec
        The input as the runtime sees it. A name in the shape matches any size;
        :data:`UNKNOWN_SHAPE` matches any shape.

    Raises
    ------
    InputError
        The input is missing, or its type or shape differs.
    """
    array = inputs.arrays.get(spec.name)
    if array is None:
        raise InputError(
            f"the model needs input {spec.name!r}, which is missing.",
            hint=f"Given: {', '.join(inputs.arrays) or 'none'}.",
        )
    if not _fits(array.shape, spec.shape) or array.dtype != numpy_dtype(spec.dtype):
        raise InputError(
            f"input {spec.name!r} is {array.dtype}{_listed(array.shape)}; "
            f"the model takes {spec.dtype}{_listed(spec.shape)}.",
            hint="Export with example inputs of that type and shape, "
            "or name the axis in dynamic_axes.",
        )
    return array


def program_specs(source: ModelSource) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the specifications of a traced model's inputs and outputs.

    For ``lexer_export_model``: what ``ExportedModel.inputs`` and ``outputs`` need.

    Parameters
    ----------
    source
        A model with a program.

    Returns
    -------
    tuple
        Inputs and outputs, in order. A dynamic axis of an input has the name in
        ``source.dynamic_axes``; a size of an output that depends on the inputs is a name.
    """
    arrays, axes = source.inputs.arrays, source.dynamic_axes
    inputs = tuple(
        TensorSpec(
            name=name,
            dtype=arrays[name].dtype.name,
            shape=tuple(
                axes.get(name, {}).get(axis, size) for axis, size in enumerate(arrays[name].shape)
            ),
        )
        for name in source.input_names
    )
    nodes = {node.name: node for node in source.program.graph.nodes}
    values = [nodes[name].meta["val"] for name in source.program.graph_signature.user_outputs]
    outputs = tuple(
        TensorSpec(
            name=name,
            dtype=str(value.dtype).removeprefix("torch."),
            shape=tuple(size if isinstance(size, int) else str(size) for size in value.shape),
        )
        for name, value in zip(source.output_names, values, strict=True)
    )
    return inputs, outputs


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the numpy type for a ``TensorSpec.dtype``, including those of ml_dtypes.

    Raises
    ------
    TypeError
        Neither numpy nor ml_dtypes has such a type.
    """
    import numpy as np  # here, so that importing this module is cheap

    if not name.startswith(("bfloat16", "float8_", "float6_", "float4_")):
        return np.dtype(name)
    import ml_dtypes  # rarely needed

    scalar = getattr(ml_dtypes, name, None)
    if scalar is None:
        raise TypeError(f"numpy and ml_dtypes have no element type {name!r}")
    dtype: np.dtype[Any] = np.dtype(scalar)
    return dtype


def count_placement(on_device: int, elsewhere: Mapping[str, Counter[str]]) -> Placement | None:
    """Return the placement of a session from the number of operators on each device.

    Parameters
    ----------
    on_device
        Operators on the requested device.
    elsewhere
        For each other device, by the name to show: its operators by kind.

    Returns
    -------
    Placement or None
        ``fallbacks`` has a line for each other device, such as
        ``"CPU: 3 nodes (2 Shape, 1 Gather)"``. ``None`` if there are no operators.
    """
    total = on_device + sum(operators.total() for operators in elsewhere.values())
    if not total:
        return None
    return Placement(
        share=on_device / total,
        method="nodes",
        fallbacks=tuple(
            f"{name}: {_counted(operators)}"
            for name, operators in sorted(elsewhere.items())
            if operators
        ),
    )


def first_line(text: str, *, longest: int = _LONGEST_LINE) -> str:
    """Return the first line of a text that is not blank, shortened; ``""`` if all are."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def headline(text: str, *, longest: int = _LONGEST_LINE) -> str:
    """Return the first line of a text, with the next one if the first ends with a colon."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        # The first item of the list that follows says what is wrong.
        return first_line(f"{lines[0]} {lines[1].removeprefix('- ')}", longest=longest)
    return first_line(text, longest=longest)


def error_summary(error: BaseException, *, longest: int = _LONGEST_LINE) -> str:
    """Return an exception's type and the :func:`headline` of its message."""
    line = headline(text_of(error), longest=longest)
    name = type(error).__name__
    return f"{name}: {line}" if line else name


def run_closed(placed: object) -> NoReturn:
    """Replace ``session.run`` after ``close()``.

    Raises
    ------
    EngineError
        Always.
    """
    del placed
    raise EngineError("the session is closed.", hint="Create a new session.")


def _fits(shape: Sequence[int], expected: Sequence[int | str]) -> bool:
    if tuple(expected) == UNKNOWN_SHAPE:
        return True
    return len(shape) == len(expected) and all(
        isinstance(dim, str) or dim == size for size, dim in zip(shape, expected, strict=True)
    )


def _listed(shape: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _counted(operators: Counter[str]) -> str:
    common = operators.most_common(_NAMED_OPERATORS)
    named = ", ".join(f"{count} {kind}" for kind, count in common)
    more = ", …" if len(operators) > _NAMED_OPERATORS else ""
    nodes = "node" if operators.total() == 1 else "nodes"
    return f"{operators.total()} {nodes} ({named}{more})"
