"""Are the kit's models the same in ONNX as in numpy?"""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator

from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.onnx_models import build_onnx

pytestmark = pytest.mark.extras


@pytest.mark.parametrize("case", MODELS.values(), ids=lambda case: case.name)
def test_a_model_computes_in_onnx_what_its_reference_does(case, tmp_path):
    exported = build_onnx(case, tmp_path)
    taken = [spec.name for spec in exported.inputs]

    for arrays in case.trials():
        evaluator = ReferenceEvaluator(str(exported.path))
        given = {name: arrays[name] for name in taken}
        outputs = dict(zip(evaluator.output_names, evaluator.run(None, given), strict=True))
        expect_outputs(outputs, case.reference(arrays), after="in ONNX")


def test_an_input_that_nothing_depends_on_is_not_in_the_file(tmp_path):
    exported = build_onnx(MODELS["unused_input"], tmp_path)

    assert [spec.name for spec in exported.inputs] == ["x"]


def test_a_file_lists_inputs_in_another_order_than_the_call(tmp_path):
    case = MODELS["keyword_inputs"]

    exported = build_onnx(case, tmp_path)

    assert [spec.name for spec in exported.inputs] == ["shift", "scale", "x"]
    assert list(case.call_inputs(case.trials()[0]).arrays) == ["x", "scale", "shift"]
