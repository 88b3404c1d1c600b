"""What changed of a model: its weights, or what it does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fresh_processes import printed_by_fresh_processes

from lexer_core.export.identity import file_identity, module_identity, program_identity

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Net(torch.nn.Module):
    def __init__(self, width: int = 4, slope: float = 0.5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, width)
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale * self.slope


class Rectified(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x) * self.scale * self.slope)


class Own(torch.Tensor):
    """A tensor subclass; what its values mean is unknown."""


class Unprintable(Net):
    def extra_repr(self) -> str:
        raise RuntimeError("no description")


def traced(module: torch.nn.Module) -> dict[str, str]:
    program = torch.export.export(module.eval(), (torch.ones(2, 3),))
    return module_identity(module).with_parts(program_identity(program)).digests


def differing(first: dict[str, str], second: dict[str, str]) -> set[str]:
    assert first.keys() == second.keys()
    return {name for name in first if first[name] != second[name]}


def with_weight(change: Callable[[Net], None]) -> Net:
    net = Net()
    with torch.no_grad():
        change(net)
    return net


def test_the_same_model_made_twice_is_the_same() -> None:
    assert traced(Net()) == traced(Net())
    assert set(traced(Net())) == {"weights", "modules", "graph", "constants"}


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.layer.weight[0, 0].add_(1e-6),
        lambda net: net.layer.bias.zero_(),
        lambda net: net.scale.fill_(2),
    ],
    ids=["weight", "bias", "buffer that is not saved"],
)
def test_a_changed_number_is_changed_weights_and_nothing_else(
    change: Callable[[Net], None],
) -> None:
    assert differing(traced(Net()), traced(with_weight(change))) == {"weights"}


def test_changed_code_is_seen_in_the_graph_and_the_modules() -> None:
    other = Rectified()
    assert differing(traced(Net()), traced(other)) == {"graph", "modules"}


def test_a_constant_in_the_code_is_seen_in_the_graph() -> None:
    assert "graph" in differing(traced(Net()), traced(Net(slope=0.25)))


def test_without_a_trace_the_modules_and_their_code_are_known() -> None:
    assert set(module_identity(Net()).digests) == {"weights", "modules"}
    digests = module_identity(Net()).digests
    assert differing(digests, module_identity(Rectified()).digests) == {"modules"}
    wider = differing(digests, module_identity(Net(width=5)).digests)
    assert wider == {"weights", "modules"}


def test_weights_of_an_unknown_kind_are_left_out_and_nothing_else() -> None:
    net = Net()
    net.register_buffer("own", torch.ones(2, 2).as_subclass(Own))

    identity = module_identity(net)

    assert set(identity.digests) == {"modules"}
    (note,) = identity.notes
    assert "the model's weights changed: constant 'own' is of type Own" in note


def test_modules_that_do_not_print_themselves_are_left_out_and_nothing_else() -> None:
    identity = module_identity(Unprintable())

    assert set(identity.digests) == {"weights"}
    assert "RuntimeError: no description" in identity.notes[0]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("kind", ["sparse_coo", "sparse_csr", "quantized"])
def test_a_changed_number_in_a_tensor_that_is_not_dense_is_seen(kind: str) -> None:
    def with_buffer(last: float) -> Net:
        values = torch.tensor([[1.0, 0.0], [0.0, last]])
        if kind == "quantized":
            values = torch.quantize_per_tensor(values, 0.5, 0, torch.qint8)
        else:
            values = values.to_sparse(layout=getattr(torch, kind))
        net = Net()
        net.register_buffer("special", values)
        return net

    first, again, other = (module_identity(with_buffer(last)).digests for last in (1.0, 1.0, 2.0))

    assert differing(first, again) == set()
    assert differing(first, other) == {"weights"}


def test_changed_torchscript_code_is_seen() -> None:
    first, other = (module_identity(torch.jit.script(kind())).digests for kind in (Net, Rectified))

    assert differing(first, other) == {"modules"}


def test_digests_do_not_depend_on_the_process() -> None:
    code = "from test_model_identity import Net, traced; print(sorted(traced(Net()).items()))"
    told = printed_by_fresh_processes(code)
    assert len(told) == 1


def an_onnx_file(path: Path, weight: float = 1.0, op: str = "Add", doc: str = "") -> Path:
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    import numpy as np

    spec = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], doc_string=doc)],
        "graph",
        [spec("x", onnx.TensorProto.FLOAT, [2])],
        [spec("y", onnx.TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.full(2, weight, np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, producer_name=f"test {doc}"), path)
    return path


def test_weights_and_graph_of_a_file_are_told_apart(tmp_path: Path) -> None:
    base = file_identity(an_onnx_file(tmp_path / "base.onnx"))

    assert set(base) == {"weights", "graph"}
    assert differing(base, file_identity(an_onnx_file(tmp_path / "a.onnx", doc="again"))) == set()
    weights = file_identity(an_onnx_file(tmp_path / "b.onnx", weight=2.0))
    assert differing(base, weights) == {"weights"}
    assert differing(base, file_identity(an_onnx_file(tmp_path / "c.onnx", op="Mul"))) == {"graph"}


def test_weights_beside_a_file_belong_to_it(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    digests = []
    for name, weight in (("one", 1.0), ("same", 1.0), ("two", 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        model = onnx.load(an_onnx_file(tmp_path / "whole.onnx", weight))
        onnx.save_model(
            model,
            folder / "model.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        digests.append(file_identity(folder / "model.onnx"))

    assert digests[0] == digests[1]
    assert differing(digests[0], digests[2]) == {"weights"}


def test_a_file_that_cannot_be_read_as_onnx_is_known_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"any bytes")

    assert set(file_identity(path)) == {"file"}
