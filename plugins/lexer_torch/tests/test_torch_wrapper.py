from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch_helpers import Net, adapted_with_reference, nn, torch

from lexer_core.errors import ModelError
from lexer_core.model.adapt import adapt_model
from lexer_core.model.structure import rebuild
from lexer_core.model.tensors import to_torch
from lexer_core.model.wrapper import dynamic_shapes, flattening_module

pytestmark = pytest.mark.torch


@dataclass
class Boxes:
    corners: Any
    scores: Any
    count: int = 3


class Everything(nn.Module):
    """Returns the same tensor twice, its inputs, its weight, and things that are no tensors."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("offset", torch.ones(4))

    def forward(self, x, extra):
        y = self.linear(x) + self.offset
        return {
            "y": y,
            "again": y,
            "x": x,
            "weight": self.linear.weight,
            "offset": self.offset,
            "nothing": None,
            "count": 3,
            "boxes": Boxes(corners=y + 1, scores=(y > 0, [extra["mask"], y.long()])),
        }


def wrapped(model, input):
    """The wrapper of a model, its flat tensors, and the reference."""
    adapted, reference = adapted_with_reference(model, input)
    module = flattening_module(
        adapted.module, adapted.inputs.structure, adapted.input_names, adapted.output_names
    )
    tensors = tuple(to_torch(array) for array in adapted.inputs.arrays.values())
    return module, tensors, reference


def everything():
    return Everything().eval(), (torch.randn(2, 4), {"mask": torch.tensor([True, False])})


def test_the_wrapper_returns_every_tensor_as_an_object_of_its_own():
    module, tensors, reference = wrapped(*everything())

    outputs = module(*tensors)

    assert reference.output_names == (
        "y",
        "again",
        "x_output",
        "weight",
        "offset",
        "boxes.corners",
        "boxes.scores.0",
        "boxes.scores.1.0",
        "boxes.scores.1.1",
    )
    assert "output 'count' is not a tensor but an int: ignored" in reference.notes
    own = [*tensors, *module.parameters(), *module.buffers(), *outputs]
    assert len({id(tensor) for tensor in own}) == len(own)
    for output, expected in zip(outputs, reference.outputs.values(), strict=True):
        np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("strict", [False, True])
def test_the_wrapper_can_be_exported(strict):
    module, tensors, reference = wrapped(*everything())

    program = torch.export.export(module, tensors, strict=strict)

    outputs = program.module()(*tensors)
    assert len(outputs) == len(reference.outputs)
    for output, expected in zip(outputs, reference.outputs.values(), strict=True):
        np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-6)


def test_the_wrapper_can_be_exported_with_dynamic_axes():
    module, tensors, _ = wrapped(Net().eval(), torch.randn(3, 4))
    shapes = dynamic_shapes(["image"], {"image": {0: "batch"}})

    program = torch.export.export(module, tensors, dynamic_shapes=shapes)

    assert program.module()(torch.randn(7, 4))[0].shape == (7, 4)


def test_the_wrapper_of_a_compiled_model_holds_the_model_within():
    net = Net().eval()
    module, tensors, _ = wrapped(torch.compile(net, backend="eager"), torch.randn(3, 4))

    assert module.module is net
    assert len(torch.export.export(module, tensors).module()(*tensors)) == 1


def test_the_wrapper_counts_the_outputs():
    adapted = adapt_model(Net(), torch.ones(2, 4))
    module = flattening_module(adapted.module, adapted.inputs.structure, ["image"], ["a", "b"])

    with pytest.raises(ModelError, match="returned 1 tensors where 2 were expected"):
        module(torch.ones(2, 4))


def test_a_structure_holds_tuples_lists_dicts_and_numbers_apart():
    class Nested(nn.Module):
        def forward(self, batch, pair, scale=1):
            return batch["ids"] * scale + pair[0] + pair[1][0]

    a, b, c = (torch.full((2,), float(value)) for value in (1, 2, 3))
    adapted = adapt_model(Nested(), {"pair": (b, [c, None]), "batch": {"ids": a}, "scale": 10})

    assert adapted.input_names == ("batch.ids", "pair.0", "pair.1.0")
    _, kwargs = rebuild(adapted.inputs.structure, adapted.inputs.arrays, to_torch)
    assert Nested()(**kwargs).tolist() == [15.0, 15.0]
