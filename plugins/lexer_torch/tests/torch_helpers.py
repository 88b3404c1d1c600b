"""What the tests of models on torch share. Importing it skips a module where torch is missing."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from lexer_core.model.adapt import adapt_model, model_source, with_output_names  # noqa: E402
from lexer_core.model.reference import reference_outputs  # noqa: E402
from lexer_core.records import CPU, SessionConfig  # noqa: E402
from lexer_core.validation import judge  # noqa: E402


class Net(nn.Module):
    """A linear layer and a BatchNorm that is frozen, with an optional mask."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.norm.eval()

    def forward(self, image, mask=None):
        y = self.norm(self.linear(image))
        return y if mask is None else y * mask


def flags(module):
    return [each.training for each in module.modules()]


def scripted(module):
    with warnings.catch_warnings():
        # torch deprecates TorchScript since 2.13; models made with it are still about.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(module)


def adapted_with_reference(model, input, **names):
    adapted = adapt_model(model, input, **names)
    reference = reference_outputs(adapted)
    return with_output_names(adapted, reference.output_names), reference


def exported(engine, adapted, path, format="torch"):
    return engine.export_model(model_source(adapted), format, CPU, path, {})


def outputs_of(engine, session, inputs):
    call = engine.make_call(session, engine.place_inputs(session, inputs, CPU))
    with engine.call_context(session):
        outputs = call.run()
    return engine.fetch_outputs(session, outputs)


def run_once(engine, model, input, path, **config):
    """Outputs of one session, and whether they agree with the reference."""
    adapted, reference = adapted_with_reference(model, input)
    config = {"threads": 1, "isolated": False} | config
    session = engine.create_session(exported(engine, adapted, path), CPU, SessionConfig(**config))
    try:
        outputs = outputs_of(engine, session, adapted.inputs)
    finally:
        session.close()
    return outputs, judge(outputs, reference.outputs, reference_name=reference.name)
