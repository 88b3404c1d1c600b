from pathlib import Path

import pytest
import torch
from digits import DigitNet

from lexer_core.pytest_plugin import assert_faster, assert_no_regression

BASE = Path(__file__).parent / "base.lexer"


@pytest.fixture(scope="module")
def report(lexer_benchmark):
    images = torch.randn(1, 1, 28, 28)
    return lexer_benchmark(DigitNet(), images, engines=["torch", "onnxruntime"])


def test_onnxruntime_is_worth_the_export(report):
    assert_faster(report, "onnxruntime", than="torch", at_least=1.5)


@pytest.mark.skipif(not BASE.exists(), reason="base.lexer has not been saved")
def test_the_model_is_as_fast_as_its_base():
    assert_no_regression(BASE, DigitNet(), threshold=0.1, rows=["onnxruntime"])
