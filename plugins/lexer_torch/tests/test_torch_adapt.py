from __future__ import annotations

import numpy as np
import pytest
from torch_helpers import Net, adapted_with_reference, nn, scripted, torch

from lexer_core.errors import InputError, TargetError
from lexer_core.model.adapt import adapt_model, model_source
from lexer_core.model.tensors import storage_bytes, to_numpy, to_torch

pytestmark = pytest.mark.torch


def test_a_tensor_and_the_same_array_are_the_same_input():
    x = torch.randn(3, 4)

    of_tensor, of_array = adapt_model(Net(), x), adapt_model(Net(), x.numpy())

    assert of_tensor.input_specs == of_array.input_specs
    assert str(of_tensor.input_specs[0]) == "image: float32[3, 4]"
    np.testing.assert_array_equal(of_tensor.inputs.arrays["image"], of_array.inputs.arrays["image"])


def test_inputs_are_copied_and_read_only():
    x = torch.zeros(3, 4)
    adapted = adapt_model(Net(), x)
    x += 1

    assert not adapted.inputs.arrays["image"].any()
    assert not adapted.inputs.arrays["image"].flags.writeable


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.bool, torch.int64, torch.complex64],
)
def test_every_element_type_survives_the_round_trip(dtype):
    tensor = torch.tensor([[0, 1], [2, 3]]).to(dtype)

    array = to_numpy(tensor.t())
    array.flags.writeable = False
    back = to_torch(array)

    assert back.dtype == dtype
    assert torch.equal(back.to(torch.complex64), tensor.t().to(torch.complex64))
    back.zero_()
    assert np.any(array.astype(np.complex64))


@pytest.mark.parametrize("make", [lambda x: x.to_sparse(), lambda x: x.to("meta")])
def test_a_tensor_that_numpy_cannot_hold_is_refused_by_name(make):
    with pytest.raises(InputError, match=r"input 'image' of Net.forward\(image, mask=None\)"):
        adapt_model(Net(), make(torch.ones(2, 4)))


def test_a_class_and_a_function_are_not_models():
    with pytest.raises(TargetError, match="Net is a class"):
        adapt_model(Net, torch.ones(1, 4))
    with pytest.raises(TargetError, match="not function"):
        adapt_model(lambda x: x, torch.ones(1, 4))


def test_torch_runs_a_compiled_model_and_exporters_the_module_inside():
    net = Net()
    compiled = torch.compile(net, backend="eager")

    adapted = adapt_model(compiled, torch.ones(2, 4))

    assert adapted.can_be_sent
    assert adapted.module is compiled
    assert adapted.export_module is net
    assert adapted.model_name == "Net"
    assert adapted.input_names == ("image",)
    assert "torch.compile" in adapted.notes[0]


def test_a_model_compiled_in_place_is_exported_uncompiled_with_the_same_weights():
    net = Net()
    net.compile(backend="eager")

    adapted = adapt_model(net, torch.ones(2, 4))

    assert not adapted.can_be_sent
    assert adapted.export_module._compiled_call_impl is None
    assert adapted.export_module.linear.weight is net.linear.weight


def test_an_exported_program_is_a_model():
    x = torch.randn(2, 4)
    program = torch.export.export(Net().eval(), (x,))

    adapted, reference = adapted_with_reference(program, x)

    assert adapted.input_names == ("image",)
    assert model_source(adapted).program is program
    assert reference.outputs["output"].shape == (2, 4)


def test_a_scripted_model_is_named_by_its_schema():
    adapted = adapt_model(scripted(nn.Linear(4, 4)), torch.ones(1, 4))

    assert adapted.title == "Linear.forward(input)"
    assert adapted.input_names == ("input",)


def test_dynamic_axes_are_named_and_checked():
    x = torch.ones(2, 4)

    assert adapt_model(Net(), x, dynamic_axes={"image": {0: "batch"}}).dynamic_axes == {
        "image": {0: "batch"}
    }
    assert adapt_model(Net(), x, dynamic_axes={"image": [-1]}).dynamic_axes == {
        "image": {1: "image_dim_1"}
    }
    with pytest.raises(InputError, match="names 'imag', which is not an input"):
        adapt_model(Net(), x, dynamic_axes={"imag": [0]})
    with pytest.raises(InputError, match="names dimension 2 of 'image', which has 2"):
        adapt_model(Net(), x, dynamic_axes={"image": [2]})


def test_a_memory_layout_that_a_copy_loses_is_noted():
    x = torch.ones(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)

    assert "input 'input' is not contiguous" in adapt_model(nn.Conv2d(3, 3, 1), x).notes[0]


def test_an_object_without_tensors_among_the_inputs_has_a_note():
    class WithSettings(nn.Module):
        def forward(self, x, settings):
            return x * settings.factor

    class Settings:
        factor = 3

    adapted, reference = adapted_with_reference(WithSettings(), (torch.ones(2), Settings()))

    assert "is a Settings, which is not a tensor: exports contain it as it is" in adapted.notes[0]
    assert reference.outputs["output"].tolist() == [3.0, 3.0]


def test_tied_weights_are_counted_once():
    one, two = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
    two.weight = one.weight

    assert storage_bytes(nn.Sequential(one, two)) == 8 * 8 * 4


class Speechless:
    """A default value that cannot be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_a_default_that_cannot_be_printed_is_named_by_its_type():
    class Net(nn.Module):
        def forward(self, x, mode=Speechless()):  # noqa: B008
            return x

    assert adapt_model(Net(), torch.ones(2)).title == "Net.forward(x, mode=<Speechless>)"


class Step(nn.Module):
    def forward(self, ids, cache):
        return ids * cache.layers[0].keys


class Cache:
    """An object like the caches of transformers."""

    def __init__(self):
        layer = type("Layer", (), {})()
        layer.keys, layer.limits = torch.ones(2), np.ones(1)
        self.layers = [layer]


@pytest.mark.parametrize("declared", [None, ["ids"], ["ids", "cache"]])
def test_tensors_in_objects_are_inputs_and_need_no_declared_names(declared):
    cache = Cache()

    adapted, reference = adapted_with_reference(
        Step(), (torch.full((2,), 3.0), cache), input_names=declared
    )

    assert adapted.input_names == ("ids", "cache.layers.0.keys")
    assert reference.outputs["output"].tolist() == [3.0, 3.0]
    assert [note.partition(",")[0] for note in adapted.notes] == [
        "argument 1.layers.0.limits is a ndarray"
    ]
    assert torch.equal(cache.layers[0].keys, torch.ones(2))


def test_an_object_whose_parts_refer_to_each_other_stays_as_it_is():
    cache = Cache()
    cache.layers.append(cache.layers[0])

    adapted, reference = adapted_with_reference(Step(), (torch.ones(2), cache))

    assert adapted.input_names == ("ids",)
    assert "argument 1 is a Cache" in adapted.notes[0]
    assert reference.outputs["output"].tolist() == [1.0, 1.0]
