"""Which models do the tests with real engines measure? Importing it needs torch."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from lexer.api.lexer_context import LexerContext  # noqa: E402
from lexer.decorators.lexer import Lexer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

FAST = {"num_iterations": 20, "warm_up_seconds": 0.05, "threads": 1}
"""Few samples, and one thread: what is tested are rows, not times."""

IN_CALLER = {**FAST, "isolation": "none"}
"""Without processes, for models of which only inputs and outputs are of interest."""


BOTH = {"torch": "ok", "onnxruntime": "ok"}
AGREE = {"torch": "pass", "onnxruntime": "pass"}
"""What statuses() and parities() return if both engines are right."""


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep exports apart from those of the user; import it into a test file to use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEXER_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def benchmark(model: Any, input: Any, **settings: Any) -> BenchmarkReport:
    """Measure a model on Torch and ONNXRuntime, whatever else is installed."""
    settings = {**FAST, "engines": ["torch", "onnxruntime"], **settings}
    return LexerContext().benchmark(torch_model=model, input=input, **settings)


def statuses(report: BenchmarkReport) -> dict[str, str]:
    return {row.label: row.status for row in report}


def parities(report: BenchmarkReport) -> dict[str, str]:
    return {row.label: row.parity.status if row.parity else "" for row in report}


def output_names(row: BenchmarkResult) -> list[str]:
    assert row.parity is not None
    return [output.name for output in row.parity.outputs]


@Lexer(input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "batch"}})
class AmazingNet(nn.Module):
    """The model of the documentation, small."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.classifier = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.convolution(x).relu().mean((2, 3)))


class Child(AmazingNet):
    """A subclass of a decorated class, with no decorator of its own."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) * 2


@Lexer(input_names=["x"], output_names=["y"])
class WithOwnLexer(nn.Module):
    """A decorated model that has a ``lexer`` already: it splits text, say."""

    def __init__(self) -> None:
        super().__init__()
        self.lexer = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.lexer(x)


class Everything(nn.Module):
    """Keyword inputs, nested inputs, integers and booleans; outputs in containers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.linear = nn.Linear(8, 4)

    def forward(self, ids: Any, mask: Any, unused: Any = None, *, batch: Any) -> dict[str, Any]:
        y = self.linear(self.table(ids)).masked_fill(~mask[..., None], 0.0)
        y = y + batch["shift"]
        for part in batch["parts"]:
            y = y * part
        return {"y": y, "sums": (y.sum(1), [ids.sum(1)]), "mask": mask, "parts": len(batch)}

    @staticmethod
    def inputs() -> dict[str, Any]:
        return {
            "batch": {"shift": torch.randn(2, 5, 4), "parts": [torch.randn(2, 5, 4)] * 2},
            "mask": torch.rand(2, 5) > 0.5,
            "ids": torch.randint(0, 50, (2, 5)),
        }


@dataclass
class Answer:
    """What :class:`Trained` returns."""

    logits: Any
    hidden: Any = None
    aux: tuple[Any, ...] = ()


class Trained(nn.Module):
    """A model in the middle of its training: one BatchNorm is frozen, one is not."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.frozen = nn.BatchNorm2d(4)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.train()
        self.frozen.eval()
        self.frozen.requires_grad_(False)

    def forward(self, image: Any, weight: Any) -> Answer:
        y = self.dropout(self.norm(self.frozen(self.convolution(image))))
        return Answer(logits=y * weight, aux=(y.mean((2, 3)), image))


class Narrow(nn.Module):
    """A linear layer in a type of half the size."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 32, dtype=dtype)

    def forward(self, x: Any) -> Any:
        return self.linear(x).relu()


class Noise(nn.Module):
    """Returns something else every time, in eval mode too."""

    def forward(self, x: Any) -> Any:
        return x + torch.rand_like(x)


class Counting(nn.Module):
    """Counts its calls in a buffer, and returns the count."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x + self.calls


class Memory:
    """An object of the user's own, that a model is called with and writes to."""

    def __init__(self) -> None:
        self.seen: list[Any] = []


class Remembering(nn.Module):
    def forward(self, x: Any, memory: Memory) -> Any:
        memory.seen.append(x)
        return x * 2


class Branching(nn.Module):
    """Control flow that depends on data: it runs, and cannot be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        y = self.linear(x)
        return y * 2 if y.sum().item() > 0 else y


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()


class OtherWhenExported(nn.Module):
    """Its export computes something else than the model does."""

    def forward(self, x: Any) -> Any:
        return x + 1 if _is_traced() else x + 2


class CrashesExporter(nn.Module):
    """Ends the process that exports it, as a fault in native code would."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        if _is_traced():
            os._exit(9)
        return self.linear(x)


def counting_compiler(graph: Any, inputs: Any) -> Any:
    """Leave the graph as it is, and leave a file with the name of the process."""
    Path(os.environ["COMPILED_IN"], str(os.getpid())).touch()
    return graph.forward


class Crashes(nn.Module):
    """Ends the process that it is called in."""

    def forward(self, x: Any) -> Any:
        os._exit(7)


class Raises(nn.Module):
    def forward(self, x: Any) -> Any:
        raise ValueError("the flux capacitor is empty")


class Leaves(nn.Module):
    def forward(self, x: Any) -> Any:
        sys.exit(3)


class ReturnsNothing(nn.Module):
    def forward(self, x: Any) -> None:
        x + 1


class Homebound(nn.Module):
    """Cannot be pickled: it holds a lock, and a method of an open file."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)
        self.lock = threading.Lock()
        self.log = file.write

    def forward(self, x: Any) -> Any:
        with self.lock:
            return self.linear(x)
