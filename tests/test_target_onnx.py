"""TARGET on the command line, when it is an .onnx file."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.onnxruntime
pytest.importorskip("onnx")

from tiny_onnx import INT64, identity_model  # noqa: E402

from lexer_core.errors import InputError, TargetError  # noqa: E402
from lexer_core.target.example_inputs import example_inputs, read_request  # noqa: E402
from lexer_core.target.load import load_target  # noqa: E402
from lexer_core.target.onnx_file import read_opset  # noqa: E402


def _target(folder, **facts):
    path = folder / "model.onnx"
    path.write_bytes(identity_model(**facts))
    return load_target(str(path))


def test_inputs_are_made_as_the_file_asks_for_them(tmp_path):
    target = _target(tmp_path, shape=(2, 3), kind=INT64)

    made = example_inputs(target, read_request([], None, None, 0)).value

    assert list(made) == ["image"]
    assert (made["image"].dtype, made["image"].shape) == ("int64", (2, 3))


def test_a_batch_size_fills_a_dynamic_first_dimension(tmp_path):
    target = _target(tmp_path, shape=("batch", 3))

    made = example_inputs(target, read_request([], None, 8, 0)).value

    assert made["image"].shape == (8, 3)


def test_a_batch_size_that_the_file_does_not_have_is_refused(tmp_path):
    target = _target(tmp_path, shape=(1, 3))

    with pytest.raises(InputError, match="size 1 in dimension 0"):
        example_inputs(target, read_request([], None, 8, 0))


@pytest.mark.parametrize(
    ("shape", "batch_size", "hint"),
    [
        (("batch", 3), None, "Add --batch-size 1, or describe"),
        ((1, "length"), None, "--input 'image=float32[1,1]'"),
        (("batch", "length"), 4, "--input 'image=float32[4,1]'"),
    ],
)
def test_a_dynamic_dimension_must_be_said(tmp_path, shape, batch_size, hint):
    target = _target(tmp_path, shape=shape)

    with pytest.raises(InputError, match="dynamic dimensions") as caught:
        example_inputs(target, read_request([], None, batch_size, 0))

    assert hint in caught.value.hint


@pytest.mark.parametrize("content", [b"this is no model", b"\x08\x08", identity_model()[:-20]])
def test_a_file_that_is_no_onnx_model_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(TargetError, match="is not a valid ONNX model"):
        load_target(str(tmp_path / "model.onnx"))


def test_the_opset_is_read(tmp_path):
    assert read_opset(_target(tmp_path).model) == 18


def test_inputs_that_the_file_declares_are_recorded_as_options(tmp_path):
    inputs = example_inputs(_target(tmp_path), read_request([], None, None, 0))

    assert inputs.options == ("image=float32[1,3]",)
