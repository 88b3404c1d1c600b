"""Does OpenVINO run the model on the requested device with the requested settings?"""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("openvino")

import ml_dtypes
import onnx
from onnx import helper

from lexer_core import LexerContext
from lexer_core.errors import EngineError, UnsupportedError
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    Device,
    ExportedModel,
    SessionConfig,
    TensorSpec,
)
from lexer_core.testing.onnx_engine_tests import OnnxEngineTests, tensor
from lexer_core.testing.onnx_models import write_onnx
from lexer_openvino import engine as hooks
from lexer_openvino_runtime import openvino

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.openvino

CONFIG = SessionConfig(threads=1)


def call_with(**arrays: Any) -> CallInputs:
    return CallInputs(arrays=arrays, structure=CallStructure())


def run(session: Any, **arrays: Any) -> dict[str, Any]:
    placed = hooks.lexer_place_inputs(session, call_with(**arrays))
    return dict(hooks.lexer_fetch_outputs(session, session.run(placed)))


def unary(path: Path, operator: str, dtype: str, shape: list[Any]) -> ExportedModel:
    return write_onnx(
        path / f"{operator}.onnx",
        [helper.make_node(operator, ["x"], ["y"])],
        [tensor("x", *shape, dtype=dtype)],
        [tensor("y", *shape, dtype=dtype)],
        opset=19,
    )


@pytest.fixture
def doubling(tmp_path: Path) -> ExportedModel:
    return write_onnx(
        tmp_path / "doubling.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", "n", 3)],
        [tensor("y", "n", 3)],
    )


@pytest.fixture
def session(doubling: ExportedModel) -> Any:
    made = hooks.lexer_create_session(doubling, CPU, CONFIG)
    yield made
    made.close()


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


class TestOnnx(OnnxEngineTests):
    engine_name = "openvino"
    element_types = (
        "bool",
        "int8",
        "uint8",
        "int32",
        "int64",
        "uint64",
        "float16",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
    )
    never_devices = ("auto", "hetero")
    forbidden_imports = ("onnx", "torch", "onnxruntime")
    refusable_options = ("inference_precision",)  # depends on the processor


# -- calls -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_model_of_half_precision_is_computed(tmp_path, dtype):
    exported = unary(tmp_path, "Relu", np.dtype(dtype).name, [2])
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    fetched = run(made, x=np.array([1.5, -1]).astype(dtype))["y"]

    assert fetched.astype(np.float64).tolist() == [1.5, 0.0]


# -- what does not fit -------------------------------------------------------------


def test_float64_is_refused_because_it_would_be_computed_in_float32(tmp_path):
    exported = unary(tmp_path, "Neg", "float64", [2])

    with pytest.raises(UnsupportedError, match="'x' is float64") as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "float32" in raised.value.hint


def test_inputs_beyond_32_bits_are_the_sessions_caveat(tmp_path):
    exported = write_onnx(
        tmp_path / "sum.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", 2, dtype="int64")],
        [tensor("y", 2, dtype="int64")],
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    assert run(made, x=np.array([2**29, -3]))["y"].tolist() == [2**30, -6]
    assert made.caveat == ""
    assert run(made, x=np.array([2**40, 0]))["y"].tolist() != [2**41, 0]
    assert made.caveat == "OpenVINO computes integers in 32 bits, but input 'x' has larger values"


def test_a_constant_beyond_32_bits_is_a_caveat_where_it_is_computed_with(tmp_path):
    def with_constant(operator: str, *names: str) -> ExportedModel:
        return write_onnx(
            tmp_path / f"{operator}.onnx",
            [helper.make_node(operator, ["x", *names], ["y"])],
            [tensor("x", 4, dtype="int64")],
            [tensor("y", "n", dtype="int64")],
            weights={"wide": np.array([2**63 - 1]), "first": np.array([1])},
        )

    to_the_end = hooks.lexer_create_session(with_constant("Slice", "first", "wide"), CPU, CONFIG)

    assert run(to_the_end, x=np.arange(4))["y"].tolist() == [1, 2, 3]
    assert to_the_end.caveat == ""
    added = hooks.lexer_create_session(with_constant("Add", "wide"), CPU, CONFIG)
    assert added.caveat.endswith(f"the model computes with {2**63 - 1} in wide (Add)")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("dtype", "status"),
    [
        ("bool", "ok"),
        # OpenVINO then computes the sentinel as -2**31, which is not clamped.
        ("int64", "unsupported"),
    ],
)
def test_an_integer_beyond_32_bits_is_unsupported_only_if_the_outputs_are_wrong(
    monkeypatch, tmp_path, dtype, status
):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path))

    class Sentinel(torch.nn.Module):
        """Replaces what is masked by the largest integer, and clamps it."""

        def forward(self, mask):
            masked = mask if mask.dtype == torch.bool else mask > 0
            return torch.where(masked, 1, torch.iinfo(torch.int64).max).clamp(max=100)

    report = LexerContext().benchmark(
        torch_model=Sentinel(),
        input=torch.tensor([0, 1, 0]).to(getattr(torch, dtype)),
        engines=["torch", "openvino"],
        num_iterations=20,
        warm_up_seconds=0.05,
        threads=1,
    )

    row = report["openvino"]
    assert row.status == status
    if status == "ok":
        assert row.parity.status == "pass"
        assert not any("32 bits" in each for each in row.warnings)
    else:
        assert row.error.phase == "parity"
        assert "outputs are wrong (max error 2.1e+09)" in row.error.reason
        assert f"in 32 bits, but the model computes with {2**63 - 1}" in row.error.reason


def test_without_a_reference_wide_integers_are_a_warning(tmp_path):
    exported = write_onnx(
        tmp_path / "sum.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", 2, dtype="int64")],
        [tensor("y", 2, dtype="int64")],
    )

    report = LexerContext().benchmark(
        torch_model=str(exported.path),
        input={"x": np.array([2**40, 0])},
        engines=["openvino"],
        num_iterations=20,
        warm_up_seconds=0.05,
        threads=1,
    )

    assert report["openvino"].status == "ok"
    assert any("outputs may be wrong" in each for each in report["openvino"].warnings)


def test_another_engine_is_the_reference_for_one_with_a_caveat(tmp_path):
    exported = write_onnx(
        tmp_path / "sum.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", 2, dtype="int64")],
        [tensor("y", 2, dtype="int64")],
    )

    report = LexerContext().benchmark(
        torch_model=str(exported.path),
        input={"x": np.array([2**40, 0])},
        engines=["openvino", "onnxruntime"],
        num_iterations=20,
        warm_up_seconds=0.05,
        threads=1,
    )

    assert report["onnxruntime"].status == "ok"
    assert report["openvino"].status == "unsupported"
    assert "input 'x' has larger values" in report["openvino"].error.reason


def test_text_is_unsupported(tmp_path):
    exported = unary(tmp_path, "Identity", "string", [2])

    with pytest.raises(UnsupportedError, match="'x' is"):
        hooks.lexer_create_session(exported, CPU, CONFIG)


@pytest.mark.parametrize(
    ("node", "shapes", "kind", "reason"),
    [
        (
            helper.make_node("GridSample", ["x", "grid"], ["y"], name="n"),
            {"x": (1, 1, 4, 4, 4), "grid": (1, 2, 2, 2, 3)},
            UnsupportedError,
            "node 'y': GridSample is only supported for 4D input tensors. Got rank: 5",
        ),
        (
            helper.make_node("MatMul", ["x", "grid"], ["y"], name="n"),
            {"x": (3, 4), "grid": (3, 4)},
            EngineError,
            "cannot convert MatMul (opset 20), node 'y': Incompatible MatMul matrix dimension.",
        ),
        (
            helper.make_node("Det", ["x"], ["y"], name="n"),
            {"x": (3, 3)},
            UnsupportedError,
            "cannot convert Det (opset 20).",
        ),
        (
            helper.make_node(
                "LSTM",
                ["x", "w", "r"],
                ["y"],
                hidden_size=4,
                activations=["Softsign", "Tanh", "Tanh"],
            ),
            {"x": (1, 1, 3), "w": (1, 16, 3), "r": (1, 16, 4)},
            UnsupportedError,
            "LSTMSequence: Unknown activation function: softsign",
        ),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)
def test_the_reason_is_the_operator_and_what_openvino_says_of_it(
    tmp_path, node, shapes, kind, reason
):
    exported = write_onnx(
        tmp_path / "m.onnx",
        [node],
        [tensor(name, *shape) for name, shape in shapes.items()],
        [tensor("y", "n")],
        opset=20,
    )

    with pytest.raises(EngineError) as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert type(raised.value) is kind
    assert reason in raised.value.message
    assert "\n" not in raised.value.message


def test_an_unknown_operator_is_unsupported_and_named_in_one_line(tmp_path):
    exported = unary(tmp_path, "Neg", "float32", [2])
    model = onnx.load(exported.path)
    model.graph.node[0].op_type, model.graph.node[0].domain = "Frobnicate", "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, exported.path)

    with pytest.raises(UnsupportedError, match=r"cannot convert com\.example\.Frobnicate") as said:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "\n" not in said.value.message


def test_an_export_that_promises_another_output_is_an_error(doubling):
    import attrs

    wrong = attrs.evolve(
        doubling, outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 3)),)
    )

    with pytest.raises(EngineError, match="the file has no output 'logits'; it has y"):
        hooks.lexer_create_session(wrong, CPU, CONFIG)


# -- devices -----------------------------------------------------------------------


class ManyDevices:
    """Stands in for ``openvino.Core`` on a machine with more devices than this one."""

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")

    def get_property(self, name: str, key: str) -> str:
        if name == "NPU":
            raise RuntimeError("no such property")
        return f"{key} of {name}"


def test_each_device_of_openvino_is_listed_under_its_kind():
    from lexer_openvino.devices import list_devices

    devices = list_devices(ManyDevices())

    assert [(device.name, device.label, device.identifier) for device in devices] == [
        ("cpu", "CPU", "CPU"),
        ("gpu:0", "GPU", "GPU.0"),
        ("gpu:1", "GPU", "GPU.1"),
        ("npu:0", "NPU", "NPU"),
    ]
    assert devices[1].description == "FULL_DEVICE_NAME of GPU.0"
    assert devices[3].description == "NPU"


def test_tensors_of_a_device_with_memory_of_its_own_are_allocated_there(doubling, monkeypatch):
    # The context stands in for a GPU's: its tensors are really the host's, and
    # are copied to and from as the device's would have to be.
    from lexer_openvino import session as sessions

    allocated = []

    class Context:
        def create_tensor(self, element: Any, shape: Any, properties: Any) -> Any:
            allocated.append(list(shape))
            return openvino.Tensor(element, shape)

    monkeypatch.setattr(sessions, "remote_context", lambda core, device: Context())
    fixed = write_onnx(
        doubling.path.with_name("fixed.onnx"),
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [tensor("x", 2, 3)],
        [tensor("y", 2, 3)],
    )

    made = hooks.lexer_create_session(fixed, CPU, CONFIG)
    static = run(made, x=ones(2, 3))
    with_dynamic_axis = run(hooks.lexer_create_session(doubling, CPU, CONFIG), x=ones(4, 3))

    assert static["y"][0, 0] == 2
    assert with_dynamic_axis["y"].shape == (4, 3)
    # Input and output; and the input alone where the output's shape is not known before.
    assert allocated == [[2, 3], [2, 3], [4, 3]]


# -- threads, precision, options ---------------------------------------------------


def property_with(
    doubling: ExportedModel, name: str, *, precision: str = "", **options: Any
) -> Any:
    config = SessionConfig(threads=1, precision=precision, options=options)
    made = hooks.lexer_create_session(doubling, CPU, config)
    try:
        return made.compiled.get_property(name)
    finally:
        made.close()


def test_threads_are_those_of_the_run(doubling):
    assert property_with(doubling, "INFERENCE_NUM_THREADS") == 1


def test_more_threads_than_openvino_would_use_are_refused(doubling):
    with pytest.raises(UnsupportedError, match=r"number of threads to \d+ instead of 4096"):
        hooks.lexer_create_session(doubling, CPU, SessionConfig(threads=4096))


def test_the_model_is_computed_in_its_own_types_unless_asked_otherwise(doubling):
    assert property_with(doubling, "INFERENCE_PRECISION_HINT") == openvino.Type.dynamic
    assert str(property_with(doubling, "EXECUTION_MODE_HINT")).endswith("ACCURACY")


@pytest.mark.parametrize("how", [{"precision": "float32"}, {"inference_precision": "float32"}])
def test_a_precision_reaches_the_device(doubling, how):
    assert property_with(doubling, "INFERENCE_PRECISION_HINT", **how) == openvino.Type.f32


def test_a_precision_that_the_device_replaces_by_another_is_refused(doubling, monkeypatch):
    # Which processors compute in which type differs: here is one that does not in float32.
    def bfloat16_instead(self: Any, name: str) -> Any:
        return openvino.Type.bf16 if name == "INFERENCE_PRECISION_HINT" else real(self, name)

    real = openvino.CompiledModel.get_property
    monkeypatch.setattr(openvino.CompiledModel, "get_property", bfloat16_instead)

    with pytest.raises(UnsupportedError, match="computes in bf16 instead of f32"):
        property_with(doubling, "INFERENCE_PRECISION_HINT", precision="float32")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"precision": "int8"}, "not support precision 'int8'"),
        ({"precision": "float16", "inference_precision": "float32"}, "contradicts"),
        ({"num_streams": 0}, "needs at least 1"),
        ({"num_streams": 3}, "number of streams to 1 instead of 3"),
    ],
)
def test_what_openvino_would_not_do_is_refused(doubling, settings, said):
    with pytest.raises(UnsupportedError, match=said):
        property_with(doubling, "NUM_STREAMS", **settings)


def test_an_option_that_the_device_has_no_property_for_is_refused(doubling, monkeypatch):
    from lexer_openvino import properties

    class Few:
        def get_property(self, name: str, key: str) -> dict[str, str]:
            return {"PERFORMANCE_HINT": "RW"}

    npu = Device(kind="npu", identifier="NPU")
    few = properties.make_properties(Few(), npu, CONFIG)

    assert few == {"PERFORMANCE_HINT": "LATENCY"}
    with pytest.raises(UnsupportedError, match="not support NUM_STREAMS on NPU"):
        properties.make_properties(Few(), npu, SessionConfig(threads=1, options={"num_streams": 2}))


@pytest.mark.parametrize(
    ("option", "value", "name", "expected"),
    [
        ("performance_hint", "throughput", "PERFORMANCE_HINT", "THROUGHPUT"),
        ("performance_hint", "latency", "PERFORMANCE_HINT", "LATENCY"),
        ("num_streams", 1, "NUM_STREAMS", "1"),
        ("execution_mode", "performance", "EXECUTION_MODE_HINT", "PERFORMANCE"),
        ("cpu_pinning", True, "ENABLE_CPU_PINNING", "True"),
        ("cpu_pinning", False, "ENABLE_CPU_PINNING", "False"),
    ],
)
def test_an_option_reaches_the_runtime(doubling, option, value, name, expected):
    held = property_with(doubling, name, **{option: value})

    assert str(held).rpartition(".")[2] == expected


# -- phases and the cache ----------------------------------------------------------


def test_compiling_is_told_apart_from_loading(session):
    assert session.phases.compile_seconds > 0
    assert session.phases.cache_warm is False


def test_a_model_in_the_cache_folder_is_compiled_once(doubling, tmp_path):
    config = SessionConfig(threads=1, cache_dir=tmp_path / "cache")

    cold = hooks.lexer_create_session(doubling, CPU, config)
    warm = hooks.lexer_create_session(doubling, CPU, config)

    assert (cold.phases.cache_warm, warm.phases.cache_warm) == (False, True)
    assert run(warm, x=ones(2, 3))["y"][0, 0] == 2
    assert hooks.lexer_describe_placement(warm).share == 1.0


# -- placement ---------------------------------------------------------------------


def test_work_on_another_device_than_the_one_asked_for_is_told(session):
    from lexer_openvino.placement import count_nodes

    nodes = session.compiled.get_runtime_model().get_ordered_ops()

    placement = count_nodes(nodes, device="GPU", devices=["CPU"])

    assert (placement.share, placement.fallbacks) == (0.0, ("CPU: all nodes",))


def test_nodes_that_a_gpu_leaves_to_the_cpu_are_named():
    from lexer_openvino.placement import count_nodes

    def node(layer: str, primitive: str) -> Any:
        facts = {"layerType": layer, "primitiveType": SimpleNamespace(value=primitive)}
        return SimpleNamespace(get_rt_info=lambda: facts, get_type_name=lambda: "ExecutionNode")

    nodes = [
        node("Input", "cpu__f32"),
        node("Convolution", "ocl:simple:any__f16"),
        node("ShapeOf", "cpu_impl"),
        node("Gather", "ocl_ref"),
        node("ShapeOf", "cpu_impl"),
        node("Output", "unknown"),
    ]

    placement = count_nodes(nodes, device="GPU.0", devices=["GPU"])

    assert placement.share == 0.5
    assert placement.fallbacks == ("CPU: 2 nodes (2 ShapeOf)",)
    assert count_nodes([], device="GPU.0", devices=["GPU"]) is None


# -- the plugin itself -------------------------------------------------------------


def test_openvino_is_imported_without_its_telemetry_wherever_the_core_does_so(tmp_path):
    script = (
        "import sys\n"
        "from lexer_core.benchmark.case_session import CaseSession\n"
        "CaseSession().import_engine('openvino')\n"
        "assert 'openvino' in sys.modules\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
    )
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=home)

    assert list(tmp_path.iterdir()) == []
