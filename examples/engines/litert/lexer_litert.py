"""How does a model run with LiteRT, which has one slot for the inputs of a call?"""

from lexer_core.engine_helpers import (
    find_device,
    input_array,
    model_file,
    program_specs,
    refuse_precision,
)
from lexer_core.errors import ExportError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, EngineInfo, ExportedModel
from lexer_core.testing.declarations import EngineUnderTest


class Declarations(EngineUnderTest):
    engine_name = "litert"
    cannot = {  # noqa: RUF012
        "float64": "a float64 model loses the digits that float32 lacks",
        "dynamic_batch": "the interpreter reserves its memory for one shape",
        "control_flow": "litert-torch converts no branches",
    }


class LiteRTSession:
    def __init__(self, interpreter, specs, output_names):
        self.interpreter, self.specs, self.output_names = interpreter, specs, output_names
        runner = interpreter.get_signature_runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self.inputs = [inputs[f"args_{number}"]["index"] for number in range(len(specs))]
        self.outputs = [outputs[f"output_{number}"]["index"] for number in range(len(output_names))]

    def run(self, placed):
        for index, array in zip(self.inputs, placed, strict=True):
            self.interpreter.set_tensor(index, array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]

    def close(self):
        self.interpreter = None


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="LiteRT",
        runtime_modules=("ai_edge_litert",),
        runtime_distributions=("ai-edge-litert",),
        formats=("tflite",),
        declarations="lexer_litert:Declarations",
    )


@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "tflite" or source.module is None:
        return None
    if source.program is None:
        raise ExportError("torch.export cannot trace the model.")
    if source.dynamic_axes:
        raise UnsupportedError("LiteRT runs models with fixed shapes only.")
    if len(list(source.program.graph_module.modules())) > 1:
        raise UnsupportedError("litert-torch converts no branches: the program has subgraphs.")
    inputs, outputs = program_specs(source)
    for spec in (*inputs, *outputs):
        if spec.dtype in ("bfloat16", "float64"):
            raise UnsupportedError(f"LiteRT does not keep the digits of {spec.dtype}: {spec}.")
    import litert_torch
    import torch

    program = source.program.module(check_guards=False)
    tensors = [torch.from_numpy(source.inputs.arrays[name].copy()) for name in source.input_names]
    path = workdir / "model.tflite"
    litert_torch.convert(program, tuple(tensors), enable_x64=True).export(str(path))
    return ExportedModel(
        format="tflite",
        path=path,
        inputs=inputs,
        outputs=outputs,
        size_bytes=path.stat().st_size,
        exporter=f"litert-torch {litert_torch.__version__}",
    )


@hookimpl
def lexer_create_session(exported, device, config):
    find_device([CPU], device, runtime="LiteRT")
    refuse_precision(config, runtime="LiteRT", exported=exported)
    from ai_edge_litert.interpreter import Interpreter

    path = model_file(exported, runtime="LiteRT")
    interpreter = Interpreter(str(path), num_threads=config.threads)
    interpreter.allocate_tensors()
    return LiteRTSession(interpreter, exported.inputs, [spec.name for spec in exported.outputs])


@hookimpl
def lexer_place_inputs(session, inputs):
    return [input_array(inputs, spec) for spec in session.specs]


@hookimpl
def lexer_fetch_outputs(session, outputs):
    import numpy as np

    arrays = [np.asarray(output) for output in outputs]  # a tensor without axes is a scalar
    return dict(zip(session.output_names, arrays, strict=True))
