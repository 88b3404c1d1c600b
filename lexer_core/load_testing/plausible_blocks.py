"""Can a block be true that a worker returns? As in :mod:`lexer_core.benchmark.plausible`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lexer_core.benchmark.plausible import outputs_problem

if TYPE_CHECKING:
    from lexer_core.load_testing.blocks import ClosedBlock, GilFacts, OpenBlock
    from lexer_core.load_testing.session import InstanceFacts

__all__ = ["closed_problem", "gil_problem", "instances_problem", "open_problem"]

_TOLERANCE = 1.01
_TOLERANCE_SECONDS = 1e-3
_MOST_CPUS = 10_000.0


def instances_problem(facts: InstanceFacts, count: int, names: tuple[str, ...]) -> str:
    """Check the outputs of the instances."""
    if len(facts.outputs) != count:
        return f"outputs of {len(facts.outputs)} instances instead of {count}"
    return next(filter(None, (outputs_problem(each, names) for each in facts.outputs)), "")


def closed_problem(block: ClosedBlock, waited: float, concurrency: int) -> str:
    """Check calls of some threads, which the parent waited for."""
    most = waited * _TOLERANCE + _TOLERANCE_SECONDS
    latencies = block.latencies
    if latencies.ndim != 1 or len(latencies) < concurrency:
        return f"latencies of shape {list(latencies.shape)}; at least [{concurrency}] is possible"
    if not (latencies.min() > 0.0 and latencies.max() <= most):  # NaN is neither
        return f"latencies from {latencies.min():.3g} to {latencies.max():.3g} s"
    if not 0.0 < block.elapsed <= most:
        return f"an elapsed time of {block.elapsed:.3g} s; at most {most:.3g} s is possible"
    if float(latencies.sum()) > most * concurrency:
        return f"latencies of {float(latencies.sum()):.3g} s in {concurrency} threads"
    return ""


def open_problem(block: OpenBlock, waited: float, count: int) -> str:
    """Check the requests of a block, which the parent waited for."""
    most = waited * _TOLERANCE + _TOLERANCE_SECONDS
    if not (block.starts.shape == block.ends.shape == block.lateness.shape == (count,)):
        return f"times of shape {list(block.starts.shape)} instead of [{count}]"
    served = np.isfinite(block.ends)
    if not served.all() and not block.gave_up:
        return f"{count - int(served.sum())} requests that were not served"
    starts, ends, late = block.starts[served], block.ends[served], block.lateness
    if not ((starts >= 0.0) & (starts <= ends) & (ends <= most)).all():
        return "requests that end before they start, or after the block"
    if (late[np.isfinite(late)] < 0.0).any():
        return "requests that start before they arrive"
    if not 0.0 < block.elapsed <= most:
        return f"an elapsed time of {block.elapsed:.3g} s; at most {most:.3g} s is possible"
    if not 0.0 <= block.cpu_seconds <= _MOST_CPUS * most:
        return f"a CPU time of {block.cpu_seconds:.3g} s"
    return ""


def gil_problem(facts: GilFacts) -> str:
    """Check the turns of another thread."""
    if facts.during_calls >= 0.0 and facts.alone >= 0.0:
        return ""
    return f"{facts.during_calls:.3g} and {facts.alone:.3g} turns; at least 0 is possible"
