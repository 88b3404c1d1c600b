"""On which devices do a module's operators run?"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lexer_core.engine_helpers import count_placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lexer_core.records import Placement
    from lexer_torch.session import TorchSession

__all__ = ["count_program", "describe_placement"]


class _OperatorCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that run in this context by name and device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[tuple[str, torch.device]] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Skips counting in compiled code. If nothing was compiled, dynamo is not
        # imported, which would take a second and 100 MiB.
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
    """Make one call and count its operators by the device of their results.

    A compiled module is counted eagerly: fused operators are the same operators
    of the model, on the same device. ``None`` before inputs are placed, and if
    torch counts nothing (for a scripted module optimised for inference, say).
    """
    counter = _OperatorCount()
    with session.eager_call() as call:
        if call is None:
            return None
        with counter:  # without the operators that copy the inputs to the device
            call()
    return _placement(counter.counts, session.device)


def count_program(program: torch.export.ExportedProgram, device: torch.device) -> Placement | None:
    """Count the operators of a traced program by the device of their results.

    ``None`` if it has no operators.
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
    on_device = 0
    elsewhere: dict[str, Counter[str]] = {}
    for (name, where), count in counts.items():
        if where == device:
            on_device += count
        else:
            elsewhere.setdefault(str(where), Counter())[name] += count
    return count_placement(on_device, elsewhere)
