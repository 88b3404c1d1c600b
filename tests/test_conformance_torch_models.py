"""Are the kit's models the same in PyTorch as in numpy?"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lexer_core.model.reference import call_module  # noqa: E402
from lexer_core.model.structure import flatten_outputs  # noqa: E402
from lexer_core.model.tensors import to_numpy, to_torch  # noqa: E402
from lexer_core.testing.expectations import expect_outputs  # noqa: E402
from lexer_core.testing.model_zoo import MODELS  # noqa: E402
from lexer_core.testing.torch_models import build_torch, build_torch_export  # noqa: E402

pytestmark = pytest.mark.torch


def named(case, tensors):
    names = [spec.name for spec in case.outputs]
    return {name: to_numpy(tensor) for name, tensor in zip(names, tensors, strict=True)}


@pytest.mark.parametrize("case", MODELS.values(), ids=lambda case: case.name)
def test_a_model_computes_in_torch_what_its_reference_does(case):
    exported = build_torch(case)

    for arrays in case.trials():
        with torch.no_grad():
            found = flatten_outputs(call_module(exported.model, case.call_inputs(arrays)).returned)
        outputs = named(case, found.tensors.values())
        expect_outputs(outputs, case.reference(arrays), after="in torch")


@pytest.mark.parametrize("case", MODELS.values(), ids=lambda case: case.name)
def test_a_model_computes_as_an_exported_program_what_its_reference_does(case):
    module = build_torch_export(case).model.module()

    for arrays in case.trials():
        with torch.no_grad():
            found = module(*(to_torch(arrays[spec.name]) for spec in case.inputs))
        expect_outputs(named(case, found), case.reference(arrays), after="as a program")
