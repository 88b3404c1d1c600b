"""Do the examples of the hooks form an engine that runs a model?"""

from __future__ import annotations

import numpy as np
import pytest
from fake_engines import FakeSite
from test_hookspecs import SILENT, SPECS, example_of, module_of

from lexer_core.engines.engine import Engine
from lexer_core.engines.hook_checks import read_hooks
from lexer_core.engines.registration import register_hooks
from lexer_core.records import (
    CallInputs,
    CallStructure,
    ModelSource,
    SessionConfig,
    TensorRef,
)
from lexer_core.testing import CHECKS, EngineUnderTest
from lexer_core.testing.engine_fixture import EngineFixture
from lexer_core.testing.running import run_check

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.onnxruntime


def test_the_examples_run_a_model_as_an_engine(tmp_path):
    graph = onnx.parser.parse_graph("g (float[N] x) => (float[N] y) { y = Add(x, x) }")
    path = tmp_path / "double.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    names = [name for name in SPECS if name not in SILENT]
    hooks = read_hooks(module_of("\n".join(example_of(SPECS[name]) for name in names)))
    engine = Engine(
        name="reference",
        info=hooks.implementations["lexer_engine_info"].function(),
        version=None,
        distribution="",
        runtime_distribution=None,
        hooks=register_hooks("reference", hooks),
        implementations=hooks.implementations,
    )
    inputs = CallInputs(
        arrays={"x": np.ones(3, np.float32)}, structure=CallStructure(args=(TensorRef("x"),))
    )
    source = ModelSource(onnx_path=path, inputs=inputs, input_names=("x",), output_names=("y",))

    device = engine.find_device("cpu")
    exported = engine.export_model(source, "onnx", device, tmp_path, {})
    session = engine.create_session(exported, device, SessionConfig(threads=1))
    call = engine.make_call(session, engine.place_inputs(session, inputs, device))
    clock = iter(range(0, 10_000, 100)).__next__
    timings = engine.time_calls(session, call, 3, 2, device, clock)
    outputs = engine.fetch_outputs(session, call.run(), expected=["y"])

    assert [str(spec) for spec in exported.inputs] == ["x: float32[N]"]
    np.testing.assert_array_equal(outputs["y"], [2, 2, 2])
    np.testing.assert_allclose(timings.host, 3 * [50e-9])
    assert engine.describe_placement(session).share == 1.0


def test_the_examples_keep_the_contract_as_an_engine(tmp_path):
    site = FakeSite(tmp_path / "site")
    names = [name for name in SPECS if name not in SILENT]
    site.add_engine("example", "\n".join(example_of(SPECS[name]) for name in names))
    declared = type("Declared", (EngineUnderTest,), {"engine_name": "example"})

    with site.on_path():
        fixture = EngineFixture(declared=declared, folder=tmp_path / "models", isolated=False)
        results = [run_check(check, fixture) for check in CHECKS.values()]

    assert [result for result in results if result.status == "failed"] == []
