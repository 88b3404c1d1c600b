"""Where does a module's work really run?"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lexer_core.model.state import eager_module
from lexer_core.records import Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lexer_torch.session import TorchSession

__all__ = ["count_program", "describe_placement"]


class _OperatorCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that run within, by name and device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[tuple[str, torch.device]] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Compilers are kept out of the counting. To import dynamo for that, where
        # nothing was compiled, would take a second and 100 MiB.
        return "torch._dynamo" in sys.modules

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.counts[(str(func), leaf.device)] += 1
                break
        return result


def describe_placement(session: TorchSession) -> Placement | None:
    """Make one more call and count its operators by the device of their results.

    A compiled module is counted without its compilation: operators that were
    fused are still those of the model, on the same device. ``None`` before
    inputs are placed, and where torch lets nothing be counted (a scripted
    module that was optimised for inference, say).
    """
    if session.placed is None or session.module is None:
        return None
    eager = eager_module(session.module)
    call: Callable[..., Any] = eager
    counter = _OperatorCount()
    with torch.no_grad(), counter:
        call(*session.placed.args, **session.placed.keywords)
    return _placement(counter.counts, session.device)


def count_program(program: torch.export.ExportedProgram, device: torch.device) -> Placement | None:
    """Count the operators of a traced program by the device of their results.

    ``None`` where it has none.
    """
    counts: Counter[tuple[str, torch.device]] = Counter()
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        for leaf in tree_leaves(node.meta.get("val")):
            if isinstance(leaf, torch.Tensor):
                counts[(str(node.target), leaf.device)] += 1
                break
    return _placement(counts, device)


def _placement(
    counts: Mapping[tuple[str, torch.device], int], device: torch.device
) -> Placement | None:
    total = sum(counts.values())
    if total == 0:
        return None
    elsewhere = {(name, place): count for (name, place), count in counts.items() if place != device}
    return Placement(
        share=1.0 - sum(elsewhere.values()) / total,
        method="nodes",
        fallbacks=tuple(
            f"{name} on {device} ({count}x)" for (name, device), count in _by_frequency(elsewhere)
        ),
    )


def _by_frequency(
    counts: Mapping[tuple[str, torch.device], int],
) -> list[tuple[tuple[str, torch.device], int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0][0]))
