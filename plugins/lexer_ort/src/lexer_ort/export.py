"""How is a PyTorch model exported to an ``.onnx`` file?

With ``torch.onnx.export``, as a flattened model with input and output tensors. The
exporter gives its own names to all other tensors of the graph, and does not check
that they differ from those of the inputs and outputs. These are therefore exported
under names that nothing else has, and renamed afterwards. Finally, the inputs and
outputs of the file are compared with the requested ones.
"""

from __future__ import annotations

import contextlib
import copy
import re
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.errors import ExportError, LexerError, SettingError
from lexer_core.export.trace_errors import TraceFailure
from lexer_core.records import ExportedModel, ModelSource, OptionValue
from lexer_ort.graph_names import ExportNames
from lexer_ort.onnx_specs import OnnxFile, check_file, read_file
from lexer_ort.quiet import quiet
from lexer_ort.reasons import export_failure, own_error
from lexer_ort.versions import without_draft_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import torch

__all__ = ["export_with_torch"]

_EXPORTERS = ("dynamo", "torchscript")
_OPTIONS = ("exporter", "opset", "checks")

_LARGEST_SINGLE_FILE = 1536 * 1024 * 1024
"""Bytes of weights in one file. A protobuf message is limited to 2 GiB, including
the graph; torch's own exporter uses the same limit."""

_DATA_SUFFIX = ".data"


def export_with_torch(
    source: ModelSource,
    workdir: Path,
    options: Mapping[str, OptionValue],
    *,
    largest_single_file: int = _LARGEST_SINGLE_FILE,
) -> ExportedModel | None:
    """Export a model to an ``.onnx`` file, named after the model.

    Parameters
    ----------
    source
        A module, a program, or both. A program with the requested dynamic axes
        is used directly, because tracing is the slow part.
    workdir
        An empty folder.
    options
        ``exporter``, ``opset`` and ``checks``; see ``lexer_export_model``.
    largest_single_file
        More bytes of weights are stored in a separate file with suffix ``.data``.

    Returns
    -------
    ExportedModel or None
        ``None`` if torch is not installed.

    Raises
    ------
    ExportError
        The model cannot be exported to ONNX; the first line is the cause.
    SettingError
        An option is unknown, or its value is not valid.
    """
    exporter, opset, checks = _read_options(options)
    if find_spec("torch") is None:
        return None
    from lexer_core.model.state import contains_torchscript  # imports torch

    is_scripted = source.module is not None and contains_torchscript(source.module)
    notes: tuple[str, ...] = ()
    if is_scripted and exporter == "dynamo":
        exporter = "torchscript"
        notes = ("exported with exporter=torchscript, the only one for TorchScript",)
    if exporter == "dynamo" and find_spec("onnxscript") is None:
        raise ExportError(
            f"{source.model_name} cannot be exported to ONNX: onnxscript is not installed.",
            hint="Install it: pip install onnxscript",
        )
    import torch  # not needed for an .onnx file

    path = workdir / _file_name(source.model_name)
    names = ExportNames.of(source)
    with quiet() as captured:
        try:
            with torch.no_grad():
                if exporter == "dynamo":
                    _export_with_dynamo(source, names, path, opset, largest_single_file)
                else:
                    _export_with_torchscript(source, names, path, opset)
        except LexerError:
            raise
        except Exception as error:
            own = own_error(error)
            if own is not None:
                raise own from error
            failure = _explained(error, captured.text, source, names)
            raise ExportError(
                f"{_version_of(exporter)} cannot export {source.model_name} to ONNX: "
                f"{failure.reason}",
                hint=_next_step(source, exporter, opset, failure),
            ) from error
    names.restore(path)
    if exporter == "torchscript":
        _gather_external_data(path, largest_single_file)
    file = read_file(path)
    if checks:
        check_file(path)
    notes += _compare(source, file, exporter, opset)
    notes += _check_inputs(source, file, exporter, opset)
    traced = captured.first_warning("TracerWarning")
    if traced:
        notes += (f"warning of the exporter: {traced}",)
    return ExportedModel(
        format="onnx",
        path=path,
        inputs=file.inputs,
        outputs=file.outputs,
        size_bytes=file.size_bytes,
        exporter=_version_of(exporter),
        notes=notes,
    )


def _file_name(model_name: str) -> str:
    # External data keeps its name when the user renames the model, so the name
    # should say which model it belongs to.
    return f"{re.sub(r'[^0-9A-Za-z_-]+', '_', model_name).strip('_')[:64] or 'model'}.onnx"


def _read_options(options: Mapping[str, OptionValue]) -> tuple[str, int | None, bool]:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise SettingError(
            f"the ONNX export has no option {unknown[0]!r}.",
            hint=f"Its options are: {', '.join(_OPTIONS)}.",
        )
    exporter = options.get("exporter", "dynamo")
    if exporter not in _EXPORTERS:
        raise SettingError(
            f"exporter={exporter!r} is not valid.", hint=f"Use one of: {', '.join(_EXPORTERS)}."
        )
    opset = options.get("opset")
    if opset is not None and (isinstance(opset, bool) or not isinstance(opset, int) or opset < 1):
        raise SettingError(f"opset={opset!r} is not a valid opset version.")
    return str(exporter), opset, bool(options.get("checks", True))


def _export_with_dynamo(
    source: ModelSource,
    names: ExportNames,
    path: Path,
    opset: int | None,
    largest_single_file: int,
) -> None:
    exported = _dynamo_program(source, names, opset)
    weights = sum(
        value.const_value.nbytes
        for value in exported.model.graph.initializers.values()
        if value.const_value is not None
    )
    # External data gets the file's name with the suffix ".data".
    exported.save(str(path), external_data=weights > largest_single_file)


def _dynamo_program(source: ModelSource, names: ExportNames, opset: int | None) -> Any:
    """Return the ``torch.onnx.ONNXProgram``, which has the model in memory."""
    import torch  # see export_with_torch

    named_axes = _named_axes(names)
    arguments: dict[str, Any] = {
        "input_names": list(names.inputs),
        "output_names": list(names.outputs),
        "opset_version": opset,
        "dynamo": True,
        "verbose": False,
    }
    if named_axes is not None:
        arguments["dynamic_shapes"] = named_axes
    with without_draft_export():
        if _program_fits(source):
            exported = torch.onnx.export(source.program, (), **arguments)
        else:
            flat, tensors = _flattened(source)
            exported = torch.onnx.export(flat, tensors, **arguments)
    assert exported is not None  # the exporter returns None only without dynamo
    return exported


def _export_with_torchscript(
    source: ModelSource, names: ExportNames, path: Path, opset: int | None
) -> None:
    import torch  # see export_with_torch

    from lexer_core.model.state import contains_torchscript, measured_state  # imports torch

    flat, tensors = _flattened(source)
    if contains_torchscript(flat):
        # The exporter's own trace fails on scripted submodules, and torch.jit.trace on
        # frozen ones, but not on their copies.
        flat = copy.deepcopy(flat)
        with measured_state(flat):  # a trace calls the module, which may write to its buffers
            flat = torch.jit.trace(flat, tensors, check_trace=False)  # type: ignore[no-untyped-call]
    with _native_log_to(print):
        torch.onnx.export(
            flat,
            tensors,
            str(path),
            input_names=list(names.inputs),
            output_names=list(names.outputs),
            dynamic_axes={name: dict(axes) for name, axes in names.dynamic_axes.items()} or None,
            opset_version=opset,
            dynamo=False,
        )


@contextlib.contextmanager
def _native_log_to(log: Callable[..., None]) -> Iterator[None]:
    """Redirect the exporter's native log, which goes to standard output otherwise.

    When the exporter fails, it writes the whole graph there, regardless of
    ``verbose``.
    """
    import torch  # see export_with_torch

    native = getattr(torch._C, "_jit_onnx_log", None)
    if native is None:
        yield
        return
    torch._C._jit_onnx_log = log
    try:
        yield
    finally:
        torch._C._jit_onnx_log = native


def _flattened(source: ModelSource) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """Return the module as tensors in, tuple of tensors out, and its example inputs."""
    # These import torch, which is installed if this function is called.
    from lexer_core.model.tensors import to_torch
    from lexer_core.model.wrapper import flattening_module

    if source.module is None:
        raise ExportError(
            f"{source.model_name} is a torch.export program, and this export has to trace its "
            "module again.",
            hint="Pass the module, or export with exporter=dynamo and without dynamic axes.",
        )
    flat = flattening_module(
        source.module, source.inputs.structure, source.input_names, source.output_names
    )
    first = next(chain(source.module.parameters(), source.module.buffers()), None)
    device = first.device if first is not None else None
    tensors = tuple(to_torch(source.inputs.arrays[name], device) for name in source.input_names)
    return flat, tensors


def _program_fits(source: ModelSource) -> bool:
    """Whether there is a program with exactly the requested dynamic axes.

    A program without its module is always used.
    """
    if source.program is None or source.module is None:
        return source.program is not None
    shapes = {
        node.name: node.meta["val"].shape
        for node in source.program.graph.nodes
        if node.op == "placeholder" and hasattr(node.meta.get("val"), "shape")
    }
    inputs = [name for name in source.program.graph_signature.user_inputs if name in shapes]
    if len(inputs) != len(source.input_names):
        return False
    return all(
        {axis for axis, dim in enumerate(shapes[placeholder]) if not isinstance(dim, int)}
        == set(source.dynamic_axes.get(name, {}))
        for name, placeholder in zip(source.input_names, inputs, strict=True)
    )


def _named_axes(names: ExportNames) -> Any:
    """Dynamic shapes for ``torch.onnx.export``, of ``forward(*tensors)``."""
    if not any(names.dynamic_axes.values()):
        return None
    return (tuple(dict(names.dynamic_axes.get(name, {})) for name in names.inputs),)


def _gather_external_data(path: Path, largest_single_file: int) -> None:
    """Move weights that are too large for the ``.onnx`` file to one other file.

    The torchscript exporter writes a file for each tensor.
    """
    import onnx  # here, because this module is imported without it to read options

    scattered = read_file(path).external
    if not scattered and path.stat().st_size <= largest_single_file:
        return
    model = onnx.load(str(path))
    for file in scattered:
        file.unlink()
    path.unlink()
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=path.name + _DATA_SUFFIX,
    )


def _compare(
    source: ModelSource, file: OnnxFile, exporter: str, opset: int | None
) -> tuple[str, ...]:
    """Check that the file has the requested inputs and outputs; return notes."""
    inputs = tuple(spec.name for spec in file.inputs)
    outputs = tuple(spec.name for spec in file.outputs)
    if outputs != source.output_names:
        raise ExportError(
            f"the exported {source.model_name} has outputs {', '.join(outputs)} instead of "
            f"{', '.join(source.output_names)}.",
            hint=_next_step(source, exporter, opset, _CHANGED_BY_EXPORTER),
        )
    unknown = [name for name in inputs if name not in source.input_names]
    if unknown:
        raise ExportError(
            f"the exported {source.model_name} has an extra input {unknown[0]!r}.",
            hint=_next_step(source, exporter, opset, _CHANGED_BY_EXPORTER),
        )
    for spec in file.inputs:
        for axis, name in source.dynamic_axes.get(spec.name, {}).items():
            if isinstance(spec.shape[axis], int):
                raise ExportError(
                    f"axis {axis} ({name!r}) of input {spec.name!r} cannot be dynamic: the code "
                    f"of {source.model_name} fixes its size to {spec.shape[axis]}.",
                    hint="Remove that axis from dynamic_axes, or use the input's shape instead of "
                    "a constant in the model.",
                )
    if opset is not None and file.opset != opset:
        return (f"the exporter used opset {file.opset} instead of {opset}",)
    return ()


def _check_inputs(
    source: ModelSource, file: OnnxFile, exporter: str, opset: int | None
) -> tuple[str, ...]:
    """Check that no output was computed from the example inputs and stored; return notes.

    Python and numpy code in ``forward`` runs while the model is traced, and its results
    are constants of the graph.
    """
    unused = [name for name in source.input_names if name not in file.used_inputs]
    if not unused:
        return ()
    # These import torch, which is installed if this function is called.
    from lexer_core.model.second_inputs import depends_on
    from lexer_core.model.state import eager_module

    # A program has its own graph, which is the model.
    frozen = source.module is not None and depends_on(
        eager_module(source.module), source.inputs, unused
    )
    if frozen:
        names = ", ".join(map(repr, unused))
        which = f"input{'s' if len(unused) > 1 else ''} {names}"
        raise ExportError(
            f"the exported {source.model_name} does not depend on "
            f"{'its inputs' if set(unused) == set(source.input_names) else which}: values that "
            "the model computes from the inputs are constants in it.",
            hint=_next_step(source, exporter, opset, _FROZEN)
            + "\nThe engine torch measures the model without an export.",
        )
    graph = {spec.name for spec in file.inputs}
    return tuple(
        f"the model does not use input {name!r}"
        + ("" if name in graph else ", which is not part of the graph")
        for name in unused
    )


_FROZEN = TraceFailure(
    reason="it stores values that the model computes from the inputs",
    fix="Use torch functions in forward: numpy code and Python numbers are not traced.",
    needs_change=True,
)
_CHANGED_BY_EXPORTER = TraceFailure(
    reason="it changes the inputs or outputs",
    fix="Return only tensors that the model computes from its inputs.",
)


def _version_of(exporter: str) -> str:
    import torch  # see export_with_torch

    return f"torch.onnx ({exporter}) {torch.__version__}"


def _next_step(source: ModelSource, exporter: str, opset: int | None, failure: TraceFailure) -> str:
    """Return what to try next: an exporter that was not tried, or a change of the model."""
    from lexer_core.model.state import contains_torchscript  # imports torch

    if source.module is not None and contains_torchscript(source.module):
        return "Benchmark the original module: it can be exported with exporter=dynamo, too."
    if exporter == "dynamo":
        if source.module is None or failure.needs_change:
            return failure.fix
        effect = (
            ": it exports what the model does for the example inputs." if failure.branches else "."
        )
        return f"Try exporter=torchscript (--exporter torchscript){effect}"
    # The other exporter is the default, and usually the reason for choosing this one.
    other = _why_dynamo_fails(source, opset)
    if other is None:
        return "Use exporter=dynamo, the default: it traces this model."
    return f"The dynamo exporter cannot export it either: {other.reason.rstrip('.')}.\n{other.fix}"


def _why_dynamo_fails(source: ModelSource, opset: int | None) -> TraceFailure | None:
    """Try the dynamo exporter; return ``None`` if it succeeds."""
    import torch  # see export_with_torch

    if find_spec("onnxscript") is None:
        return TraceFailure(reason="onnxscript is not installed", fix="pip install onnxscript")
    names = ExportNames.of(source)
    with quiet() as captured:
        try:
            with torch.no_grad():
                _dynamo_program(source, names, opset)
        except Exception as error:  # it wraps any exception of the model
            return _explained(error, captured.text, source, names)
    return None


def _explained(
    error: Exception, printed: str, source: ModelSource, names: ExportNames
) -> TraceFailure:
    """Return the cause of a failed export, in the user's names."""
    failure = export_failure(error, printed, source.input_names)
    return attrs.evolve(failure, reason=names.in_text(failure.reason))
