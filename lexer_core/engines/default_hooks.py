"""What do hooks do that a plugin does not implement?

The defaults are registered only for those hooks, so that a plugin's ``None`` never
falls through to a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.engines.timing import sample_nanoseconds, seconds_per_call
from lexer_core.errors import HookError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import CPU, Timings
from lexer_core.run_scripts import script_with_lexer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lexer_core.engines.hook_checks import HookFunction
    from lexer_core.records import Call, CallInputs, Clock, DeployedModel, Device, Session

__all__ = ["default_hooks"]


def default_hooks(implemented: Mapping[str, HookFunction]) -> dict[str, Callable[..., Any]]:
    """Return the defaults of all hooks that a plugin does not implement.

    Parameters
    ----------
    implemented
        The plugin's implementations, by hook name.
    """
    defaults = {
        **_DEFAULTS,
        "lexer_time_calls": _make_time_calls(implemented.get("lexer_synchronize")),
    }
    return {name: hook for name, hook in defaults.items() if name not in implemented}


@hookimpl
def lexer_list_devices() -> tuple[Device, ...]:
    """Return the CPU."""
    return (CPU,)


@hookimpl
def lexer_export_model() -> None:
    """Export nothing."""


@hookimpl
def lexer_convert_model() -> None:
    """Convert nothing: the session computes in the precision, or refuses it."""


@hookimpl
def lexer_place_inputs(inputs: CallInputs) -> object:
    """Return the mapping of names to arrays."""
    return inputs.arrays


@hookimpl
def lexer_reset_state() -> None:
    """Do nothing."""


@hookimpl
def lexer_synchronize(device: Device) -> None:
    """Do nothing on the CPU, where a call returns after its work is done."""
    if device.kind != CPU.kind:
        raise HookError(
            f"lexer_synchronize is missing, so the end of work on device {device.name} is unknown.",
            hook="lexer_synchronize",
            hint="An engine for a device other than the CPU must implement lexer_synchronize or "
            "lexer_time_calls.\n"
            "Without them, only the submission of the work would be timed.",
        )


@hookimpl
def lexer_fetch_outputs(outputs: object) -> object:
    """Return the outputs, which must be named arrays; the facade checks it."""
    return outputs


@hookimpl
def lexer_describe_placement() -> None:
    """Return ``None``: the placement is unknown."""


@hookimpl
def lexer_profile_calls() -> None:
    """Return ``None``: it is not known where the time goes."""


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Return a script that loads the folder with Lexer."""
    return script_with_lexer(deployed)


_DEFAULTS: dict[str, Callable[..., Any]] = {
    hook.__name__: hook
    for hook in (
        lexer_list_devices,
        lexer_export_model,
        lexer_convert_model,
        lexer_place_inputs,
        lexer_reset_state,
        lexer_synchronize,
        lexer_fetch_outputs,
        lexer_describe_placement,
        lexer_profile_calls,
        lexer_run_script,
    )
}


def _make_time_calls(synchronize: HookFunction | None) -> Callable[..., Timings]:
    @hookimpl
    def lexer_time_calls(
        session: Session, call: Call, count: int, loops: int, device: Device, clock: Clock
    ) -> Timings:
        complete: Callable[[], Any] | None = None
        if synchronize is None:
            lexer_synchronize(device)  # raises for a device that needs it
        else:
            # Call the plugin's function itself: pluggy would add microseconds to
            # every sample.
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
