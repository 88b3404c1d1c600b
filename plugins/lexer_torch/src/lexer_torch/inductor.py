"""Did Inductor compile or use its cache, and which of its processes still run?"""

from __future__ import annotations

import sys
from typing import NamedTuple

__all__ = ["CompileCounts", "end_compile_workers", "read_counts"]


class CompileCounts(NamedTuple):
    """Hits and misses of Inductor's caches in this process."""

    hits: int
    misses: int

    def warm_since(self, before: CompileCounts) -> bool | None:
        """Whether everything since came from a cache; ``None`` if torch counted nothing."""
        hits, misses = self.hits - before.hits, self.misses - before.misses
        return misses <= 0 if hits > 0 or misses > 0 else None


def read_counts() -> CompileCounts:
    """Return torch's counters."""
    from torch._dynamo.utils import counters  # imports dynamo, which takes a second

    graphs, steps = counters["inductor"], counters["aot_autograd"]
    return CompileCounts(
        hits=graphs["fxgraph_cache_hit"] + steps["autograd_cache_hit"],
        misses=graphs["fxgraph_cache_miss"]
        + graphs["fxgraph_cache_bypass"]
        + steps["autograd_cache_miss"]
        + steps["autograd_cache_bypass"],
    )


def end_compile_workers() -> None:
    """Shut down Inductor's compile workers, which would disturb the measurement."""
    compiling = sys.modules.get("torch._inductor.async_compile")
    if compiling is not None:
        compiling.shutdown_compile_workers()
