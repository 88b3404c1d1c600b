"""Does an artifact that the previous version wrote still work?

``data/written-by-0.1.lexer`` is a real benchmark of a small linear layer, with
its samples and its ONNX model, written before ``input_options`` existed. Keep
the file: it can only be written again by that version.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lexer_core.artifact import contents, load, save
from lexer_core.cli.show import show
from lexer_core.comparison import compare

WRITTEN = Path(__file__).parent / "data" / "written-by-0.1.lexer"


@pytest.fixture
def report():
    return load(WRITTEN)


def test_it_loads_with_rows_samples_and_model(report):
    assert [row.label for row in report.results] == ["torch", "onnxruntime"]
    assert report["onnxruntime"].rank == 1
    assert report.input_options == ()
    for row in report:
        assert row.samples.shape == (row.num_samples,)
        assert np.median(row.samples) * 1000 == pytest.approx(row.p50_ms)
        assert set(row.sample_launches) == {0, 1}
        assert row.warm_up_samples.size > 0
    (model,) = report.models
    assert model.labels == ("onnxruntime",)
    assert model.files[0].read_bytes().startswith(b"\x08")  # ir_version, the first ONNX field


def test_its_files_are_listed():
    assert {entry.name for entry in contents(WRITTEN)} == {
        "run.toml",
        "run.csv",
        "report.json",
        "samples.npz",
        "run.onnx",
    }


def test_it_prints():
    result = CliRunner().invoke(show, [str(WRITTEN)])

    assert result.exit_code == 0, result.output
    assert "ONNXRuntime is 3.41x faster than Torch (95% 3.39-3.44)" in result.output


def test_it_compares_with_itself_without_a_difference():
    (pair,) = compare(WRITTEN, WRITTEN).pairs

    assert [case.label for case in pair.cases] == ["torch", "onnxruntime"]
    for case in pair.cases:
        assert case.ratio.estimate == pytest.approx(1.0)
        assert case.verdict not in ("slower", "faster")


def test_it_is_the_same_after_it_is_saved_again(report, tmp_path):
    saved = load(save(report, tmp_path / "again.lexer"))

    assert saved == report
    for row, other in zip(saved, report, strict=True):
        assert np.array_equal(row.samples, other.samples)
