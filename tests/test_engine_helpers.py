"""Do the helpers for engine authors accept what fits and refuse the rest?"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from lexer_core.engine_helpers import (
    UNKNOWN_SHAPE,
    count_placement,
    error_summary,
    find_device,
    first_line,
    input_array,
    model_file,
    numpy_dtype,
    refuse_precision,
    run_closed,
)
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

NPU = Device(kind="npu", identifier="NPU.0")


def inputs(**arrays):
    return CallInputs(arrays=arrays, structure=CallStructure())


def spec(*shape, dtype="float32"):
    return TensorSpec(name="x", dtype=dtype, shape=shape)


def exported(**held):
    return ExportedModel(
        format="some", inputs=(), outputs=(), size_bytes=0, exporter="a test", **held
    )


def test_the_listed_device_is_returned_with_its_identifier():
    found = find_device([CPU, NPU], Device(kind="npu"), runtime="Tiny")

    assert found.identifier == "NPU.0"


def test_a_device_that_is_not_listed_is_an_error_that_names_the_others():
    with pytest.raises(DeviceUnavailableError, match="Tiny has no device 'cuda:0'") as raised:
        find_device([CPU, NPU], Device(kind="cuda"), runtime="Tiny", hint="Install a driver.")

    assert raised.value.hint == "Available devices: cpu, npu:0. Install a driver."


def test_a_precision_is_refused_and_none_is_not():
    refuse_precision(SessionConfig(threads=1), runtime="Tiny")

    with pytest.raises(UnsupportedError, match=r"Tiny .* precision 'float16'"):
        refuse_precision(SessionConfig(threads=1, precision="float16"), runtime="Tiny")


def test_a_live_object_is_not_a_file():
    assert model_file(exported(path=Path("m.onnx")), runtime="Tiny") == Path("m.onnx")

    with pytest.raises(UnsupportedError, match="Tiny loads files"):
        model_file(exported(model=object()), runtime="Tiny")


@pytest.mark.parametrize("shape", [(2, 3), ("n", 3), ("?", "?"), UNKNOWN_SHAPE])
def test_an_input_that_fits_is_returned_as_it_is(shape):
    array = np.ones((2, 3), np.float32)

    assert input_array(inputs(x=array, y=array), spec(*shape)) is array


@pytest.mark.parametrize(
    ("array", "given"),
    [
        (np.ones((2, 3)), "float64[2, 3]"),
        (np.ones((2, 4), np.float32), "float32[2, 4]"),
        (np.ones(3, np.float32), "float32[3]"),
        (np.float32(1) * np.ones((), np.float32), "float32[]"),
    ],
)
def test_an_input_of_another_type_or_shape_is_an_error_that_names_both(array, given):
    with pytest.raises(InputError) as raised:
        input_array(inputs(x=np.asarray(array)), spec("n", 3))

    assert raised.value.message == f"input 'x' is {given}; the model takes float32[n, 3]."


def test_a_missing_input_is_an_error_that_names_the_given_ones():
    with pytest.raises(InputError, match="needs input 'x'") as raised:
        input_array(inputs(y=np.ones(1)), spec(1))

    assert raised.value.hint == "Given: y."


def test_a_type_of_ml_dtypes_is_compared_too():
    array = np.ones(2).astype(ml_dtypes.bfloat16)

    assert input_array(inputs(x=array), spec(2, dtype="bfloat16")) is array
    with pytest.raises(InputError, match="float16"):
        input_array(inputs(x=array), spec(2, dtype="float16"))


def test_an_unknown_element_type_is_an_error():
    assert numpy_dtype("float8_e5m2") == ml_dtypes.float8_e5m2
    assert numpy_dtype("bool") == np.bool_
    with pytest.raises(TypeError, match="float8_odd"):
        numpy_dtype("float8_odd")
    with pytest.raises(TypeError, match="nonsense"):
        numpy_dtype("nonsense")


def test_operators_on_other_devices_are_counted_by_kind_and_the_rest_is_cut():
    cpu = Counter({kind: 9 - number for number, kind in enumerate("abcdef")})

    placement = count_placement(60, {"NPU": Counter(Neg=1), "CPU": cpu, "GPU": Counter()})

    assert (placement.share, placement.method) == (0.6, "nodes")
    assert placement.fallbacks == (
        "CPU: 39 nodes (9 a, 8 b, 7 c, 6 d, 5 e, …)",
        "NPU: 1 node (1 Neg)",
    )


def test_a_session_without_operators_has_no_placement():
    assert count_placement(0, {"CPU": Counter()}) is None


def test_an_error_is_summarized_by_its_first_line_that_is_not_blank():
    error = ValueError(f"\n  {'x' * 20}\nmore")

    assert first_line(str(error), longest=10) == "xxxxxxxxx…"
    assert error_summary(error) == f"ValueError: {'x' * 20}"
    assert error_summary(KeyError()) == "KeyError"
    assert first_line(" \n") == ""


def test_a_first_line_that_ends_with_a_colon_is_continued():
    error = ValueError("found conflicts:\n- axis 0 is static\n- more")

    assert error_summary(error) == "ValueError: found conflicts: axis 0 is static"


def test_a_closed_session_refuses_to_run():
    with pytest.raises(EngineError, match="closed"):
        run_closed(object())


def test_importing_the_helpers_imports_neither_numpy_nor_ml_dtypes():
    script = (
        "import sys, lexer_core.engine_helpers\n"
        "assert not {'numpy', 'ml_dtypes', 'torch'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
