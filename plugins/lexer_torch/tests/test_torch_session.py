from __future__ import annotations

import inspect
import time

import numpy as np
import pytest
from torch_helpers import (
    Net,
    adapted_with_reference,
    exported,
    flags,
    nn,
    outputs_of,
    run_once,
    torch,
)

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import UnsupportedError
from lexer_core.records import CPU, Call, SessionConfig

pytestmark = pytest.mark.torch


class Seen(nn.Module):
    """Returns what it can see of how it is called."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):
        return {
            "training": torch.tensor(self.training),
            "inference": torch.tensor(torch.is_inference_mode_enabled()),
            "grad": torch.tensor(torch.is_grad_enabled()),
            "threads": torch.tensor(torch.get_num_threads()),
            "channels_last": torch.tensor(
                x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
            ),
            "precision": self.linear.weight.sum() + x.sum().to(self.linear.weight.dtype),
            "matmul_is_medium": torch.tensor(torch.get_float32_matmul_precision() == "medium"),
        }


@pytest.fixture(scope="module")
def engine():
    return EngineRegistry().get("torch")


# -- how it is called, and how all is left -------------------------------------


def test_an_isolated_session_runs_in_inference_mode(engine, tmp_path):
    seen, _ = run_once(engine, Seen(), torch.ones(2), tmp_path, isolated=True)

    assert seen["inference"]
    assert not seen["training"]


def test_a_session_in_the_users_process_runs_without_gradients_only(engine, tmp_path):
    seen, _ = run_once(engine, Seen(), torch.ones(2), tmp_path, isolated=False)

    assert not seen["inference"]
    assert not seen["grad"]
    assert not seen["training"]


def test_the_users_model_and_process_are_as_they_were_after_close(engine, tmp_path):
    model = Net().train()
    model.norm.eval()
    before = flags(model)
    running, threads = model.norm.running_mean.clone(), torch.get_num_threads()
    adapted, _ = adapted_with_reference(model, torch.randn(3, 4))

    session = engine.create_session(
        exported(engine, adapted, tmp_path),
        CPU,
        SessionConfig(
            threads=threads + 1,
            isolated=False,
            options={"channels_last": False, "float32_matmul_precision": "medium"},
        ),
    )
    outputs_of(engine, session, adapted.inputs)
    during = torch.get_num_threads(), torch.get_float32_matmul_precision()
    session.close()
    session.close()

    assert during == (threads + 1, "medium")
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "highest"
    assert flags(model) == before
    assert torch.equal(model.norm.running_mean, running)
    model(torch.randn(3, 4)).sum().backward()


def test_threads_and_options_take_effect(engine, tmp_path):
    before = torch.get_num_threads()
    seen, _ = run_once(
        engine,
        Seen(),
        torch.ones(1, 3, 4, 4),
        tmp_path,
        threads=before + 1,
        options={"channels_last": True, "float32_matmul_precision": "medium"},
    )

    assert seen["threads"] == before + 1
    assert seen["channels_last"]
    assert seen["matmul_is_medium"]


def test_weights_are_put_into_channels_last_without_touching_the_users_model(engine, tmp_path):
    model = nn.Conv2d(3, 8, 3)
    adapted, reference = adapted_with_reference(model, torch.randn(1, 3, 8, 8))
    session = engine.create_session(
        exported(engine, adapted, tmp_path),
        CPU,
        SessionConfig(threads=1, isolated=False, options={"channels_last": True}),
    )

    placed = engine.place_inputs(session, adapted.inputs, CPU)

    assert placed.func.weight.is_contiguous(memory_format=torch.channels_last)
    assert not model.weight.is_contiguous(memory_format=torch.channels_last)
    outputs = outputs_of(engine, session, adapted.inputs)
    np.testing.assert_allclose(outputs["output"], reference.outputs["output"], atol=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float64"])
def test_a_precision_casts_a_copy_of_the_model_and_its_inputs(engine, precision, tmp_path):
    model = Seen()

    seen, _ = run_once(engine, model, torch.ones(2), tmp_path, precision=precision)

    assert seen["precision"].dtype.name == precision
    assert model.linear.weight.dtype == torch.float32


def test_a_precision_that_torch_does_not_cast_to_is_unsupported(engine, tmp_path):
    with pytest.raises(UnsupportedError, match="precision 'int8'"):
        run_once(engine, Seen(), torch.ones(2), tmp_path, precision="int8")


def test_a_model_that_cannot_be_copied_is_unsupported_where_a_copy_is_needed(engine, tmp_path):
    class Single(nn.Linear):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one")

    with pytest.raises(UnsupportedError, match="there is only one"):
        run_once(engine, Single(2, 2), torch.ones(1, 2), tmp_path, precision="float64")


def test_a_failed_session_leaves_the_process_as_it_was(engine, tmp_path):
    before = torch.get_num_threads()

    with pytest.raises(UnsupportedError):
        run_once(engine, Seen(), torch.ones(2), tmp_path, precision="int8", threads=before + 1)

    assert torch.get_num_threads() == before


def test_a_call_adds_no_python_frame_to_the_modules_own(engine, tmp_path):
    class Frames(nn.Module):
        def forward(self, x):
            return x, torch.tensor(len(inspect.stack(0)))

    adapted, _ = adapted_with_reference(Frames(), torch.ones(1))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )
    call = engine.make_call(session, engine.place_inputs(session, adapted.inputs, CPU))

    by_lexer, by_hand = call.run()[1], session.module(torch.ones(1))[1]

    assert int(by_lexer) == int(by_hand)


# -- timing and placement ------------------------------------------------------


def test_a_block_makes_exactly_the_calls_that_were_asked_for(engine, tmp_path):
    adapted, _ = adapted_with_reference(nn.Linear(2, 2), torch.ones(1, 2))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )
    calls = []

    timings = engine.time_calls(
        session, Call(run=lambda: calls.append(1)), 5, 3, CPU, time.perf_counter_ns
    )

    assert len(calls) == 15
    assert timings.host.shape == (5,)
    assert timings.device is None


def test_a_device_s_events_are_on_both_sides_of_the_work():
    happened = []

    class FakeEvent:
        def __init__(self):
            self.at = None

        def record(self):
            self.at = len(happened)
            happened.append("event")

        def elapsed_time(self, end):
            return 1000.0 * (end.at - self.at)

    from lexer_torch.timing import EventPairs  # imports torch

    pairs = EventPairs(2, lambda: happened.append("wait"), FakeEvent)
    for _ in range(2):
        pairs()
        happened.append("work")
        pairs()

    assert happened == ["wait", "event", "work", "event", "wait"] * 2
    assert pairs.seconds_per_call(loops=2).tolist() == [1.0, 1.0]


def test_all_operators_run_on_the_cpu(engine, tmp_path):
    adapted, _ = adapted_with_reference(Net(), torch.ones(2, 4))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )
    engine.place_inputs(session, adapted.inputs, CPU)

    placement = engine.describe_placement(session)

    assert (placement.share, placement.method, placement.fallbacks) == (1.0, "nodes", ())


def test_operators_that_run_elsewhere_are_named(engine, tmp_path):
    class Elsewhere(nn.Module):
        def forward(self, x):
            torch.zeros(3, device="meta").neg()
            return x + 1

    adapted, _ = adapted_with_reference(Elsewhere(), torch.ones(2))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )
    engine.place_inputs(session, adapted.inputs, CPU)

    placement = engine.describe_placement(session)

    assert 0.0 < placement.share < 1.0
    assert placement.fallbacks == ("meta: 2 nodes (1 aten.zeros.default, 1 aten.neg.default)",)


def test_placement_is_unknown_before_inputs_are_placed(engine, tmp_path):
    adapted, _ = adapted_with_reference(nn.Linear(2, 2), torch.ones(1, 2))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )

    assert engine.describe_placement(session).method == "unknown"
