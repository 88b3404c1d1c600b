"""How does a PyTorch model become an ``.onnx`` file?

Through ``torch.onnx.export``, of the flattened model: named tensors in, named
tensors out. The file is read back, and what it takes and gives is compared
with what was asked for.
"""

from __future__ import annotations

import contextlib
import re
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from lexer_core.errors import ExportError, LexerError, SettingError
from lexer_core.records import ExportedModel, ModelSource, OptionValue
from lexer_ort.onnx_specs import OnnxFile, check_file, read_file
from lexer_ort.quiet import quiet
from lexer_ort.reasons import export_reason, own_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import torch

__all__ = ["export_with_torch"]

_EXPORTERS = ("dynamo", "torchscript")
_OPTIONS = ("exporter", "opset", "checks")

_LARGEST_SINGLE_FILE = 1536 * 1024 * 1024
"""Bytes of weights in one file. A protobuf message ends at 2 GiB, the graph is
part of it, and torch's own exporter draws the line here as well."""

_DATA_SUFFIX = ".data"


def export_with_torch(
    source: ModelSource,
    workdir: Path,
    options: Mapping[str, OptionValue],
    *,
    largest_single_file: int = _LARGEST_SINGLE_FILE,
) -> ExportedModel | None:
    """Write an ``.onnx`` file, named after the model, to a folder.

    Parameters
    ----------
    source
        A module, a program, or both. A program that is traced with the axes
        asked for is used as it is; tracing is the slow part.
    workdir
        An empty folder.
    options
        ``exporter``, ``opset`` and ``checks``; see ``lexer_export_model``.
    largest_single_file
        Weights of more bytes go to a file beside it, of its name and ``.data``.

    Returns
    -------
    ExportedModel or None
        ``None`` where torch is not installed.

    Raises
    ------
    ExportError
        The model cannot be turned into ONNX; the first line is the cause.
    SettingError
        An option is unknown or has a value that it cannot have.
    """
    exporter, opset, checks = _read_options(options)
    if find_spec("torch") is None:
        return None
    if exporter == "dynamo" and find_spec("onnxscript") is None:
        raise ExportError(
            f"{source.model_name} cannot be exported to ONNX: onnxscript is not installed.",
            hint="Install it: pip install onnxscript",
        )
    import torch  # only here: an .onnx file needs none

    path = workdir / _file_name(source.model_name)
    with quiet() as said:
        try:
            with torch.no_grad():
                if exporter == "dynamo":
                    _export_with_dynamo(source, path, opset, largest_single_file)
                else:
                    _export_with_torchscript(source, path, opset)
        except LexerError:
            raise
        except Exception as error:
            own = own_error(error)
            if own is not None:
                raise own from error
            reason = export_reason(error, said.text)
            raise ExportError(
                f"{source.model_name} cannot be exported to ONNX by the {exporter} exporter: "
                f"{reason}",
                hint=_hint(source, exporter),
            ) from error
    if exporter == "torchscript":
        _gather_external_data(path, largest_single_file)
    file = read_file(path)
    if checks:
        check_file(path)
    notes = _compare(source, file, exporter, opset)
    traced = said.first_warning("TracerWarning")
    if traced:
        notes += (f"the exporter warned: {traced}",)
    return ExportedModel(
        format="onnx",
        path=path,
        inputs=file.inputs,
        outputs=file.outputs,
        size_bytes=file.size_bytes,
        exporter=f"torch.onnx ({exporter}) {torch.__version__}",
        notes=notes,
    )


def _file_name(model_name: str) -> str:
    # External data is found by its name, which should still say whose it is
    # when the file is given another one.
    return f"{re.sub(r'[^0-9A-Za-z_-]+', '_', model_name).strip('_')[:64] or 'model'}.onnx"


def _read_options(options: Mapping[str, OptionValue]) -> tuple[str, int | None, bool]:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise SettingError(
            f"the export to ONNX has no option {unknown[0]!r}.",
            hint=f"Its options are: {', '.join(_OPTIONS)}.",
        )
    exporter = options.get("exporter", "dynamo")
    if exporter not in _EXPORTERS:
        raise SettingError(
            f"exporter={exporter!r} is unknown.", hint=f"Choose one of: {', '.join(_EXPORTERS)}."
        )
    opset = options.get("opset")
    if opset is not None and (isinstance(opset, bool) or not isinstance(opset, int) or opset < 1):
        raise SettingError(f"opset={opset!r} is not a version of ONNX's operators.")
    return str(exporter), opset, bool(options.get("checks", True))


def _export_with_dynamo(
    source: ModelSource, path: Path, opset: int | None, largest_single_file: int
) -> None:
    import torch  # see export_with_torch

    named_axes = _named_axes(source)
    arguments: dict[str, Any] = {
        "input_names": list(source.input_names),
        "output_names": list(source.output_names),
        "opset_version": opset,
        "dynamo": True,
        "verbose": False,
    }
    if named_axes is not None:
        arguments["dynamic_shapes"] = named_axes
    if _program_fits(source):
        made = torch.onnx.export(source.program, (), **arguments)
    else:
        flat, tensors = _flattened(source)
        made = torch.onnx.export(flat, tensors, **arguments)
    assert made is not None  # the exporter returns None only without dynamo
    weights = sum(
        value.const_value.nbytes
        for value in made.model.graph.initializers.values()
        if value.const_value is not None
    )
    if weights > largest_single_file:
        # The data lies beside the file under its name and ".data".
        made.save(str(path), external_data=True)
    else:
        made.save(str(path), external_data=False)


def _export_with_torchscript(source: ModelSource, path: Path, opset: int | None) -> None:
    import torch  # see export_with_torch

    flat, tensors = _flattened(source)
    with _native_log_to(print):
        torch.onnx.export(
            flat,
            tensors,
            str(path),
            input_names=list(source.input_names),
            output_names=list(source.output_names),
            dynamic_axes={name: dict(axes) for name, axes in source.dynamic_axes.items()} or None,
            opset_version=opset,
            dynamo=False,
        )


@contextlib.contextmanager
def _native_log_to(log: Callable[..., None]) -> Iterator[None]:
    """Keep the exporter's native log from standard output, where it cannot be redirected.

    When it fails, the exporter writes the whole graph there, whatever its
    ``verbose`` is.
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
    """The module as tensors in, tuple of tensors out, and its example inputs."""
    # They import torch, and this one is only reached where it is installed.
    from lexer_core.model.tensors import to_torch
    from lexer_core.model.wrapper import flattening_module

    if source.module is None:
        raise ExportError(
            f"{source.model_name} is a torch.export program, and this export has to trace it "
            "again: that needs the module.",
            hint="Give the module, or export with exporter=dynamo and without dynamic axes.",
        )
    flat = flattening_module(
        source.module, source.inputs.structure, source.input_names, source.output_names
    )
    first = next(chain(source.module.parameters(), source.module.buffers()), None)
    device = first.device if first is not None else None
    tensors = tuple(to_torch(source.inputs.arrays[name], device) for name in source.input_names)
    return flat, tensors


def _program_fits(source: ModelSource) -> bool:
    """Whether the program is there, with exactly the dynamic axes asked for.

    Without its module it is used as it is.
    """
    if source.program is None or source.module is None:
        return source.program is not None
    shapes = {
        node.name: node.meta["val"].shape
        for node in source.program.graph.nodes
        if node.op == "placeholder" and hasattr(node.meta.get("val"), "shape")
    }
    taken = [name for name in source.program.graph_signature.user_inputs if name in shapes]
    if len(taken) != len(source.input_names):
        return False
    return all(
        {axis for axis, dim in enumerate(shapes[placeholder]) if not isinstance(dim, int)}
        == set(source.dynamic_axes.get(name, {}))
        for name, placeholder in zip(source.input_names, taken, strict=True)
    )


def _named_axes(source: ModelSource) -> Any:
    """Dynamic shapes as ``torch.onnx.export`` takes them: for ``forward(*tensors)``."""
    if not any(source.dynamic_axes.values()):
        return None
    return (tuple(dict(source.dynamic_axes.get(name, {})) for name in source.input_names),)


def _gather_external_data(path: Path, largest_single_file: int) -> None:
    """Put weights that are too many for one file into one other file.

    The torchscript exporter writes a file for each of them.
    """
    import onnx  # only here: the module itself is imported to read options

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
    """Check that the file is what was asked for; what is worth knowing is returned."""
    inputs = tuple(spec.name for spec in file.inputs)
    outputs = tuple(spec.name for spec in file.outputs)
    if outputs != source.output_names:
        raise ExportError(
            f"the exported {source.model_name} has outputs {', '.join(outputs)}; "
            f"wanted: {', '.join(source.output_names)}.",
            hint=_hint(source, exporter),
        )
    unknown = [name for name in inputs if name not in source.input_names]
    if unknown:
        raise ExportError(
            f"the exported {source.model_name} has an input {unknown[0]!r} that the model has not.",
            hint=_hint(source, exporter),
        )
    for spec in file.inputs:
        for axis, name in source.dynamic_axes.get(spec.name, {}).items():
            if isinstance(spec.shape[axis], int):
                raise ExportError(
                    f"axis {axis} ({name!r}) of input {spec.name!r} cannot be dynamic: the code "
                    f"of {source.model_name} fixes it at {spec.shape[axis]}.",
                    hint="Take that axis out of dynamic_axes, or compute with the input's shape "
                    "in place of a constant.",
                )
    notes = [
        f"input {name!r} is not used by the model and not part of the graph"
        for name in source.input_names
        if name not in inputs
    ]
    if opset is not None and file.opset != opset:
        notes.append(f"opset {opset} was asked for; the exporter kept {file.opset}")
    return tuple(notes)


def _hint(source: ModelSource, exporter: str) -> str:
    other = _EXPORTERS[1 - _EXPORTERS.index(exporter)]
    hint = f"Try the other exporter: exporter={other}."
    if any(source.dynamic_axes.values()):
        hint += "\nOr leave out dynamic_axes: static shapes are easier to export."
    return hint
