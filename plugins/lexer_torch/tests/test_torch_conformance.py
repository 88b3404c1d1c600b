"""Do torch's engines keep the contract? Every check of the kit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lexer_core.testing import EngineConformance  # noqa: E402


@pytest.mark.torch
class TestTorch(EngineConformance):
    engine_name = "torch"
