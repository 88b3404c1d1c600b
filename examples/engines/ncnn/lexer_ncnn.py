"""How does a model run with ncnn, which has its own format and its own converter?"""

import re
import subprocess
from math import prod

from lexer_core.engine_helpers import (
    find_device,
    input_array,
    model_file,
    program_specs,
    refuse_precision,
)
from lexer_core.errors import EngineError, ExportError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, EngineInfo, ExportedModel
from lexer_core.testing.declarations import EngineUnderTest

NO_BATCH = 233  # ncnn's and pnnx's number for "no axis is the batch"


class Declarations(EngineUnderTest):
    engine_name = "ncnn"
    cannot = {  # noqa: RUF012
        **dict.fromkeys(
            ("float16", "float64", "int32", "int64", "indices", "uint8", "bool"),
            "ncnn computes in float32",
        ),
        **dict.fromkeys(("scalar", "zero_size"), "a Mat has elements and at least one axis"),
        "dynamic_batch": "pnnx converts a TorchScript trace, whose shapes are fixed",
        "control_flow": "a TorchScript trace has no branches",
    }


class NcnnSession:
    def __init__(self, net, inputs, outputs):
        self.net, self.inputs, self.outputs = net, inputs, outputs

    def run(self, placed):
        extractor = self.net.create_extractor()
        for blob, mat in placed:
            extractor.input(blob, mat)
        return [extractor.extract(f"out{number}") for number in range(len(self.outputs))]

    def close(self):
        self.net = None


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="ncnn",
        runtime_modules=("ncnn",),
        runtime_distributions=("ncnn",),
        formats=("ncnn",),
        declarations="lexer_ncnn:Declarations",
    )


@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "ncnn" or source.module is None:
        return None
    if source.program is None:
        raise ExportError("torch.export cannot trace the model.")
    if source.dynamic_axes:
        raise UnsupportedError("pnnx converts models with fixed shapes only.")
    if len(list(source.program.graph_module.modules())) > 1:
        raise UnsupportedError("pnnx converts no branches: the program has subgraphs.")
    inputs, outputs = program_specs(source)
    for spec in (*inputs, *outputs):
        if spec.dtype != "float32" or not spec.shape or not prod(spec.shape):
            raise UnsupportedError(f"ncnn computes float32 tensors with elements, not {spec}.")
    import pnnx
    import torch

    program = source.program.module(check_guards=False)
    tensors = [torch.from_numpy(source.inputs.arrays[name].copy()) for name in source.input_names]
    torch.jit.trace(program, tuple(tensors), check_trace=False).save(workdir / "model.pt")
    shapes = ",".join(f"[{','.join(map(str, spec.shape))}]f32" for spec in inputs)
    done = subprocess.run(  # noqa: S603
        [pnnx.EXEC_PATH, "model.pt", f"inputshape={shapes}", "fp16=0"],
        cwd=workdir,
        capture_output=True,
        text=True,
        check=False,
    )
    path, weights = workdir / "model.ncnn.param", workdir / "model.ncnn.bin"
    if done.returncode or not path.is_file():
        raise ExportError(f"pnnx failed with exit status {done.returncode}:\n{done.stderr}")
    return ExportedModel(
        format="ncnn",
        path=path,
        inputs=inputs,
        outputs=outputs,
        size_bytes=path.stat().st_size + weights.stat().st_size,
        exporter=f"pnnx {pnnx.__version__}",
    )


@hookimpl
def lexer_create_session(exported, device, config):
    find_device([CPU], device, runtime="ncnn")
    refuse_precision(config, runtime="ncnn", exported=exported)
    import ncnn

    path = model_file(exported, runtime="ncnn")
    net = ncnn.Net()
    net.opt.num_threads = config.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise UnsupportedError("ncnn cannot load the model: a layer or a file is not valid.")
    # The script that pnnx writes for the model says which axis of a tensor is the batch.
    script = path.with_name("model_ncnn.py").read_text("utf-8")
    batch = {blob: int(axis) for blob, axis in re.findall(r"(\w+)\.numpy\(.*?=(\d+)\)", script)}
    # An input that the model returns unchanged has the name of the output.
    blobs = dict(re.findall(r"^Input +in(\d+) .* (\S+)", path.read_text("utf-8"), re.MULTILINE))
    inputs = [
        (blob, exported.inputs[int(number)], batch.get(f"in{number}", NO_BATCH))
        for number, blob in blobs.items()
    ]
    outputs = [
        (spec, batch.get(f"out{number}", NO_BATCH)) for number, spec in enumerate(exported.outputs)
    ]
    return NcnnSession(net, inputs, outputs)


@hookimpl
def lexer_place_inputs(session, inputs):
    import numpy as np
    from ncnn import Mat

    placed = []
    for blob, spec, axis in session.inputs:
        array = np.ascontiguousarray(input_array(inputs, spec))  # a Mat does not keep it alive
        placed.append((blob, Mat(array, batch_index=axis).clone()))
    return placed


@hookimpl
def lexer_fetch_outputs(session, outputs):
    arrays = {}
    for (status, mat), (spec, axis) in zip(outputs, session.outputs, strict=True):
        if status:
            raise EngineError(f"ncnn cannot compute output {spec.name!r} (status {status}).")
        arrays[spec.name] = mat.numpy(batch_index=axis).copy()
    return arrays
