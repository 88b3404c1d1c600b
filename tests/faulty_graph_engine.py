"""Engines that compute one node of an ``.onnx`` file wrongly, wherever they are told to.

They are ONNXRuntime or OpenVINO on a copy of the file in which the weight of that node is
half as large again, or its result if it has no weight. The option ``fault`` says which one:
``MODULE OPERATOR NUMBER``, such as ``blocks.1.norm LayerNormalization 1``. ``!`` in front of it
and the name of a tensor at its end mean that the fault is in a fused kernel, which is not used
if that tensor is an output. ``RAISE`` or ``INTERRUPT`` at its end is what happens when a copy of
the file with further outputs is loaded.
"""

from __future__ import annotations

__all__ = ["faulty_engine"]

_SOURCE = """

import tempfile
from pathlib import Path

import attrs
import numpy as np
import onnx

from lexer_core.export.module_scopes import read_module_scopes
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineOption
from BASE import engine
from BASE.engine import lexer_fetch_outputs, lexer_place_inputs


def faulty(path, fault, folder):
    module, operator, number, *fused = fault.split()
    model = onnx.load(path)
    graph = model.graph
    found = [
        node
        for node, scoped in zip(graph.node, read_module_scopes(path))
        if str("." if scoped.module == "" else scoped.module) == module.strip("!")
        and node.op_type == operator
    ]
    node = found[int(number) - 1]
    outputs = {output.name for output in graph.output}
    weights = {each.name: each for each in graph.initializer}
    own = [at for at, name in enumerate(node.input) if name in weights]
    if len(outputs) > 1 and "RAISE" in fused:
        raise RuntimeError("too many outputs")
    if len(outputs) > 1 and "INTERRUPT" in fused:
        raise KeyboardInterrupt
    if not outputs.isdisjoint(fused):
        pass
    elif own and weights[node.input[own[0]]].data_type == onnx.TensorProto.FLOAT:
        changed = onnx.numpy_helper.to_array(weights[node.input[own[0]]]) * np.float32(1.5)
        graph.initializer.append(onnx.numpy_helper.from_array(changed, "changed"))
        node.input[own[0]] = "changed"
    else:
        result, node.output[0] = node.output[0], "right"
        scale = onnx.numpy_helper.from_array(np.float32(1.5), "scale")
        graph.initializer.append(scale)
        added = onnx.helper.make_node("Mul", ["right", "scale"], [result])
        graph.node.insert(list(graph.node).index(node) + 1, added)
    target = Path(folder, path.name)
    onnx.save(model, target)
    return target


@hookimpl
def lexer_engine_info():
    info = engine.lexer_engine_info()
    fault = EngineOption(name="fault", type=str, default="", help="MODULE OPERATOR NUMBER")
    return attrs.evolve(info, display_name="Faulty", options=(*info.options, fault))


@hookimpl
def lexer_create_session(exported, device, config):
    options = dict(config.options)
    fault = options.pop("fault")
    config = attrs.evolve(config, options=options)
    if not fault:
        return engine.lexer_create_session(exported, device, config)
    with tempfile.TemporaryDirectory() as folder:
        path = faulty(exported.path, fault, folder)
        return engine.lexer_create_session(attrs.evolve(exported, path=path), device, config)
"""


def faulty_engine(base: str) -> str:
    """Return the source of an engine on top of a plugin's package, such as ``lexer_ort``."""
    return _SOURCE.replace("BASE", base)
