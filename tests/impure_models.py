"""Models whose calls do more than read tensors: they write to their inputs, for example.

Importing it needs torch. Every class is a test case; ``EXAMPLES`` has an input for each.
"""

from __future__ import annotations

import random
from collections import namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

torch = pytest.importorskip("torch")
nn = torch.nn


# -- inputs that forward writes to ---------------------------------------------------


class InPlace(nn.Module):
    def forward(self, x):
        return x.sub_(0.5).div_(0.25)


class ThroughView(nn.Module):
    def forward(self, x):
        x[0].mul_(3)
        return x + 1


class OutArgument(nn.Module):
    def forward(self, x, y):
        torch.add(x, y, out=x)
        return x * 2


class Nested(nn.Module):
    def forward(self, batch):
        batch["pair"][1].add_(1)
        return batch["x"] + batch["pair"][0] * batch["pair"][1]


class Integers(nn.Module):
    def forward(self, ids):
        ids.clamp_(max=3).add_(2)
        return ids * 2


class Keyword(nn.Module):
    def forward(self, x, *, scale):
        scale.mul_(2)
        return x * scale


class Resized(nn.Module):
    def forward(self, x):
        doubled = x * 2
        x.resize_(x.shape[0] + 1, *x.shape[1:])
        return doubled


class SameTwice(nn.Module):
    def forward(self, x, y):
        x.add_(1)
        return x + 2 * y


# -- containers that forward changes -------------------------------------------------


class Appends(nn.Module):
    def forward(self, parts):
        parts.append(parts[-1] + 1)
        return torch.stack(tuple(parts)).sum(0)


class Pops(nn.Module):
    def forward(self, parts):
        last = parts.pop()
        return sum(parts, last * 3)


class PopsKey(nn.Module):
    def forward(self, batch):
        mask = batch.pop("mask", None)
        return batch["x"] if mask is None else batch["x"] * mask


# -- objects with tensors ------------------------------------------------------------


class Memory:
    """A cache like those of transformers: an object that only has attributes."""

    def __init__(self, state):
        self.state = state
        self.calls = 0

    def push(self, x):
        self.state = torch.cat((self.state, x))
        self.calls += 1
        return self.state


class SlottedMemory:
    """A cache whose tensors Lexer cannot take out of it."""

    __slots__ = ("state",)

    def __init__(self, state):
        self.state = state

    def push(self, x):
        self.state = torch.cat((self.state, x))
        return self.state


@dataclass
class Record:
    state: Any
    step: int = 0

    def push(self, x):
        self.state = torch.cat((self.state, x))
        self.step += 1
        return self.state


Pair = namedtuple("Pair", ["state", "scale"])


class WithMemory(nn.Module):
    def forward(self, x, memory):
        return x * memory.push(x).mean()


class WithPair(nn.Module):
    def forward(self, x, pair):
        pair.state.add_(1)
        return x * pair.state * pair.scale


class WithPacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 3)

    def forward(self, packed):
        return self.gru(packed)[1]


class WithGenerator(nn.Module):
    """Draws from a generator that it gets: each call advances it."""

    def forward(self, x, generator):
        return x + torch.rand(x.shape, generator=generator)


class WithRandom(nn.Module):
    def forward(self, x, generator):
        return x * generator.random()


# -- gradients in forward ------------------------------------------------------------


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


class Forces(Energy):
    """Needs gradients to be enabled by the caller."""

    def forward(self, positions):
        positions = positions.detach().requires_grad_()
        energy = self.net(positions).sum()
        return -torch.autograd.grad(energy, positions)[0]


class ForcesOfInput(Energy):
    """Needs an input that requires gradients, too."""

    def forward(self, positions):
        energy = self.net(positions).sum()
        return -torch.autograd.grad(energy, positions)[0]


class ForcesWithOwnGradients(Energy):
    """Enables gradients itself, which inference mode does not allow."""

    def forward(self, positions):
        with torch.enable_grad():
            positions = positions.detach().requires_grad_()
            energy = self.net(positions).sum()
            return -torch.autograd.grad(energy, positions)[0]


class WritesAndNeedsGradients(ForcesWithOwnGradients):
    def forward(self, positions):
        forces = super().forward(positions)
        positions.add_(forces)
        return forces


class Backward(Energy):
    """Leaves gradients in its parameters."""

    def forward(self, positions):
        positions = positions.detach().requires_grad_()
        self.net(positions).sum().backward()
        return -positions.grad


# -- weights that depend on the mode -------------------------------------------------


class Merging(nn.Linear):
    """A linear layer with LoRA, which is merged in eval mode."""

    def __init__(self, size):
        super().__init__(size, size)
        self.down = nn.Parameter(torch.randn(2, size))
        self.up = nn.Parameter(torch.randn(size, 2))
        self.weight.requires_grad_(False)
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            change = self.up @ self.down * 0.1
            self.weight.data += -change if mode else change
            self.merged = not mode
        return self

    def forward(self, x):
        y = super().forward(x)
        return y if self.merged else y + x @ (self.up @ self.down * 0.1).T


def rows(*shape: int) -> Any:
    return torch.linspace(0.1, 1.0, int(torch.tensor(shape).prod())).reshape(shape)


def twice() -> tuple[Any, Any]:
    x = rows(2, 3)
    return x, x


WRITES: dict[str, tuple[type, Callable[[], Any]]] = {
    "in place": (InPlace, lambda: rows(2, 3)),
    "through a view": (ThroughView, lambda: rows(2, 3)),
    "out=": (OutArgument, lambda: (rows(2, 3), rows(2, 3))),
    "nested": (Nested, lambda: ({"x": rows(3), "pair": (rows(3), rows(3))},)),
    "integers": (Integers, lambda: torch.arange(6)),
    "keyword": (Keyword, lambda: {"x": rows(2, 3), "scale": rows(3)}),
    "resized": (Resized, lambda: rows(2, 3)),
    "appends": (Appends, lambda: ([rows(2, 3), rows(2, 3)],)),
    "pops": (Pops, lambda: ([rows(2, 3), rows(2, 3) + 1, rows(2, 3) + 2],)),
    "pops a key": (PopsKey, lambda: ({"x": rows(2, 3), "mask": rows(3)},)),
    "object": (WithMemory, lambda: (rows(2, 3), Memory(rows(2, 3)))),
    "dataclass": (WithMemory, lambda: (rows(2, 3), Record(rows(2, 3)))),
    "named tuple": (WithPair, lambda: (rows(2, 3), Pair(rows(2, 3), rows(3)))),
}
"""Models that change their arguments, all of which an export can take as inputs."""


def generator() -> Any:
    return torch.Generator().manual_seed(3)


CONSTANTS: dict[str, tuple[type, Callable[[], Any]]] = {
    "slots": (WithMemory, lambda: (rows(2, 3), SlottedMemory(rows(2, 3)))),
    "generator": (WithGenerator, lambda: (rows(2, 3), generator())),
    "random": (WithRandom, lambda: (rows(2, 3), random.Random(3))),
}
"""Models that change an argument that no export can take as an input."""

GRADIENTS: dict[str, tuple[type, Callable[[], Any], str]] = {
    "grad": (Forces, lambda: rows(5, 3), "gradients enabled"),
    "grad of the input": (ForcesOfInput, lambda: rows(5, 3).requires_grad_(), "gradients enabled"),
    "enable_grad": (ForcesWithOwnGradients, lambda: rows(5, 3), "torch.no_grad()"),
    "backward": (Backward, lambda: rows(5, 3), "gradients enabled"),
}
"""Models that compute gradients, and what the note on the row of Torch says."""
