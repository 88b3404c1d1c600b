"""Do engines and reports show the user's names, whatever they are?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import (  # noqa: E402
    AGREE,
    BOTH,
    IN_CALLER,
    benchmark,
    output_names,
    own_cache,
    parities,
    statuses,
)

from lexer_core import LexerContext  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

EXPORTERS = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


class Normalize(nn.Module):
    """Inputs and outputs have the names of operators in the graph."""

    def forward(self, x: Any, statistics: Any) -> Any:
        y = (x - statistics["mean"]) / statistics["std"]
        return {"sub": x.mean(), "mean": y, "div": x.std(), "add": y + 1, "mul": y * 2}

    @staticmethod
    def inputs() -> Any:
        return torch.randn(2, 4), {"mean": torch.randn(2, 4), "std": torch.rand(2, 4) + 1}


class Sum(nn.Module):
    """Adds the tensors of a dict; the keys of its outputs are the user's."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__()
        self.keys = keys
        self.linear = nn.Linear(4, 4)

    def forward(self, batch: Any) -> Any:
        total = self.linear(sum(batch.values()))
        return {key: total * number for number, key in enumerate(self.keys, 1)}


ODD = ("class", "a b", "1st", "x.y", "add", "a/b", "ü", "module.linear.weight", "linear.bias")


@EXPORTERS
def test_names_of_operators_do_not_collide(exporter: str) -> None:
    report = benchmark(Normalize(), Normalize.inputs(), **IN_CALLER, exporter=exporter)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert [spec.name for spec in report.input_specs] == ["x", "statistics.mean", "statistics.std"]
    assert output_names(report["onnxruntime"]) == ["sub", "mean", "div", "add", "mul"]


@EXPORTERS
def test_declared_names_may_be_those_of_operators_and_weights(exporter: str) -> None:
    batch = {key: torch.randn(2, 4) for key in ("a", "b")}

    report = benchmark(
        Sum(("first", "second")),
        (batch,),
        **IN_CALLER,
        exporter=exporter,
        input_names=["add", "module.linear.weight"],
        output_names=["linear", "mul"],
    )

    assert parities(report) == AGREE
    assert [spec.name for spec in report.input_specs] == ["add", "module.linear.weight"]
    assert output_names(report["onnxruntime"]) == ["linear", "mul"]


@EXPORTERS
def test_any_text_is_a_name(exporter: str) -> None:
    batch = {key: torch.randn(2, 4) for key in ODD}

    report = benchmark(Sum(ODD), (batch,), **IN_CALLER, exporter=exporter)

    assert parities(report) == AGREE
    assert [spec.name for spec in report.input_specs] == [f"batch.{key}" for key in ODD]
    assert output_names(report["onnxruntime"]) == list(ODD)


@EXPORTERS
def test_a_file_has_the_users_names_of_inputs_outputs_and_axes(
    exporter: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    batch = {"add": torch.randn(2, 4), "in": torch.randn(2, 4)}

    LexerContext(exporter=exporter).export(
        Sum(("mul", "add")),
        (batch,),
        path,
        input_names=["add", "1st input"],
        output_names=["mul", "linear"],
        dynamic_axes={"add": {0: "batch size"}, "1st input": {0: "batch size"}},
    )

    session = onnxruntime.InferenceSession(path)
    assert [(node.name, node.shape) for node in session.get_inputs()] == [
        ("add", ["batch size", 4]),
        ("1st input", ["batch size", 4]),
    ]
    assert [node.name for node in session.get_outputs()] == ["mul", "linear"]
    ones = np.ones((7, 4), np.float32)
    mul, linear = session.run(None, {"add": ones, "1st input": ones})
    np.testing.assert_allclose(linear, mul * 2, rtol=1e-5)


class Loop(nn.Module):
    """Control flow: the graph has inner graphs, which see the outer names."""

    def forward(self, x: torch.Tensor, count: int) -> dict[str, torch.Tensor]:
        for _ in range(count):
            x = x + x.mean()
        return {"add": x, "mean": x * 2}


def test_names_in_inner_graphs_do_not_collide() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loop = torch.jit.script(Loop())

        def forward(self, add: Any) -> Any:
            found = self.loop(add, 3)
            return {"mul": found["add"], "mean": found["mean"]}

    report = benchmark(Outer(), torch.randn(2, 4), **IN_CALLER)

    assert parities(report) == AGREE
    assert output_names(report["onnxruntime"]) == ["mul", "mean"]


class Passing(nn.Module):
    def forward(self, x: Any) -> Any:
        y = x * 2
        return {"x": x, "same": y, "again": y, "none": None, "view": y[:1]}


def test_an_output_may_be_an_input_or_another_output() -> None:
    report = benchmark(Passing(), torch.randn(2, 4), **IN_CALLER)

    assert parities(report) == AGREE
    assert output_names(report["onnxruntime"]) == ["x_output", "same", "again", "view"]


def test_so_may_those_of_a_program() -> None:
    program = torch.export.export(Passing(), (torch.randn(2, 4),))

    report = benchmark(program, torch.randn(2, 4), **IN_CALLER)

    assert parities(report) == AGREE
    assert output_names(report["onnxruntime"]) == ["x_output", "same", "again", "view"]
