"""From which modules do the kernels come that Inductor compiles?

Inductor can write down which nodes of its graph each kernel computes, in the order of the
calls, and each node knows the modules in which it was traced.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from lexer_core.temporary_folders import TemporaryFolder
from lexer_torch.versions import inductor_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

__all__ = ["Kernel", "KernelOrigins"]

_MAPPINGS = "inductor_provenance_tracking_node_mappings.json"
_KERNELS = "cppCodeToPost"

_OWNER = re.compile(r"^L\['\w+'\]\.?")
_CHILD = re.compile(r"\.?_modules\['([^']+)'\]")
_REPEATED = re.compile(r"@\d+(?=\.|$)")


@frozen
class Kernel:
    """A call of a kernel: its name, and the modules whose nodes it computes."""

    name: str
    modules: tuple[str, ...]


@define(eq=False)
class KernelOrigins:
    """Records what is compiled in its context.

    Attributes
    ----------
    graphs
        For each compiled graph, the calls of its kernels in order; empty if this version of
        torch does not tell.
    """

    graphs: list[tuple[Kernel, ...]] = field(factory=list, init=False)
    _modules: list[dict[str, str]] = field(factory=list, init=False)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Compile with kernels that the profiler can see, and note their origins."""
        with TemporaryFolder("origins") as folder, ExitStack() as settings:
            self.graphs, self._modules = [], []
            for setting in inductor_settings(str(folder), self._note):
                settings.enter_context(setting)
            yield
            written = sorted(folder.rglob(_MAPPINGS), key=lambda path: path.stat().st_mtime_ns)
            for path, modules in zip(written, self._modules, strict=False):
                self.graphs.append(_kernels(json.loads(path.read_text("utf-8")), modules))

    def _note(self, graph: torch.fx.Graph) -> None:
        """Note the module of each node of a graph, before kernels are made of it."""
        self._modules.append(
            {
                node.name: _module_of(node.meta.get("nn_module_stack"))
                for node in graph.nodes
                if node.op not in ("placeholder", "get_attr", "output")
            }
        )


def _kernels(mappings: Mapping[str, Any], modules: Mapping[str, str]) -> tuple[Kernel, ...]:
    calls: Mapping[str, Sequence[str]] = mappings.get(_KERNELS, {})
    kernels = []
    # A name ends with the number of the call.
    for name in sorted(calls, key=lambda name: int(name.rpartition(":")[2])):
        origins = dict.fromkeys(modules[node] for node in calls[name] if node in modules)
        kernels.append(Kernel(name.rpartition(":")[0], tuple(origins)))
    return tuple(kernels)


def _module_of(stack: Mapping[str, tuple[str, Any]] | None) -> str:
    if not stack:
        return ""  # an operator of the model's own forward
    path, _ = list(stack.values())[-1]
    return _REPEATED.sub("", _CHILD.sub(r".\1", _OWNER.sub("", path)).strip("."))
