"""From which modules of a model do the nodes of its export come?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
nn = torch.nn

from real_models import own_cache  # noqa: E402

from lexer_core import LexerContext  # noqa: E402
from lexer_core.errors import ExportError  # noqa: E402
from lexer_core.export.module_scopes import ScopedNode, read_module_scopes  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.linear(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.module = nn.Sequential(nn.Linear(4, 2))

    def forward(self, x):
        for block in (*self.blocks, self.blocks[0]):
            x = block(x)
        return self.module(x).exp()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    LexerContext().export(Net(), torch.ones(1, 4), path, validation=False)
    return path


@pytest.fixture(scope="module")
def nodes(path: Path) -> tuple[ScopedNode, ...]:
    nodes = read_module_scopes(path)
    assert nodes is not None
    return nodes


def test_nodes_are_in_order_with_the_modules_that_called_them(nodes):
    computing = [(node.operator, node.module) for node in nodes if node.operator != "Constant"]

    assert computing == [
        ("Gemm", "blocks.0.linear"),
        ("Tanh", "blocks.0"),
        ("Gemm", "blocks.1.linear"),
        ("Tanh", "blocks.1"),
        ("Gemm", "blocks.0.linear"),  # the second call of a module is of the same module
        ("Tanh", "blocks.0"),
        ("Gemm", "module.0"),  # the model's own module of that name, not Lexer's wrapper
        ("Exp", ""),
    ]


def test_nodes_have_the_tensors_that_connect_them(nodes):
    made = {output for node in nodes for output in node.outputs}

    assert nodes[-1].inputs[0] in nodes[-2].outputs
    assert len(made) == len([output for node in nodes for output in node.outputs])


def test_without_metadata_modules_are_unknown(path, tmp_path):
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("metadata_props")
    onnx.save(model, tmp_path / "bare.onnx")

    nodes = read_module_scopes(tmp_path / "bare.onnx")

    assert {node.module for node in nodes} == {None}


@pytest.mark.parametrize("written", ["", "[1]", "['', 'a'", "__import__('os').abort()", "{}"])
def test_metadata_that_is_not_a_list_of_names_says_nothing(written, path, tmp_path):
    model = onnx.load(path)
    for entry in model.graph.node[0].metadata_props:
        entry.value = written
    onnx.save(model, tmp_path / "odd.onnx")

    nodes = read_module_scopes(tmp_path / "odd.onnx")

    assert nodes[0].module is None
    assert nodes[1].module is not None


def test_a_node_reads_what_its_subgraph_reads_from_the_graph(tmp_path):
    graph = onnx.parser.parse_graph(
        """g (bool c, float[2] x) => (float[2] y) {
            a = Identity(x)
            y = If (c) <
                then_branch = t () => (float[2] p) { q = Neg(a) p = Abs(q) },
                else_branch = e () => (float[2] r) { r = Identity(x) }
            >
        }"""
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "if.onnx")

    node = read_module_scopes(tmp_path / "if.onnx")[1]

    assert (node.operator, node.inputs, node.outputs) == ("If", ("c", "a", "x"), ("y",))


def test_a_file_that_is_not_a_model_is_refused(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"\x08no")

    with pytest.raises(ExportError, match=r"no\.onnx is not a valid ONNX model"):
        read_module_scopes(tmp_path / "no.onnx")
