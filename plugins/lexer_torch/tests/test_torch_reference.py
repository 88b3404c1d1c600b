from __future__ import annotations

import random

import numpy as np
import pytest
from torch_helpers import Net, flags, nn, torch

from lexer_core.errors import InputError, ModelError
from lexer_core.model.adapt import adapt_model
from lexer_core.model.reference import reference_outputs
from lexer_core.model.state import measured_state

pytestmark = pytest.mark.torch


class Raises(nn.Module):
    def forward(self, x):
        raise RuntimeError("shapes (3x5 and 4x4)\ncannot be multiplied")


class Nothing(nn.Module):
    def forward(self, x):
        return None


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("total", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.total = self.total + x.sum()
        return x * self.calls


# -- how it is left ------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_training_flags_are_put_back_exactly(fails):
    net = Net().train()
    net.norm.eval()
    before = flags(net)

    try:
        with measured_state(net):
            assert not any(flags(net))
            if fails:
                raise ValueError
    except ValueError:
        pass

    assert flags(net) == before == [True, True, False]


def test_what_a_models_own_train_method_does_is_undone():
    class Merging(nn.Linear):
        merged = False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

    model = nn.Sequential(Merging(2, 2), Merging(2, 2))

    with measured_state(model):
        assert model[0].merged

    assert not model[0].merged
    assert all(flags(model))


def test_the_flags_of_a_compiled_model_are_put_back():
    net = Net()
    compiled = torch.compile(net, backend="eager")
    before = flags(net)

    with measured_state(compiled):
        assert not any(flags(net))

    assert flags(net) == before


def test_buffers_that_a_model_writes_to_or_replaces_are_put_back():
    model = Counter()
    calls, total = model.calls, model.total

    reference = reference_outputs(adapt_model(model, torch.ones(2)))

    assert model.calls is calls
    assert model.total is total
    assert float(calls) == float(total) == 0.0
    assert reference.deterministic
    assert reference.outputs["output"].tolist() == [1.0, 1.0]
    assert "writes to its buffers (calls, total)" in reference.notes[0]


class Restless(nn.Module):
    """Changes everything that it can in a call."""

    def __init__(self):
        super().__init__()
        self.written = nn.Parameter(torch.ones(2))
        self.replaced = nn.Parameter(torch.ones(2))
        self.moved = nn.Parameter(torch.ones(2))
        self.removed = nn.Parameter(torch.ones(2))
        self.table = torch.zeros(2)
        self.seen = []
        self.calls = 0

    def forward(self, x):
        self.written.data += 1
        self.replaced = nn.Parameter(torch.zeros(2))
        self.moved.data = torch.zeros(3)
        self.moved.requires_grad_(False)
        if hasattr(self, "removed"):
            del self.removed
        self.added = nn.Parameter(torch.zeros(2))
        self.cache = x
        self.table += 1
        self.seen.append(x)
        self.calls += 1
        self.written.grad = torch.ones(2)
        return x * self.written


def test_parameters_attributes_and_gradients_are_put_back():
    model = Restless()
    parameters, attributes = dict(model.named_parameters()), set(vars(model))
    table, seen = model.table, model.seen

    reference = reference_outputs(adapt_model(model, torch.ones(2)))

    now = dict(model.named_parameters())
    assert list(now) == list(parameters)
    assert all(now[name] is each for name, each in parameters.items())
    assert all(each.tolist() == [1.0, 1.0] for each in now.values())
    assert all(each.requires_grad and each.grad is None for each in now.values())
    assert set(vars(model)) == attributes
    assert (model.table is table, table.tolist()) == (True, [0.0, 0.0])
    assert (model.seen is seen, seen, model.calls) == (True, [], 0)
    assert reference.stateful
    assert reference.deterministic
    assert any("writes to its parameters (written," in note for note in reference.notes)


def test_the_sign_of_zero_and_the_bits_of_nan_are_put_back():
    class Zero(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("zero", torch.tensor([-0.0]))

        def forward(self, x):
            self.zero.abs_()
            return x + self.zero

    model = Zero()
    reference_outputs(adapt_model(model, torch.ones(2)))

    assert torch.signbit(model.zero).all()


def test_weights_that_eval_changes_are_no_writes_of_a_call():
    class Merging(nn.Linear):
        def train(self, mode=True):
            if mode != self.training:
                self.weight.data *= 3 if mode else 1 / 3
            return super().train(mode)

    model = Merging(4, 4)
    before = model.weight.detach().clone()

    reference = reference_outputs(adapt_model(model, torch.ones(2, 4)))

    assert torch.equal(model.weight, before)
    assert not reference.stateful
    assert reference.notes == ()


def test_the_model_trains_after_a_reference_run():
    net = Net()
    x = torch.randn(3, 4)
    reference_outputs(adapt_model(net, x))

    net(x).sum().backward()

    assert net.linear.weight.grad is not None


def test_random_states_are_put_back():
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(1), random.random()
    torch.manual_seed(3)
    random.seed(3)

    reference_outputs(adapt_model(Noisy(), torch.ones(2)))

    assert (torch.rand(1), random.random()) == expected


# -- the reference -------------------------------------------------------------


def test_the_reference_is_the_model_in_eval_mode():
    net, x = Net().train(), torch.randn(3, 4)
    net.norm.train()

    reference = reference_outputs(adapt_model(net, x, output_names=["logits"]))

    with torch.no_grad():
        expected = net.eval()(x).numpy()
    np.testing.assert_array_equal(reference.outputs["logits"], expected)
    assert reference.name == "Net (eager)"
    assert reference.outputs["logits"].dtype == np.float32
    assert reference.deterministic
    assert reference.self_difference == 0.0


def test_an_input_that_the_model_writes_to_is_as_given_in_every_run():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.add_(1)

    x = torch.zeros(2)

    reference = reference_outputs(adapt_model(InPlace(), x))

    assert reference.deterministic
    assert reference.outputs["output"].tolist() == [1.0, 1.0]
    assert x.tolist() == [0.0, 0.0]


def test_a_model_that_disagrees_with_itself_cannot_be_judged():
    reference = reference_outputs(adapt_model(Noisy(), torch.ones(100)))

    assert not reference.deterministic
    assert reference.self_difference > 0.01
    assert reference.not_judged.startswith("the model is not deterministic")


def test_a_model_that_raises_is_named_with_its_inputs_and_the_last_line_of_the_cause():
    with pytest.raises(ModelError) as error:
        reference_outputs(adapt_model(Raises(), torch.ones(3, 5)))

    assert error.value.message == "Raises raised RuntimeError: cannot be multiplied"
    assert "x: float32[3, 5]" in error.value.hint
    assert isinstance(error.value.__cause__, RuntimeError)


def test_numpys_default_precision_is_pointed_out():
    with pytest.raises(ModelError) as error:
        reference_outputs(adapt_model(Net(), np.ones((2, 4))))

    assert "'image' is float64, the model's parameters are float32." in error.value.hint


def test_a_model_that_returns_nothing_is_refused():
    with pytest.raises(ModelError, match="Nothing returned nothing"):
        reference_outputs(adapt_model(Nothing(), torch.ones(1)))


def test_declared_output_names_that_do_not_fit_show_what_the_model_returns():
    with pytest.raises(InputError, match="Net, which returns 1 tensor: output"):
        reference_outputs(adapt_model(Net(), torch.ones(2, 4), output_names=["a", "b"]))


def test_the_float64_form_is_nearer_to_the_truth_and_leaves_the_model_as_it_was():
    net = Net().half()
    reference = reference_outputs(adapt_model(net, torch.randn(3, 4).half()))

    form = reference.float64()

    assert form.outputs["output"].dtype == np.float64
    assert reference.outputs["output"].dtype == np.float16
    np.testing.assert_allclose(form.outputs["output"], reference.outputs["output"], atol=1e-2)
    assert net.linear.weight.dtype == torch.float16
    assert reference.float64() is form


def test_a_model_with_no_float64_form_says_why():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = [torch.ones(4, 4)]

        def forward(self, x):
            return x @ self.table[0]

    reference = reference_outputs(adapt_model(Fixed(), torch.ones(1, 4)))

    form = reference.float64()

    assert form.outputs is None
    assert "RuntimeError" in form.reason


def test_bfloat16_models_have_a_reference():
    net = Net().bfloat16()

    reference = reference_outputs(adapt_model(net, torch.ones(2, 4, dtype=torch.bfloat16)))

    assert next(iter(reference.outputs.values())).dtype.name == "bfloat16"
    assert reference.deterministic
