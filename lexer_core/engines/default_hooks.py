"""What does an engine do where its plugin does not say?

The core's own implementations. They are registered only for hooks that a plugin
leaves out, so that a plugin's ``None`` never falls through to one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.engines.timing import sample_nanoseconds, seconds_per_call
from lexer_core.errors import HookError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, Timings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lexer_core.engines.hook_checks import HookFunction
    from lexer_core.records import Call, CallInputs, Clock, Device, Session

__all__ = ["default_hooks"]


def default_hooks(implemented: Mapping[str, HookFunction]) -> dict[str, Callable[..., Any]]:
    """Return the defaults of all hooks that a plugin does not implement, marked.

    Parameters
    ----------
    implemented
        The plugin's own implementations, by hook name.
    """
    defaults = {
        **_DEFAULTS,
        "lexer_time_calls": _make_time_calls(implemented.get("lexer_synchronize")),
    }
    return {name: hook for name, hook in defaults.items() if name not in implemented}


@hookimpl
def lexer_list_devices() -> tuple[Device, ...]:
    """Every engine is taken to run on the CPU."""
    return (CPU,)


@hookimpl
def lexer_export_model() -> None:
    """No format is made."""


@hookimpl
def lexer_place_inputs(inputs: CallInputs) -> object:
    """Pass the mapping of names to arrays as it is."""
    return inputs.arrays


@hookimpl
def lexer_reset_state() -> None:
    """There is no state."""


@hookimpl
def lexer_synchronize(device: Device) -> None:
    """On the CPU a call returns when it is done; of other devices nothing is known."""
    if device.kind != CPU.kind:
        raise HookError(
            f"lexer_synchronize is missing, so nobody knows when work on device {device.name} is "
            "done.",
            hook="lexer_synchronize",
            hint="An engine that runs on a device other than the CPU implements "
            "lexer_synchronize or lexer_time_calls;\n"
            "without one, only the hand-over of the work would be timed.",
        )


@hookimpl
def lexer_fetch_outputs(outputs: object) -> object:
    """Take the outputs to be named arrays already; the facade checks it."""
    return outputs


@hookimpl
def lexer_describe_placement() -> None:
    """It is not known where the work runs."""


_DEFAULTS: dict[str, Callable[..., Any]] = {
    hook.__name__: hook
    for hook in (
        lexer_list_devices,
        lexer_export_model,
        lexer_place_inputs,
        lexer_reset_state,
        lexer_synchronize,
        lexer_fetch_outputs,
        lexer_describe_placement,
    )
}


def _make_time_calls(synchronize: HookFunction | None) -> Callable[..., Timings]:
    @hookimpl
    def lexer_time_calls(
        session: Session, call: Call, count: int, loops: int, device: Device, clock: Clock
    ) -> Timings:
        complete: Callable[[], Any] | None = None
        if synchronize is None:
            lexer_synchronize(device)  # refuses a device that would need it
        else:
            # The plugin's own function: going through pluggy for each sample
            # would cost microseconds in every one of them.
            complete = synchronize.bind(session=session, device=device)
        samples = sample_nanoseconds(
            call.run,
            count=count,
            loops=loops,
            clock=clock,
            reset=call.reset,
            synchronize=complete,
        )
        return Timings(host=seconds_per_call(samples, loops))

    return lexer_time_calls
