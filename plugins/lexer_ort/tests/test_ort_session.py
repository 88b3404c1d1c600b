"""Does a session run the graph that it was given, where and how it was asked to?"""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import ml_dtypes
import onnx
from onnx import TensorProto, helper, numpy_helper

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    ExportError,
    InputError,
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
from lexer_ort import engine as hooks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.onnxruntime

CONFIG = SessionConfig(threads=1)


def write(
    path: Path,
    nodes: list[Any],
    inputs: list[tuple[str, int, list[int | str]]],
    outputs: list[tuple[str, int, list[int | str]]],
    *,
    weights: dict[str, Any] | None = None,
    opset: int = 18,
) -> ExportedModel:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, path)
    return take(path)


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


def call_with(**arrays: Any) -> CallInputs:
    return CallInputs(arrays=arrays, structure=CallStructure())


def run(session: Any, **arrays: Any) -> dict[str, Any]:
    placed = hooks.lexer_place_inputs(session, call_with(**arrays))
    return dict(hooks.lexer_fetch_outputs(session, session.run(placed)))


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


def test_outputs_cannot_be_fetched_before_a_run(session):
    placed = hooks.lexer_place_inputs(session, call_with(x=ones(2, 3)))

    with pytest.raises(EngineError, match="no value"):
        hooks.lexer_fetch_outputs(session, placed)


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


def test_an_output_that_is_an_input_is_fetched_as_it_is(tmp_path):
    exported = write(
        tmp_path / "same.onnx",
        [helper.make_node("Neg", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [2])],
        [("x", TensorProto.FLOAT, [2]), ("y", TensorProto.FLOAT, [2])],
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    outputs = run(made, x=np.array([1, 2], np.float32))

    np.testing.assert_array_equal(outputs["x"], [1, 2])
    np.testing.assert_array_equal(outputs["y"], [-1, -2])


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 0)])
def test_scalars_and_empty_tensors_come_through(tmp_path, shape):
    exported = write(
        tmp_path / "identity.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, list(shape))],
        [("y", TensorProto.FLOAT, list(shape))],
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)

    assert run(made, x=np.full(shape, 7, np.float32))["y"].shape == shape


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (TensorProto.BOOL, np.bool_),
        (TensorProto.INT8, np.int8),
        (TensorProto.INT64, np.int64),
        (TensorProto.UINT32, np.uint32),
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
        (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
    ],
)
def test_every_element_type_goes_in_and_comes_out_unchanged(tmp_path, number, dtype):
    exported = write(
        tmp_path / "identity.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", number, [3])],
        [("y", number, [3])],
        opset=19,
    )
    made = hooks.lexer_create_session(exported, CPU, CONFIG)
    array = np.array([0, 1, 1]).astype(dtype)

    fetched = run(made, x=array)["y"]

    assert fetched.dtype == array.dtype
    np.testing.assert_array_equal(fetched.astype(np.float64), array.astype(np.float64))


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


def test_the_facade_accepts_everything_that_the_engine_returns(doubling, tmp_path):
    ort = EngineRegistry().get("onnxruntime")
    device = ort.find_device("cpu")
    made = ort.create_session(doubling, device, CONFIG)
    placed = ort.place_inputs(made, call_with(x=ones(1, 3)), device)
    call = ort.make_call(made, placed)

    ort.synchronize(made, device)
    timings = ort.time_calls(made, call, 3, 2, device, itertools.count().__next__)
    outputs = ort.fetch_outputs(made, call.run(), expected=["y"])

    assert timings.host.shape == (3,)
    assert outputs["y"][0, 0] == 2
    assert ort.describe_placement(made).share == 1.0


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
    assert "float32[n, 3]" in raised.value.message


def test_an_input_that_is_missing_is_named(session):
    with pytest.raises(InputError, match="needs input 'x'"):
        hooks.lexer_place_inputs(session, call_with(y=ones(1, 3)))


def test_a_type_without_a_kernel_is_unsupported_in_one_line(tmp_path):
    exported = write(
        tmp_path / "half.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [("x", TensorProto.BFLOAT16, [2])],
        [("y", TensorProto.BFLOAT16, [2])],
    )

    with pytest.raises(UnsupportedError) as raised:
        hooks.lexer_create_session(exported, CPU, CONFIG)

    assert "no kernel for" in raised.value.message
    assert "bfloat16" in raised.value.message
    assert "\n" not in str(raised.value)


def test_an_unknown_operator_is_unsupported(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")

    with pytest.raises(UnsupportedError, match=r"com\.example"):
        hooks.lexer_create_session(take(tmp_path / "m.onnx", checks=False), CPU, CONFIG)


def test_a_file_that_is_damaged_after_export_fails_in_one_line(doubling, capfd):
    doubling.path.write_bytes(b"no model at all")

    with pytest.raises(EngineError) as raised:
        hooks.lexer_create_session(doubling, CPU, CONFIG)

    assert raised.value.message.count("\n") == 0
    assert "doubling.onnx" in raised.value.message
    assert "[ONNXRuntimeError]" not in raised.value.message
    assert capfd.readouterr().err == ""


def test_another_precision_is_refused(doubling):
    with pytest.raises(UnsupportedError, match="float16"):
        hooks.lexer_create_session(doubling, CPU, SessionConfig(threads=1, precision="float16"))


@pytest.mark.parametrize("kind", ["cuda", "nosuch", "azure"])
def test_a_device_that_is_not_there_lists_those_that_are(doubling, kind):
    if any(device.kind == kind for device in hooks.lexer_list_devices()):
        pytest.skip(f"this machine has a device of kind {kind}")

    with pytest.raises(DeviceUnavailableError) as raised:
        hooks.lexer_create_session(doubling, Device(kind=kind), CONFIG)

    assert kind in raised.value.message
    assert "cpu" in raised.value.hint


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


def test_every_declared_option_and_choice_makes_a_session(doubling):
    for option in hooks.lexer_engine_info().options:
        for value in option.choices or ((True, False) if option.type is bool else ()):
            assert settings_with(doubling, **{option.name: value}) is not None


# -- placement ---------------------------------------------------------------------


def test_a_session_on_the_cpu_has_all_its_nodes_there(session):
    placement = hooks.lexer_describe_placement(session)

    assert placement.share == 1.0
    assert placement.method == "nodes"
    assert list(placement.fallbacks) == []


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
        [("x", TensorProto.FLOAT, [300, 3])],
        [("y", TensorProto.FLOAT, [300, 3])],
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
    graph = helper.make_graph(
        [helper.make_node("Neg", ["nowhere"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")

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
            [("x", TensorProto.STRING, [2])],
            [("y", TensorProto.STRING, [2])],
        )


def test_an_axis_without_a_name_is_called_after_its_tensor(tmp_path):
    exported = write(
        tmp_path / "m.onnx",
        [helper.make_node("Neg", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [None, 3])],  # type: ignore[list-item]
        [("y", TensorProto.FLOAT, [None, 3])],  # type: ignore[list-item]
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


def test_the_hooks_module_imports_no_runtime():
    script = (
        "import sys, lexer_ort.engine as engine\n"
        "engine.lexer_engine_info()\n"
        "heavy = {'onnxruntime', 'onnx', 'torch', 'numpy', 'onnxscript'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_measuring_a_file_imports_neither_torch_nor_onnx(doubling):
    script = (
        "import sys, numpy\n"
        "from pathlib import Path\n"
        "from lexer_core.records import *\n"
        "from lexer_ort import engine\n"
        "spec = TensorSpec(name='x', dtype='float32', shape=(1, 3))\n"
        "exported = ExportedModel(format='onnx', path=Path(sys.argv[1]), inputs=(spec,),"
        " outputs=(spec,), size_bytes=1, exporter='given')\n"
        "session = engine.lexer_create_session(exported, CPU, SessionConfig(threads=1))\n"
        "x = numpy.ones((1, 3), numpy.float32)\n"
        "inputs = CallInputs(arrays={'x': x}, structure=CallStructure())\n"
        "placed = engine.lexer_place_inputs(session, inputs)\n"
        "assert engine.lexer_fetch_outputs(session, session.run(placed))['y'][0, 0] == 2\n"
        "assert not {'onnx', 'torch'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", script, str(doubling.path)], check=True, timeout=60)
