"""How is an error kept from affecting other cases?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lexer_core.errors import DeviceUnavailableError, HookError, LexerError, UnsupportedError
from lexer_core.results import Failure, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.outcome import CaseOutcome

__all__ = ["contained", "describe_failure", "record_failure"]


def describe_failure(error: LexerError, phase: Phase, log: str = "") -> Failure:
    """Return the failure that a row shows for an error."""
    if isinstance(error, HookError) and error.hook == "lexer_place_inputs":
        phase = "place"
    if isinstance(error, DeviceUnavailableError):
        # An engine may notice it late, but the device was wrong from the start.
        phase = "resolve"
    return Failure(
        phase=phase, kind=type(error).__name__, reason=error.message, hint=error.hint, log=log
    )


def record_failure(
    outcome: CaseOutcome, error: LexerError, *, phase: Phase, case: LiveCase | None = None
) -> None:
    """Record in a case's outcome that it failed, and why."""
    outcome.status = "unsupported" if isinstance(error, UnsupportedError) else "failed"
    log = case.executor.log_tail() if case is not None else ""
    outcome.failure = describe_failure(error, phase, log)


@contextmanager
def contained(
    outcome: CaseOutcome, *, phase: Phase = "load", case: LiveCase | None = None
) -> Iterator[None]:
    """Let an error end one case only; the phase is the live case's, if there is one."""
    try:
        yield
    except LexerError as error:
        if case is not None:
            case.fail(error)
            phase = case.phase
        record_failure(outcome, error, phase=phase, case=case)
