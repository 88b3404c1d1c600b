"""Is the smallest engine a whole one?"""

from __future__ import annotations

import re

import numpy as np
import pytest
from installed import ENGINES, installed

pytest.importorskip("onnx")
pytest.importorskip("lexer_ort")

import onnx

from lexer_core.context import LexerContext
from lexer_core.testing import EngineConformance

pytestmark = pytest.mark.onnxruntime

SOURCE = ENGINES / "reference" / "lexer_reference.py"
PAGE = ENGINES.parents[1] / "docs" / "writing-an-engine.md"


@pytest.fixture(scope="module", autouse=True)
def reference(tmp_path_factory):
    with installed("reference", tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def model(tmp_path):
    graph = onnx.parser.parse_graph("g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, x) }")
    path = tmp_path / "double.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def test_it_is_a_row_beside_onnxruntime_whose_outputs_agree(model):
    report = LexerContext(num_iterations=20, warm_up_seconds=0.0, threads=1).benchmark(
        model, np.ones((2, 3), np.float32), engines=["onnxruntime", "reference"]
    )

    row = report["reference"]
    assert (row.status, row.isolation, row.engine) == ("ok", "process", "ONNX reference"), row.error
    assert row.num_samples == 20
    assert row.parity.status == "pass"


def test_a_device_that_it_lacks_costs_its_row(model):
    report = LexerContext(num_iterations=5, warm_up_seconds=0.0, isolation="none").benchmark(
        model, np.ones((2, 3), np.float32), engines=["reference"], device="cuda"
    )

    assert report["reference"].status == "failed"
    assert "no device 'cuda'" in report["reference"].error.reason


def test_it_has_under_40_lines():
    assert len(SOURCE.read_text("utf-8").splitlines()) < 40


def test_the_documentation_shows_these_very_files():
    fences = re.findall(r"```\w+\n# ([\w.]+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    shown = dict(fences)

    for name in ("lexer_reference.py", "pyproject.toml"):
        assert shown[name] == (SOURCE.parent / name).read_text("utf-8")


class TestConformance(EngineConformance):
    engine_name = "reference"
