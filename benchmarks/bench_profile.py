"""How much of the time does a profile attribute to modules, and is it the right one?

EfficientNet-Lite0, a BERT and a ViT with random weights: the gates are 90 % attributed to
modules on Torch and ONNXRuntime, and 80 % on OpenVINO. Then a model with one block ten
times as wide as the others, whose share is known from measuring the block alone: the gate
is a difference of five points.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
from common import Figure, arguments, print_figures, print_header
from models import efficientnet

from lexer_core import LexerContext
from lexer_core.engines.registry import EngineRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.report import BenchmarkReport

GATES = {"torch": 0.9, "onnxruntime": 0.9, "openvino": 0.8}
POINTS = 0.05


class Block(torch.nn.Module):
    """Two convolutions around a number of channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wider = torch.nn.Conv2d(16, width, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(width)
        self.back = torch.nn.Conv2d(width, 16, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the block."""
        result: torch.Tensor = self.back(torch.relu(self.norm(self.wider(x))))
        return result


class Uneven(torch.nn.Module):
    """Six blocks, of which one is ten times as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(*(Block(320 if at == 2 else 32) for at in range(6)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute all blocks."""
        result: torch.Tensor = self.blocks(x)
        return result


def models() -> Iterator[tuple[str, torch.nn.Module, Any]]:
    """Yield the models with their inputs."""
    import transformers  # only these models

    yield "EfficientNet-Lite0", efficientnet(), torch.randn(1, 3, 224, 224)
    small = {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    }
    bert = transformers.BertModel(transformers.BertConfig(**small))
    yield "BERT", bert.eval(), {"input_ids": torch.randint(0, 30000, (1, 128))}
    vit = transformers.ViTModel(transformers.ViTConfig(**small))
    yield "ViT", vit.eval(), {"pixel_values": torch.randn(1, 3, 224, 224)}


def engines() -> list[str]:
    """Return the engines that are ready."""
    return [
        each.name for each in EngineRegistry().listings() if each.name in GATES and not each.reason
    ]


def attributed(report: BenchmarkReport, label: str) -> float:
    """Return the share of the time that has a module below the model itself."""
    profile = report[label].profile
    parts = profile.parts if profile is not None else ()
    return sum(part.share for part in parts if part.module)


def share_of(report: BenchmarkReport, label: str, module: str) -> float:
    """Return the share of a module and its parts."""
    profile = report[label].profile
    parts = profile.parts if profile is not None else ()
    return sum(part.share for part in parts if f"{part.module}.".startswith(f"{module}."))


def main() -> None:
    """Profile the models and print a table."""
    read = arguments("Measure profiles.", seconds=(10, 30, "seconds of each benchmark"))
    print_header("Attribution of time to modules")
    torch.manual_seed(0)
    context = LexerContext(max_seconds=read.seconds, validation=False, canary=False)
    print_figures([*wide_block(context), *attributions(context)])


def attributions(context: LexerContext) -> Iterator[Figure]:
    """Yield how much of the time of each model is attributed to its modules."""
    for name, model, inputs in models():
        report = context.profile(model, inputs, engines=engines())
        show(report)
        for row in report:
            yield Figure(
                f"{name}, {row.engine}: attributed",
                100 * attributed(report, row.label),
                limit=100 * GATES[row.label],
                unit=" %",
                at_least=True,
            )


def wide_block(context: LexerContext) -> Iterator[Figure]:
    """Yield how much the share of the wide block differs from what it takes alone.

    In one thread, and by the fastest of many calls, which depend least on what else the
    machine does.
    """
    x = torch.randn(1, 16, 56, 56)
    net = Uneven().eval()
    report = context.profile(net, x, engines=engines(), threads=1)
    show(report)
    alone = context.benchmark(
        {"block": (net.blocks[2], x), "rest": (without_block(net), x)},
        engines=engines(),
        threads=1,
    )
    for row in report:
        block, rest = (alone[f"{part}/{row.label}"].min_ms or 0.0 for part in ("block", "rest"))
        found = share_of(report, row.label, "blocks.2")
        truth = block / (block + rest)
        yield Figure(
            f"wide block, {row.engine}: share",
            100 * abs(found - truth),
            f"{found:.1%}, alone {truth:.1%}",
            limit=100 * POINTS,
            unit=" points",
        )


def show(report: BenchmarkReport) -> None:
    """Print a report."""
    print(report.to_text(width=140))
    sys.stdout.flush()


def without_block(net: Uneven) -> torch.nn.Module:
    """Return the model without its wide block."""
    return torch.nn.Sequential(*(block for at, block in enumerate(net.blocks) if at != 2))


if __name__ == "__main__":
    main()
