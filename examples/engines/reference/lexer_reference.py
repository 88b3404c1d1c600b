from lexer_core.errors import DeviceUnavailableError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo


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
    if device.kind != "cpu":
        raise DeviceUnavailableError(f"the reference evaluator has no device {device}")
    if config.precision:
        raise UnsupportedError("the reference evaluator computes in the model's own types")
    from onnx.reference import ReferenceEvaluator  # the runtime: imported when it is used

    return ReferenceSession(ReferenceEvaluator(str(exported.path)))


@hookimpl
def lexer_fetch_outputs(outputs):
    return {name: array.copy() for name, array in outputs.items()}
