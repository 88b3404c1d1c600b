"""Does a session run the graph that it was given, where and how it was asked to?"""

from __future__ import annotations

import itertools
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
from onnx import TensorProto, helper, numpy_helper

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import DeviceUnavailableError, EngineError, InputError, UnsupportedError
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    Device,
    ExportedModel,
    SessionConfig,
    TensorSpec,
)
from lexer_openvino import engine as hooks
from lexer_openvino_runtime import openvino

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.openvino

CONFIG = SessionConfig(threads=1)


def write(
    path: Path,
    nodes: list[Any],
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, int, list[Any]]],
    *,
    weights: dict[str, Any] | None = None,
) -> ExportedModel:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, path)

    def spec(name: str, element: int, shape: list[Any]) -> TensorSpec:
        dtype = helper.tensor_dtype_to_np_dtype(element).name
        return TensorSpec(name=name, dtype=dtype, shape=tuple(shape))

    return ExportedModel(
        format="onnx",
        path=path,
        inputs=tuple(spec(*item) for item in inputs),
        outputs=tuple(spec(*item) for item in outputs),
        size_bytes=path.stat().st_size,
        exporter="onnx",
    )


def call_with(**arrays: Any) -> CallInputs:
    return CallInputs(arrays=arrays, structure=CallStructure())


def run(session: Any, **arrays: Any) -> dict[str, Any]:
    placed = hooks.lexer_place_inputs(session, call_with(**arrays))
    return dict(hooks.lexer_fetch_outputs(session, session.run(placed)))


def unary(path: Path, operator: str, element: int, shape: list[Any]) -> ExportedModel:
    return write(
        path / f"{operator}.onnx",
        [helper.make_node(operator, ["x"], ["y"])],
        [("x", element, shape)],
        [("y", element, shape)],
    )


@pytest.fixture
def doubling(tmp_path: Path) -> ExportedModel:
    return write(
        tmp_path / "doubling.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", TensorProto.FLOAT, ["n", 3])],
        [("y", TensorProto.FLOAT, ["n", 3])],
    )


@pytest.fixture
def session(doubling: ExportedModel) -> Any:
    made = hooks.lexer_create_session(doubling, CPU, CONFIG)
    yield made
    made.close()


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


# -- calls -------------------------------------------------------------------------


def test_a_call_gives_the_named_outputs_of_the_graph(session):
    np.testing.assert_array_equal(run(session, x=ones(2, 3))["y"], 2 * ones(2, 3))


def test_a_dynamic_axis_takes_any_length(session):
    assert run(session, x=ones(2, 3))["y"].shape == (2, 3)
    assert run(session, x=ones(5, 3))["y"].shape == (5, 3)
    assert run(session, x=ones(0, 3))["y"].shape == (0, 3)


def test_an_output_whose_shape_depends_on_the_data_comes_through(tmp_path):
    exported = write(
        tmp_path / "nonzero.onnx",
        [helper.make_node("NonZero", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [3])],
        [("y", TensorProto.INT64, [1, "found"])],
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    outputs = run(made, x=np.array([0, 1, 2], np.float32))

    np.testing.assert_array_equal(outputs["y"], [[1, 2]])


def test_fetched_outputs_are_not_overwritten_by_a_later_call(session):
    first = hooks.lexer_place_inputs(session, call_with(x=ones(2, 3)))
    second = hooks.lexer_place_inputs(session, call_with(x=5 * ones(2, 3)))
    fetched = hooks.lexer_fetch_outputs(session, session.run(first))

    session.run(second)
    session.run(first)

    np.testing.assert_array_equal(fetched["y"], 2 * ones(2, 3))
    assert fetched["y"].flags.owndata
    assert fetched["y"].flags.writeable


def test_each_placement_keeps_its_own_outputs(session):
    first = hooks.lexer_place_inputs(session, call_with(x=ones(2, 3)))
    second = hooks.lexer_place_inputs(session, call_with(x=5 * ones(4, 3)))

    ran_first, ran_second = session.run(first), session.run(second)

    assert hooks.lexer_fetch_outputs(session, ran_first)["y"][0, 0] == 2
    assert hooks.lexer_fetch_outputs(session, ran_second)["y"].shape == (4, 3)


def test_placed_inputs_share_no_memory_with_the_callers_arrays(session):
    array = ones(2, 3)
    placed = hooks.lexer_place_inputs(session, call_with(x=array))

    array[:] = 100

    assert hooks.lexer_fetch_outputs(session, session.run(placed))["y"][0, 0] == 2


def test_read_only_and_strided_inputs_are_placed(session):
    array = np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2]
    array.flags.writeable = False

    np.testing.assert_array_equal(run(session, x=array)["y"], 2 * array)


def test_an_input_that_the_graph_does_not_have_is_left_out(session):
    assert set(run(session, x=ones(1, 3), mask=ones(1))) == {"y"}


def test_outputs_that_are_inputs_constants_or_each_other_are_told_apart(tmp_path):
    exported = write(
        tmp_path / "same.onnx",
        [
            helper.make_node("Neg", ["x"], ["y"]),
            helper.make_node("Identity", ["y"], ["z"]),
            helper.make_node("Identity", ["w"], ["c"]),
        ],
        [("x", TensorProto.FLOAT, [2]), ("unused", TensorProto.FLOAT, [1])],
        [(name, TensorProto.FLOAT, [2]) for name in ("z", "x", "c", "y")],
        weights={"w": np.array([7, 8], np.float32)},
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    outputs = run(made, x=np.array([1, 2], np.float32), unused=ones(1))

    assert {name: array.tolist() for name, array in outputs.items()} == {
        "z": [-1, -2],
        "x": [1, 2],
        "c": [7, 8],
        "y": [-1, -2],
    }


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 0)])
def test_scalars_and_empty_tensors_come_through(tmp_path, shape):
    exported = unary(tmp_path, "Neg", TensorProto.FLOAT, list(shape))
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    np.testing.assert_array_equal(
        run(made, x=np.full(shape, 7, np.float32))["y"], np.full(shape, -7, np.float32)
    )


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (TensorProto.BOOL, np.bool_),
        (TensorProto.INT8, np.int8),
        (TensorProto.UINT8, np.uint8),
        (TensorProto.INT32, np.int32),
        (TensorProto.INT64, np.int64),
        (TensorProto.UINT64, np.uint64),
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
        (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
    ],
)
def test_every_element_type_goes_in_and_comes_out_unchanged(tmp_path, number, dtype):
    made = hooks.lexer_create_session(unary(tmp_path, "Identity", number, [3]), CPU, CONFIG)
    array = np.array([0, 1, 1]).astype(dtype)

    fetched = run(made, x=array)["y"]

    assert fetched.dtype == array.dtype
    np.testing.assert_array_equal(fetched.astype(np.float64), array.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_a_model_of_half_precision_is_computed(tmp_path, dtype):
    number = TensorProto.FLOAT16 if dtype is np.float16 else TensorProto.BFLOAT16
    made = hooks.lexer_create_session(unary(tmp_path, "Relu", number, [2]), CPU, CONFIG)

    fetched = run(made, x=np.array([1.5, -1]).astype(dtype))["y"]

    assert fetched.astype(np.float64).tolist() == [1.5, 0.0]


def test_two_sessions_live_side_by_side(doubling):
    one = hooks.lexer_create_session(doubling, CPU, CONFIG)
    two = hooks.lexer_create_session(doubling, CPU, CONFIG)

    one.close()

    assert run(two, x=ones(1, 3))["y"][0, 0] == 2


def test_a_session_may_be_closed_twice_and_then_refuses(session):
    placed = hooks.lexer_place_inputs(session, call_with(x=ones(1, 3)))
    session.close()
    session.close()

    for call in (
        lambda: session.run(placed),
        lambda: hooks.lexer_place_inputs(session, call_with(x=ones(1, 3))),
    ):
        with pytest.raises(EngineError, match="closed"):
            call()


def test_the_facade_accepts_everything_that_the_engine_returns(doubling):
    engine = EngineRegistry().get("openvino")
    device = engine.find_device("cpu")
    made = engine.create_session(doubling, device, CONFIG)
    placed = engine.place_inputs(made, call_with(x=ones(1, 3)), device)
    call = engine.make_call(made, placed)

    engine.synchronize(made, device)
    timings = engine.time_calls(made, call, 3, 2, device, itertools.count().__next__)
    outputs = engine.fetch_outputs(made, call.run(), expected=["y"])

    assert timings.host.shape == (3,)
    assert outputs["y"][0, 0] == 2
    assert engine.describe_placement(made).share == 1.0


# -- what does not fit -------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((2, 3)), "float64[2, 3]"),
        (np.ones((2, 4), np.float32), "float32[2, 4]"),
        (np.ones(3, np.float32), "float32[3]"),
    ],
)
def test_an_input_of_another_type_or_shape_names_both(session, array, said):
    with pytest.raises(InputError) as raised:
        hooks.lexer_place_inputs(session, call_with(x=array))

    assert "input 'x'" in raised.value.message
    assert said in raised.value.message
    assert "float32[?, 3]" in raised.value.message


def test_an_input_that_is_missing_is_named(session):
    with pytest.raises(InputError, match="needs input 'x'"):
        hooks.lexer_place_inputs(session, call_with(y=ones(1, 3)))


def test_float64_is_refused_because_it_would_be_computed_in_float32(tmp_path):
    exported = unary(tmp_path, "Neg", TensorProto.DOUBLE, [2])

    with pytest.raises(UnsupportedError, match="'x' is float64") as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "float32" in raised.value.hint


def test_whole_numbers_beyond_32_bits_are_refused_and_others_are_not(tmp_path):
    exported = write(
        tmp_path / "sum.onnx",
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", TensorProto.INT64, [2])],
        [("y", TensorProto.INT64, [2])],
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    assert run(made, x=np.array([2**29, -3]))["y"].tolist() == [2**30, -6]
    with pytest.raises(UnsupportedError, match="beyond 32 bits"):
        run(made, x=np.array([2**40, 0]))


def test_a_constant_beyond_32_bits_is_refused_where_it_is_computed_with(tmp_path):
    def with_constant(operator: str, *names: str) -> ExportedModel:
        return write(
            tmp_path / f"{operator}.onnx",
            [helper.make_node(operator, ["x", *names], ["y"])],
            [("x", TensorProto.INT64, [4])],
            [("y", TensorProto.INT64, ["n"])],
            weights={"wide": np.array([2**63 - 1]), "first": np.array([1])},
        )

    to_the_end = hooks.lexer_create_session(with_constant("Slice", "first", "wide"), CPU, CONFIG)

    assert run(to_the_end, x=np.arange(4))["y"].tolist() == [1, 2, 3]
    with pytest.raises(UnsupportedError, match=r"beyond 32 bits: wide \(Add\)"):
        hooks.lexer_create_session(with_constant("Add", "wide"), CPU, CONFIG)


def test_text_is_unsupported(tmp_path):
    exported = unary(tmp_path, "Identity", TensorProto.STRING, [2])

    with pytest.raises(UnsupportedError, match="'x' is"):
        hooks.lexer_create_session(exported, CPU, CONFIG)


def test_an_unknown_operator_is_unsupported_and_named_in_one_line(tmp_path):
    exported = unary(tmp_path, "Neg", TensorProto.FLOAT, [2])
    model = onnx.load(exported.path)
    model.graph.node[0].op_type, model.graph.node[0].domain = "Frobnicate", "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, exported.path)

    with pytest.raises(UnsupportedError, match=r"cannot convert com\.example\.Frobnicate") as said:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "\n" not in said.value.message


def test_a_file_that_is_damaged_after_export_fails_in_one_line(doubling):
    doubling.path.write_bytes(b"no model at all")

    with pytest.raises(EngineError, match=r"cannot read doubling\.onnx") as raised:
        hooks.lexer_create_session(doubling, CPU, CONFIG)

    assert not isinstance(raised.value, UnsupportedError)
    assert "\n" not in raised.value.message
    assert "Exception from" not in raised.value.message


def test_an_export_that_promises_another_output_is_an_error(doubling):
    import attrs

    wrong = attrs.evolve(
        doubling, outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 3)),)
    )

    with pytest.raises(EngineError, match="the file has no output 'logits'; it has y"):
        hooks.lexer_create_session(wrong, CPU, CONFIG)


@pytest.mark.parametrize("kind", ["gpu", "npu", "auto", "hetero", "nosuch"])
def test_a_device_that_is_not_there_lists_those_that_are(doubling, kind):
    if any(device.kind == kind for device in hooks.lexer_list_devices()):
        pytest.skip(f"this machine has a device of kind {kind}")

    with pytest.raises(DeviceUnavailableError) as raised:
        hooks.lexer_create_session(doubling, Device(kind=kind), CONFIG)

    assert kind in raised.value.message
    assert "cpu" in raised.value.hint


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
    fixed = write(
        doubling.path.with_name("fixed.onnx"),
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [("x", TensorProto.FLOAT, [2, 3])],
        [("y", TensorProto.FLOAT, [2, 3])],
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


def test_every_declared_option_and_choice_is_taken_or_refused(doubling):
    taken = set()
    for option in hooks.lexer_engine_info().options:
        for value in option.choices or ((True, False) if option.type is bool else (1,)):
            try:
                property_with(doubling, "NUM_STREAMS", **{option.name: value})
            except UnsupportedError:
                assert option.name == "inference_precision"  # depends on the processor
            else:
                taken.add(option.name)

    assert taken == {option.name for option in hooks.lexer_engine_info().options}


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


def test_a_session_on_the_cpu_has_all_its_nodes_there(session):
    placement = hooks.lexer_describe_placement(session)

    assert (placement.share, placement.method, placement.fallbacks) == (1.0, "nodes", ())


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


def test_the_hooks_module_imports_no_runtime():
    script = (
        "import sys, lexer_openvino.engine as engine\n"
        "engine.lexer_engine_info()\n"
        "heavy = {'openvino', 'onnx', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


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


def test_measuring_a_file_imports_neither_torch_nor_onnx(doubling):
    script = (
        "import sys, numpy\n"
        "from pathlib import Path\n"
        "from lexer_core.records import *\n"
        "from lexer_openvino import engine\n"
        "def spec(name): return TensorSpec(name=name, dtype='float32', shape=(1, 3))\n"
        "exported = ExportedModel(format='onnx', path=Path(sys.argv[1]), inputs=(spec('x'),),"
        " outputs=(spec('y'),), size_bytes=1, exporter='given')\n"
        "session = engine.lexer_create_session(exported, CPU, SessionConfig(threads=1))\n"
        "x = numpy.ones((1, 3), numpy.float32)\n"
        "inputs = CallInputs(arrays={'x': x}, structure=CallStructure())\n"
        "placed = engine.lexer_place_inputs(session, inputs)\n"
        "assert engine.lexer_fetch_outputs(session, session.run(placed))['y'][0, 0] == 2\n"
        "assert not {'onnx', 'torch', 'onnxruntime'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", script, str(doubling.path)], check=True, timeout=60)
