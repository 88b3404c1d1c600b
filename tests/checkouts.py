"""Checkouts of one model, whose modules have the same names in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NET = """
import torch
from layers import apply, make_layers


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = make_layers()

    def forward(self, x):
        return apply(self.layers, x)
"""
LAYERS = """
import torch


def make_layers():
    return torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(DEPTH)])


def apply(layers, x):
    assert len(layers) == DEPTH, "this is the layers.py of another checkout"
    return layers(x)
"""
LAYER_BYTES = (128 * 128 + 128) * 4


def check_out(folder: Path, depth: int, net: str = NET, layers: str = "layers.py") -> Path:
    """Write a checkout: ``net.py``, and the module of its layers."""
    folder.mkdir()
    (folder / "net.py").write_text(net)
    (folder / layers).parent.mkdir(exist_ok=True)
    (folder / layers).write_text(LAYERS.replace("DEPTH", str(depth)))
    return folder
