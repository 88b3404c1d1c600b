from lexer_core.engine_helpers import find_device, input_array, model_file, refuse_precision
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, EngineInfo


class TractSession:
    def __init__(self, runnable, specs, output_names):
        self.runnable, self.specs, self.output_names = runnable, specs, output_names

    def run(self, placed):
        return self.runnable.run(placed)

    def close(self):
        self.runnable = None


@hookimpl
def lexer_engine_info():
    pkg = ("tract",)
    return EngineInfo(
        display_name="tract", runtime_modules=pkg, runtime_distributions=pkg, formats=("onnx",)
    )


@hookimpl
def lexer_create_session(exported, device, config):
    find_device([CPU], device, runtime="tract")
    refuse_precision(config, runtime="tract", exported=exported)
    import tract  # the runtime: imported when it is used

    model = tract.onnx().load(model_file(exported, runtime="tract"))
    specs = {spec.name: spec for spec in exported.inputs}
    inputs = [specs[model.input_name(number)] for number in range(model.input_count())]
    output_names = [spec.name for spec in exported.outputs]
    return TractSession(model.into_model().into_runnable(), inputs, output_names)


@hookimpl
def lexer_place_inputs(session, inputs):
    from tract import Tensor

    return [Tensor.from_numpy(input_array(inputs, spec)) for spec in session.specs]


@hookimpl
def lexer_fetch_outputs(session, outputs):
    arrays = [output.to_numpy() for output in outputs]
    return dict(zip(session.output_names, arrays, strict=True))
