"""Do torch's engines keep the contract? Every check of the kit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lexer_core.testing import EngineConformance  # noqa: E402

NO_IMAGES = "none of the kit's models has tensors of 4 dimensions; test_torch_session.py has"


def matmul_precision(session):
    return torch.get_float32_matmul_precision()


@pytest.mark.torch
class TestTorch(EngineConformance):
    engine_name = "torch"
    option_effects = {  # noqa: RUF012 - as the kit reads it
        "channels_last": NO_IMAGES,
        "float32_matmul_precision": matmul_precision,
    }
