"""Does ONNXRuntime run the model on the requested device with the requested settings?"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, helper

from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    ExportError,
    UnsupportedError,
)
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    Device,
    ExportedModel,
    ModelSource,
    SessionConfig,
)
from lexer_core.testing.onnx_engine_tests import OnnxEngineTests, tensor
from lexer_core.testing.onnx_models import write_onnx
from lexer_ort import engine as hooks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.onnxruntime

CONFIG = SessionConfig(threads=1)


def take(path: Path, **options: Any) -> ExportedModel:
    source = ModelSource(
        onnx_path=path,
        inputs=CallInputs(arrays={}, structure=CallStructure()),
        input_names=(),
        output_names=(),
    )
    exported = hooks.lexer_export_model(source, "onnx", path.parent, options)
    assert exported is not None
    return exported


def write(path: Path, *graph: Any, **more: Any) -> ExportedModel:
    write_onnx(path, *graph, **more)
    return take(path)


def call_with(**arrays: Any) -> CallInputs:
    return CallInputs(arrays=arrays, structure=CallStructure())


@pytest.fixture
def doubling(tmp_path: Path) -> ExportedModel:
    return write(
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
    engine_name = "onnxruntime"
    refusable_options = ("graph_optimization_level",)  # "layout" needs a newer version
    element_types = (
        "bool",
        "int8",
        "int64",
        "uint32",
        "float64",
        "float16",
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
    )
    never_devices = ("azure",)
    forbidden_imports = ("onnx", "torch", "openvino")


# -- reasons -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "shapes", "kind", "reason"),
    [
        (
            helper.make_node("MatMul", ["x", "z"], ["y"], name="the_node"),
            {"x": (3, 4), "z": (3, 4)},
            EngineError,
            "on CPU: Node (the_node) Op (MatMul) [ShapeInferenceError] Incompatible dimensions",
        ),
        (
            helper.make_node("RoiAlign", ["x", "rois", "i"], ["y"], mode="none"),
            {"x": (1, 1, 8, 8), "rois": (1, 4), "i": (1,)},
            EngineError,
            "on CPU: Invalid mode of value none specified. It should be either avg or max",
        ),
        (
            helper.make_node("ImageDecoder", ["i"], ["y"], name="the_node"),
            {"i": (10,)},
            UnsupportedError,
            "no kernel for ImageDecoder (opset 20), node 'the_node', with the element types",
        ),
    ],
    ids=["shapes", "attribute", "kernel"],
)
def test_the_reason_is_the_specific_part_of_onnxruntimes_error(
    tmp_path, node, shapes, kind, reason
):
    integers = "uint8" if node.op_type == "ImageDecoder" else "int64"
    exported = write_onnx(
        tmp_path / "m.onnx",
        [node],
        [
            tensor(name, *shape, dtype=integers if name == "i" else "float32")
            for name, shape in shapes.items()
        ],
        [tensor("y", "a", "b", "c", dtype="uint8")]
        if node.op_type == "ImageDecoder"
        else [tensor("y", "a", "b")],
        opset=20,
    )

    with pytest.raises(EngineError) as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert type(raised.value) is kind
    assert reason in raised.value.message
    assert "[ONNXRuntimeError]" not in raised.value.message


# -- calls -------------------------------------------------------------------------


def test_outputs_cannot_be_fetched_before_a_run(session):
    placed = hooks.lexer_place_inputs(session, call_with(x=ones(2, 3)))

    with pytest.raises(EngineError, match="no value"):
        hooks.lexer_fetch_outputs(session, placed)


# -- what does not fit -------------------------------------------------------------


def test_loading_a_damaged_file_prints_nothing(doubling, capfd):
    doubling.path.write_bytes(b"this is not a model")

    with pytest.raises(EngineError) as raised:
        hooks.lexer_create_session(doubling, CPU, CONFIG)

    assert "[ONNXRuntimeError]" not in raised.value.message
    assert capfd.readouterr().err == ""


def test_a_type_without_a_kernel_is_unsupported_in_one_line(tmp_path):
    exported = write(
        tmp_path / "half.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [tensor("x", 2, dtype="bfloat16")],
        [tensor("y", 2, dtype="bfloat16")],
    )

    with pytest.raises(UnsupportedError) as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "no kernel for" in raised.value.message
    assert "bfloat16" in raised.value.message
    assert "\n" not in str(raised.value)


def test_a_provider_that_does_not_start_is_never_replaced_by_the_cpu(doubling, monkeypatch):
    # A build lists providers whose libraries may be missing; here one that was
    # not built is listed, and the runtime then starts without it.
    import onnxruntime

    from lexer_ort import devices

    if "CoreMLExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build has the provider")
    monkeypatch.setattr(
        devices.onnxruntime, "get_available_providers", lambda: ["CoreMLExecutionProvider"]
    )

    with pytest.raises(DeviceUnavailableError, match="did not start"):
        hooks.lexer_create_session(doubling, Device(kind="coreml"), CONFIG)


def test_providers_that_send_work_elsewhere_are_no_devices():
    devices = hooks.lexer_list_devices()

    assert devices[0].kind == "cpu"
    assert all("azure" not in device.kind for device in devices)


# -- options -----------------------------------------------------------------------


def settings_with(doubling: ExportedModel, threads: int = 2, **options: Any) -> Any:
    config = SessionConfig(threads=threads, options=options)
    made = hooks.lexer_create_session(doubling, CPU, config)
    try:
        return made.settings()
    finally:
        made.close()


def test_threads_are_those_of_the_run(doubling):
    settings = settings_with(doubling, threads=3)

    assert settings.intra_op_num_threads == 3
    assert settings.inter_op_num_threads == 1


def test_a_session_starts_no_more_threads_than_it_was_given():
    script = (
        "import psutil, sys, onnxruntime\n"
        "from lexer_core.records import SessionConfig\n"
        "from lexer_ort.session_options import make_session_options\n"
        "import numpy, onnx\n"
        "from onnx import helper as h\n"
        "x = [h.make_tensor_value_info(n, 1, [2]) for n in 'xy']\n"
        "m = h.make_model(h.make_graph([h.make_node('Neg', ['x'], ['y'])], 'g', x[:1], x[1:]),"
        " opset_imports=[h.make_opsetid('', 18)], ir_version=9)\n"
        "before = psutil.Process().num_threads()\n"
        "for threads in (1, 3):\n"
        "    options = make_session_options(SessionConfig(threads=threads))\n"
        "    made = onnxruntime.InferenceSession(m.SerializeToString(), options)\n"
        "    print(psutil.Process().num_threads() - before)\n"
        "    del made\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    # The thread that calls is one of them.
    assert result.stdout.split() == ["0", "2"]


@pytest.mark.parametrize(
    ("option", "value", "attribute", "expected"),
    [
        ("graph_optimization_level", "disable", "graph_optimization_level", "ORT_DISABLE_ALL"),
        ("graph_optimization_level", "extended", "graph_optimization_level", "ORT_ENABLE_EXTENDED"),
        ("graph_optimization_level", "all", "graph_optimization_level", "ORT_ENABLE_ALL"),
        ("execution_mode", "parallel", "execution_mode", "ORT_PARALLEL"),
        ("enable_mem_pattern", False, "enable_mem_pattern", False),
        ("enable_mem_reuse", False, "enable_mem_reuse", False),
        ("enable_cpu_mem_arena", False, "enable_cpu_mem_arena", False),
    ],
)
def test_an_option_reaches_the_runtime(doubling, option, value, attribute, expected):
    held = getattr(settings_with(doubling, **{option: value}), attribute)

    assert getattr(held, "name", held) == expected


@pytest.mark.parametrize(
    ("option", "entry", "value", "expected"),
    [
        ("allow_spinning", "session.intra_op.allow_spinning", False, "0"),
        ("allow_spinning", "session.inter_op.allow_spinning", True, "1"),
    ],
)
def test_a_configuration_entry_reaches_the_runtime(doubling, option, entry, value, expected):
    settings = settings_with(doubling, **{option: value})

    assert settings.get_session_config_entry(entry) == expected


def test_parallel_mode_uses_as_many_nodes_at_once_as_threads(doubling):
    assert settings_with(doubling, threads=2, execution_mode="parallel").inter_op_num_threads == 2


@pytest.mark.parametrize(
    ("threads", "options", "said"),
    [
        (1, {"execution_mode": "parallel"}, "at least 2 inter_op_threads"),
        (2, {"inter_op_threads": 2}, "no effect in sequential mode"),
        (2, {"execution_mode": "parallel", "enable_mem_pattern": True}, "no effect"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(doubling, threads, options, said):
    with pytest.raises(UnsupportedError, match=said):
        settings_with(doubling, threads=threads, **options)


# -- placement ---------------------------------------------------------------------


def test_nodes_are_counted_by_the_runtimes_own_assignment(doubling):
    import onnxruntime

    from lexer_ort.placement import count_nodes
    from lexer_ort.session_options import RECORD_ASSIGNMENT, make_session_options

    options = make_session_options(CONFIG)
    options.add_session_config_entry(RECORD_ASSIGNMENT, "1")
    inference = onnxruntime.InferenceSession(doubling.path, options)
    if not hasattr(inference, "get_provider_graph_assignment_info"):
        pytest.skip("this onnxruntime keeps no assignment")
    assigned = inference.get_provider_graph_assignment_info()

    assert count_nodes(assigned, "CPUExecutionProvider").share == 1.0
    elsewhere = count_nodes(assigned, "CUDAExecutionProvider")
    assert elsewhere.share == 0.0
    assert list(elsewhere.fallbacks) == ["CPUExecutionProvider: 1 node (1 Add)"]


# -- files that are given ----------------------------------------------------------


def test_a_given_file_is_taken_as_it_is(doubling, tmp_path):
    assert doubling.path == tmp_path / "doubling.onnx"
    assert doubling.exporter == "given"
    assert [str(spec) for spec in doubling.inputs] == ["x: float32[n, 3]"]
    assert doubling.size_bytes == doubling.path.stat().st_size


def test_weights_beside_the_file_count_into_its_size(tmp_path):
    weight = np.ones((300, 3), np.float32)
    write(
        tmp_path / "m.onnx",
        [helper.make_node("Add", ["x", "w"], ["y"])],
        [tensor("x", 300, 3)],
        [tensor("y", 300, 3)],
        weights={"w": weight},
    )
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.data")

    assert take(tmp_path / "big.onnx").size_bytes > weight.nbytes
    (tmp_path / "big.data").unlink()
    with pytest.raises(ExportError, match=r"big\.data"):
        take(tmp_path / "big.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04", b"\x08\x09"])
def test_a_file_that_is_not_onnx_says_so(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)

    with pytest.raises(ExportError, match="not a valid ONNX model"):
        take(tmp_path / "m.onnx")


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ExportError, match="cannot read"):
        take(tmp_path / "missing.onnx")


def test_a_file_that_the_checker_refuses_is_refused_unless_unchecked(tmp_path):
    nodes = [helper.make_node("Neg", ["nowhere"], ["y"])]
    write_onnx(tmp_path / "m.onnx", nodes, [tensor("x", 2)], [tensor("y", 2)])

    with pytest.raises(ExportError, match=r"onnx\.checker"):
        take(tmp_path / "m.onnx")
    assert take(tmp_path / "m.onnx", checks=False).outputs[0].name == "y"


def test_outputs_that_are_no_tensors_are_unsupported(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")

    with pytest.raises(UnsupportedError, match=r"'y' of m\.onnx is a sequence"):
        take(tmp_path / "m.onnx")


def test_text_is_unsupported(tmp_path):
    with pytest.raises(UnsupportedError, match="string"):
        write(
            tmp_path / "m.onnx",
            [helper.make_node("Identity", ["x"], ["y"])],
            [tensor("x", 2, dtype="string")],
            [tensor("y", 2, dtype="string")],
        )


def test_an_axis_without_a_name_is_called_after_its_tensor(tmp_path):
    exported = write(
        tmp_path / "m.onnx",
        [helper.make_node("Neg", ["x"], ["y"])],
        [tensor("x", None, 3)],  # type: ignore[list-item]
        [tensor("y", None, 3)],  # type: ignore[list-item]
    )

    assert exported.inputs[0].shape == ("x_axis_0", 3)


def test_other_formats_are_not_made(doubling):
    source = ModelSource(
        onnx_path=doubling.path,
        inputs=CallInputs(arrays={}, structure=CallStructure()),
        input_names=(),
        output_names=(),
    )

    assert hooks.lexer_export_model(source, "torch", doubling.path.parent, {}) is None


# -- the plugin itself -------------------------------------------------------------
