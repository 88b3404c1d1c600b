"""What do torch's engines do about an accelerator? As far as a CPU can tell."""

from __future__ import annotations

import pytest
from torch_helpers import adapted_with_reference, exported, nn, torch

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import EngineError, HookError, UnsupportedError
from lexer_core.records import CPU, SessionConfig
from lexer_torch.device_memory import explain_exhaustion
from lexer_torch.versions import read_tf32

pytestmark = pytest.mark.torch

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 4.00 GiB. GPU 0 has a total capacity of 79.19 GiB "
    "of which 1.25 GiB is free. Process 12 has 77.94 GiB memory in use. Of the allocated "
    "memory 70.00 GiB is allocated by PyTorch."
)


@pytest.fixture
def engine():
    return EngineRegistry().get("torch")


def open_session(engine, model, tmp_path, **options):
    adapted, _ = adapted_with_reference(model, torch.ones(1, 2))
    config = SessionConfig(threads=1, isolated=False, options=options)
    return engine.create_session(exported(engine, adapted, tmp_path), CPU, config)


@pytest.mark.parametrize("in_hook", [False, True])
def test_too_little_memory_is_explained_with_its_numbers(in_hook):
    error = torch.OutOfMemoryError(OUT_OF_MEMORY)
    if in_hook:
        wrapped = HookError("lexer_time_calls raised")
        wrapped.__cause__ = error
        error = wrapped

    with pytest.raises(EngineError) as raised, explain_exhaustion(torch.device("cuda:0")):
        raise error

    assert raised.value.message == (
        "cuda:0 ran out of memory: a tensor of 4.00 GiB was needed, and 1.25 GiB of 79.19 GiB "
        "were free."
    )
    assert "smaller batch" in raised.value.hint


def test_other_errors_are_left_as_they_are():
    with pytest.raises(ZeroDivisionError), explain_exhaustion(torch.device("cuda:0")):
        raise ZeroDivisionError


def test_a_graph_needs_a_cuda_device(engine, tmp_path):
    threads = torch.get_num_threads()

    with pytest.raises(UnsupportedError, match="cuda_graph=true needs a CUDA device, not cpu"):
        open_session(engine, nn.Linear(2, 2), tmp_path, cuda_graph=True)

    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("wanted", [True, False])
def test_tf32_is_set_for_products_and_convolutions_and_put_back(engine, tmp_path, wanted):
    before = read_tf32()

    session = open_session(engine, nn.Linear(2, 2), tmp_path, tf32=wanted)
    during = read_tf32()
    session.close()

    assert during == (wanted, wanted)
    assert read_tf32() == before


def test_a_session_on_the_cpu_neither_uses_tf32_nor_memory_of_a_device(engine, tmp_path):
    session = open_session(engine, nn.Linear(2, 2), tmp_path, tf32=True)

    usage = engine.device_usage(session)

    assert not engine.uses_tf32(session)
    assert (usage.peak_memory_bytes, usage.notes) == (None, ())
    session.close()
