from lexer_core.engine_helpers import find_device, model_file, refuse_precision
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, EngineInfo


class ReferenceSession:
    def __init__(self, evaluator):
        self.evaluator = evaluator

    def run(self, placed):
        return dict(zip(self.evaluator.output_names, self.evaluator.run(None, placed), strict=True))

    def close(self):
        self.evaluator = None


@hookimpl
def lexer_engine_info():
    pkg = ("onnx",)
    return EngineInfo(
        display_name="ONNX reference", runtime_modules=pkg, runtime_distributions=pkg, formats=pkg
    )


@hookimpl
def lexer_create_session(exported, device, config):
    name = "the reference evaluator"
    find_device([CPU], device, runtime=name)
    refuse_precision(config, runtime=name, exported=exported)
    from onnx.reference import ReferenceEvaluator  # the runtime: imported when it is used

    return ReferenceSession(ReferenceEvaluator(str(model_file(exported, runtime=name))))


@hookimpl
def lexer_fetch_outputs(outputs):
    return {name: array.copy() for name, array in outputs.items()}
