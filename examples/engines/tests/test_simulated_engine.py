"""Are placement, synchronisation, device times, state and refusals seen, without a GPU?"""

from __future__ import annotations

import numpy as np
import pytest
from installed import installed

pytest.importorskip("onnx")
pytest.importorskip("lexer_ort")

import onnx

from lexer_core.context import LexerContext
from lexer_core.testing import EngineConformance

pytestmark = pytest.mark.onnxruntime

FORGETFUL = """
from lexer_simulated.engine import *
from lexer_simulated.engine import (
    lexer_create_session, lexer_describe_placement, lexer_engine_info, lexer_fetch_outputs,
    lexer_list_devices, lexer_place_inputs, lexer_reset_state,
)
from lexer_core.hookspecs import hookimpl


@hookimpl
def lexer_synchronize(session):
    '''Forget to wait.'''
"""


X = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


@pytest.fixture(scope="module", autouse=True)
def simulated(tmp_path_factory):
    with installed("simulated", tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def context():
    return LexerContext(num_iterations=20, warm_up_seconds=0.0, threads=1)


@pytest.fixture
def write(tmp_path):
    def write_graph(text, name="model.onnx"):
        path = tmp_path / name
        onnx.save(onnx.helper.make_model(onnx.parser.parse_graph(text)), path)
        return path

    return write_graph


@pytest.fixture
def on_device(write):
    return write("g (float[2, 3] x) => (float[2, 3] y) { two = Add(x, x) y = Relu(two) }")


def simulate(context, model, *engines, device="sim", x=X):
    return context.benchmark(model, x, engines=engines or ["simulated"], device=device)


def test_a_row_says_where_the_work_ran_and_what_the_device_took(context, on_device):
    row = simulate(context, on_device)["simulated"]

    assert (row.status, row.isolation) == ("ok", "process"), row.error
    assert (row.device, row.device_name) == ("SIM", "sim:0")
    assert (row.placement.share, row.placement.method) == (1.0, "nodes")
    assert 0 < row.device_p50_ms < row.max_ms
    assert row.device_peak_memory_bytes == 3 * X.nbytes  # x, two and y


def test_its_outputs_are_those_of_an_engine_on_the_cpu(on_device):
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.records import CallInputs, CallStructure, ExportedModel, SessionConfig

    engine = EngineRegistry().get("simulated")
    device = engine.find_device("sim")
    exported = ExportedModel(
        format="onnx", path=on_device, inputs=(), outputs=(), size_bytes=0, exporter="given"
    )
    inputs = CallInputs(arrays={"x": X}, structure=CallStructure())

    session = engine.create_session(exported, device, SessionConfig(threads=1))
    call = engine.make_call(session, engine.place_inputs(session, inputs, device))
    outputs = engine.fetch_outputs(session, call.run(), expected=["y"])
    session.close()

    np.testing.assert_array_equal(outputs["y"], np.maximum(2 * X, 0))


def test_operators_that_fall_back_to_the_cpu_are_admitted(context, write):
    model = write(
        "g (float[2, 3] x) => (float[2, 3] y)"
        " { a = Add(x, x) b = Tanh(a) c = Neg(b) d = Mul(c, x) y = Tanh(d) }"
    )

    placement = simulate(context, model)["simulated"].placement

    assert placement.share == 0.4
    assert placement.fallbacks == ("CPU: 3 nodes (2 Tanh, 1 Neg)",)


def test_a_graph_that_the_cpu_computes_alone_has_no_times_of_the_device(context, write):
    model = write("g (float[2, 3] x) => (float[2, 3] y) { y = Tanh(x) }")

    row = simulate(context, model)["simulated"]

    assert row.status == "ok", row.error
    assert row.placement.share == 0.0
    assert row.device_p50_ms is None


def test_state_is_put_back_before_each_call_and_each_sample_is_one(context, on_device):
    row = simulate(context, on_device)["simulated"]

    # Far more calls than the device has slots, which without a reset are full.
    assert row.status == "ok", row.error
    assert row.num_samples > 4
    assert row.loops == 1


def test_calls_that_are_waited_for_hold_the_time_that_the_device_took(context, on_device):
    row = simulate(context, on_device, "simulated[launch_us=3000]")[0]

    assert row.min_ms >= 3
    assert row.device_p50_ms >= 3
    assert not [each for each in row.warnings if "before its work is done" in each]


def test_an_engine_that_forgets_to_wait_is_found_out(context, on_device, tmp_path, monkeypatch):
    from fake_engines import FakeSite

    site = FakeSite(tmp_path / "site")
    site.add_engine("forgetful", FORGETFUL)
    monkeypatch.syspath_prepend(str(site.folder))

    row = simulate(context, on_device, "forgetful[launch_us=3000]")[0]

    assert row.p50_ms < 3
    assert [each for each in row.warnings if "before its work is done" in each]


@pytest.mark.parametrize(
    ("graph", "dtype", "said"),
    [
        ("(float[2, 3] x) => (float[2, 3] y) { y = Sin(x) }", "float32", "does not compute Sin"),
        ("(double[2, 3] x) => (double[2, 3] y) { y = Add(x, x) }", "float64", "'x' is float64"),
    ],
)
def test_what_the_device_does_not_compute_makes_the_row_unsupported(
    context, write, graph, dtype, said
):
    row = simulate(context, write(f"g {graph}"), x=X.astype(dtype))["simulated"]

    assert row.status == "unsupported"
    assert said in row.error.reason


@pytest.mark.parametrize("device", ["cpu", "sim:1", "cuda"])
def test_a_device_that_is_not_there_is_refused_and_never_replaced(context, on_device, device):
    row = simulate(context, on_device, device=device)["simulated"]

    assert row.status == "failed"
    assert row.error.kind == "DeviceUnavailableError"
    assert "sim:0" in row.error.hint


def test_it_runs_only_when_it_is_named(context, on_device):
    report = context.benchmark(on_device, X)

    assert "simulated" not in [row.label for row in report.results]


class TestConformance(EngineConformance):
    engine_name = "simulated"
    device = "sim"
    cannot = {  # noqa: RUF012
        "control_flow": "the device has no operator that branches",
        "float64": "the device computes in float32",
        "indices": "the device has no ArgMax",
        "uint8": "the device has no Transpose",
    }
    option_effects = {"launch_us": lambda session: session.launch_seconds}  # noqa: RUF012
