"""In which modules does a call spend its time, eager or compiled?

Hooks mark the time of each module in the trace of torch's profiler, so that every
operator belongs to the module that called it. Compiled code calls no hooks: its kernels
are known by their names.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from lexer_core.errors import UnsupportedError
from lexer_core.model.state import eager_module
from lexer_core.records import ProfiledOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lexer_core.records import Call
    from lexer_torch.compiled import CompiledSession
    from lexer_torch.kernel_origins import Kernel
    from lexer_torch.session import TorchSession

__all__ = ["profile_calls", "profile_compiled_calls"]

_FUSED = "cpp_fused"
_COMPILED = re.compile(r"(graph_\d+_)?cpp_")
_GRAPH = re.compile(r"^graph_\d+_")

_CALL = "lexer.call"
_MODULE = "lexer.module:"


def profile_calls(session: TorchSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Return the time of each type of operator in each module.

    Raises
    ------
    UnsupportedError
        The session is not on the CPU.
    """
    _require_cpu(session.device)
    module = session.module
    assert module is not None
    with _marked(module):
        return _operations(_traced_calls(call, count))


def profile_compiled_calls(
    session: CompiledSession, call: Call, count: int
) -> list[ProfiledOperation]:
    """Return the time of each kernel, with the modules that it computes.

    Raises
    ------
    UnsupportedError
        The session is not on the CPU.
    """
    _require_cpu(session.device)
    graphs = [] if session.origins is None else session.origins.graphs
    seconds: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for traced in _traced_calls(call, count):
        in_call: dict[tuple[str, tuple[str, ...]], float] = {}
        for group in _groups_of_kernels(traced):
            names = [_plain_name(event.name) for event in group]
            for event, name, modules in zip(group, names, _aligned(names, graphs), strict=True):
                key = (name, modules)
                in_call[key] = in_call.get(key, 0.0) + event.time_range.elapsed_us() / 1e6
        for key, each in in_call.items():
            seconds.setdefault(key, []).append(each)
    return [
        ProfiledOperation(
            name=name,
            operator=_FUSED if name.startswith(_FUSED) else name,
            seconds=median(times) * len(times),  # one disturbed call does not count
            calls=len(times),
            modules=modules,
        )
        for (name, modules), times in seconds.items()
    ]


def _require_cpu(device: torch.device) -> None:
    """Refuse to profile on another device, where operators only submit their work.

    Raises
    ------
    UnsupportedError
        The device is not the CPU.
    """
    if device.type != "cpu":
        raise UnsupportedError(f"calls of torch are profiled on the CPU only, not on {device}.")


def _traced_calls(call: Call, count: int) -> Iterable[Any]:
    """Make calls, and return the events of their trace that no other event contains."""
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for _ in range(count):
            if call.reset is not None:
                call.reset()
            with record_function(_CALL):
                call.run()
    # The constructor of this list finds out which event contains which.
    return [event for event in trace.events() or () if event.name == _CALL]


@contextmanager
def _marked(module: torch.nn.Module) -> Iterator[None]:
    """Mark the calls of all modules in a trace."""
    open_marks: list[record_function] = []
    with ExitStack() as hooks:
        if eager_module(module) is not module:
            yield  # hooks would make torch.compile compile it again
            return
        for path, each in module.named_modules():
            if isinstance(each, torch.jit.ScriptModule):
                continue  # its calls do not run hooks

            def enter(*_: object, mark: str = f"{_MODULE}{path}") -> None:
                open_marks.append(record_function(mark))
                open_marks[-1].__enter__()  # type: ignore[no-untyped-call]

            def leave(*_: object) -> None:
                open_marks.pop().__exit__(None, None, None)

            hooks.callback(each.register_forward_pre_hook(enter, prepend=True).remove)
            hooks.callback(each.register_forward_hook(leave, always_call=True).remove)
        yield


def _operations(calls: Iterable[Any]) -> list[ProfiledOperation]:
    """Add up the outermost operators of each module, by call."""
    seconds: dict[tuple[str | None, str], list[float]] = {}
    executions: Counter[tuple[str | None, str]] = Counter()
    for call in calls:
        in_call: dict[tuple[str | None, str], float] = {}
        for key, event in _outermost(call):
            in_call[key] = in_call.get(key, 0.0) + event.time_range.elapsed_us() / 1e6
            executions[key] += 1
        for key, each in in_call.items():
            seconds.setdefault(key, []).append(each)
    return [
        ProfiledOperation(
            name=operator,
            operator=operator,
            # One disturbed call does not count.
            seconds=median(times) * len(times),
            calls=executions[module, operator],
            modules=() if module is None else (module,),
        )
        for (module, operator), times in seconds.items()
    ]


def _outermost(
    event: Any, module: str | None = None
) -> Iterator[tuple[tuple[str | None, str], Any]]:
    """Yield the operators that no other operator calls, with the module that calls them."""
    for child in event.cpu_children:
        if child.name.startswith(_MODULE):
            yield from _outermost(child, child.name.removeprefix(_MODULE))
        else:
            yield (module, child.name.removeprefix("aten::")), child


def _groups_of_kernels(call: Any) -> Iterator[list[Any]]:
    """Yield the kernels and operators that each part of a compiled call runs, in order."""
    waiting = [call]
    while waiting:
        event = waiting.pop(0)
        kernels = [child for child in event.cpu_children if _is_kernel(child.name)]
        if kernels:
            yield kernels
        waiting += [child for child in event.cpu_children if not _is_kernel(child.name)]


def _is_kernel(name: str) -> bool:
    return "::" in name or _COMPILED.match(name) is not None


def _plain_name(name: str) -> str:
    """Return a kernel's name without what its traces and its origins do not share.

    >>> _plain_name("graph_0_cpp_fused_relu_1"), _plain_name("aten::addmm")
    ('cpp_fused_relu_1', 'addmm')
    >>> _plain_name("extern_kernels.addmm")
    'addmm'
    """
    if _COMPILED.match(name):
        return _GRAPH.sub("", name)
    return name.rpartition("::")[2].removesuffix(".default").rpartition(".")[2]


def _aligned(names: Sequence[str], graphs: Sequence[tuple[Kernel, ...]]) -> list[tuple[str, ...]]:
    """Return the modules of kernels by comparing their names with those of a compiled graph."""
    best: list[tuple[str, ...]] = [()] * len(names)
    for graph in graphs:
        kernels = [_plain_name(kernel.name) for kernel in graph]
        found: list[tuple[str, ...]] = []
        at = 0
        for name in names:
            if name in kernels[at:]:
                at = kernels.index(name, at) + 1
                found.append(graph[at - 1].modules)
            else:
                found.append(())
        best = max(best, found, key=lambda each: sum(map(bool, each)))
    return best
