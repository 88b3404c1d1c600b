"""How are the calls of a module captured as a CUDA graph and replayed?

A replay submits all kernels of a call at once, which saves the time that Python and
torch take to submit each. The graph reads its inputs from fixed memory. Placed inputs
have their own tensors, which are copied there when they are placed, and again if other
inputs were used in between.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from attrs import define, field
from torch.utils._pytree import tree_flatten

from lexer_core.engine_helpers import first_line
from lexer_core.errors import UnsupportedError
from lexer_core.model.state import measured_state, preserved_randomness
from lexer_core.records import SessionPhases
from lexer_torch.device_memory import is_exhaustion
from lexer_torch.session import BoundCall, TorchSession, make_session

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lexer_core.records import CallInputs, CallStructure, Device, ExportedModel, SessionConfig

__all__ = ["CapturedCall", "GraphSession", "create_graph_session"]

_WARM_UP_CALLS = 3
"""Calls before the capture, in which libraries choose algorithms and allocate workspaces."""


def create_graph_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> GraphSession:
    """Move a module to a CUDA device; its call is captured when inputs are placed.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    UnsupportedError
        The device has no CUDA graphs, or torch cannot cast to the precision.
    """
    return make_session(GraphSession, exported, device, config)


class CapturedCall:
    """The inputs of a call: their own tensors, and those that the graph reads."""

    def __init__(self, graph: int, own: list[torch.Tensor], read: list[torch.Tensor]) -> None:
        self.graph = graph
        self.own = own
        self.read = read

    def load(self) -> None:
        """Copy the inputs to where the graph reads them."""
        for target, source in zip(self.read, self.own, strict=True):
            target.copy_(source)


@define(eq=False)
class _Capture:
    """A graph for inputs of certain shapes, and what it reads and writes."""

    graph: Any
    read: list[torch.Tensor]
    outputs: Any
    loaded: CapturedCall | None = field(default=None)


class GraphSession(TorchSession):
    """A module whose calls are captured once for each set of shapes, and replayed.

    Attributes
    ----------
    phases
        How long the captures took, including the calls before them.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        device: torch.device,
        config: SessionConfig,
        output_names: tuple[str, ...],
        undo: ExitStack,
    ) -> None:
        super().__init__(module, device=device, config=config, output_names=output_names, undo=undo)
        if device.type != "cuda":
            raise UnsupportedError(
                f"cuda_graph=true needs a CUDA device, not {device}.",
                hint="Leave out cuda_graph, or choose --device cuda.",
            )
        self.run = self._replay  # type: ignore[assignment]  # its placed inputs are others
        self.phases = SessionPhases()
        self._captures: list[_Capture] = []
        self._by_shape: dict[object, int] = {}

    def place(self, inputs: CallInputs) -> Any:
        """Copy the inputs to the device, and capture a call for their shapes.

        Raises
        ------
        UnsupportedError
            The calls of the module cannot be captured.
        """
        own, shape = _tensors(super().place(inputs))
        if shape not in self._by_shape:
            # Before the list grows: a failed capture leaves nothing.
            captured = self._capture(super().place(inputs))
            self._by_shape[shape] = len(self._captures)
            self._captures.append(captured)
        number = self._by_shape[shape]
        capture = self._captures[number]
        call = CapturedCall(number, own, capture.read)
        call.load()
        capture.loaded = call
        return call

    def array_call(self, structure: CallStructure) -> None:
        """Return ``None``: a graph is replayed on placed inputs only."""
        del structure

    def close(self) -> None:
        """Release the graphs and the module. May be called twice."""
        self._captures.clear()
        self._by_shape.clear()
        super().close()

    def _replay(self, call: CapturedCall) -> Any:
        capture = self._captures[call.graph]
        if capture.loaded is not call:
            call.load()
            capture.loaded = call
        capture.graph.replay()
        return capture.outputs

    def _capture(self, call: BoundCall) -> _Capture:
        start = time.perf_counter()
        module = self.module
        assert module is not None
        with torch.cuda.device(self.device):
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            # The state of the module is restored; a capture itself computes nothing.
            state = measured_state(module, attributes=False)
            with torch.cuda.stream(stream), preserved_randomness(), state:
                for _ in range(_WARM_UP_CALLS):
                    call()
            torch.cuda.current_stream().wait_stream(stream)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    outputs = call()
            except Exception as error:  # the user's module may do anything
                if is_exhaustion(error):
                    raise
                raise UnsupportedError(
                    f"a call of {type(module).__name__} cannot be captured as a CUDA graph: "
                    f"{first_line(str(error)) or type(error).__name__}",
                    hint="During a capture, nothing may wait for the GPU: no .item(), no branch "
                    "on the values of a tensor, no copy to the CPU. Leave out cuda_graph to "
                    "measure the module without it.",
                ) from error
        taken = (self.phases.compile_seconds or 0.0) + time.perf_counter() - start
        self.phases = SessionPhases(compile_seconds=taken)
        return _Capture(graph, _tensors(call)[0], outputs)


def _tensors(call: BoundCall) -> tuple[list[torch.Tensor], object]:
    """Return the tensors among a call's arguments, and what a graph depends on in all."""
    leaves, structure = tree_flatten((call.args, call.keywords))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    facts = [
        (tuple(leaf.shape), leaf.dtype, tuple(leaf.stride()))
        if isinstance(leaf, torch.Tensor)
        else repr(leaf)
        for leaf in leaves
    ]
    return tensors, (str(structure), tuple(facts))
