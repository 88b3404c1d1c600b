"""Why did a worker end?"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from lexer_core.errors import WorkerDiedError
from lexer_core.machine import memory

if TYPE_CHECKING:
    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["exit_error"]

_MEMORY_HINT = "Use a smaller batch or fewer cases at once."
_HINT_LINES = 5
_LOG_LINES = 20
_CRASH = "Fatal Python error"
_SIGNALS = {
    "SIGSEGV": "segmentation fault",
    "SIGBUS": "bus error",
    "SIGABRT": "abort",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction: built for another CPU",
}


def exit_error(handle: ProcessHandle, *, label: str, activity: str, log: str) -> WorkerDiedError:
    """Return the error that says how a worker ended.

    Parameters
    ----------
    handle
        Its process, which has been reaped.
    label
        The worker's name in the message.
    activity
        What it was doing; empty if it was idle.
    log
        The end of its output, long enough to contain a traceback.
    """
    exit_code, ended_because = handle.exit_code, handle.ended_because
    signal_name = _signal_name(exit_code)
    hint = ""
    if handle.over_limit:
        cause, reason, hint = "memory_limit", ended_because, _MEMORY_HINT
    elif signal_name == "SIGKILL" and not ended_because and _oom_killed(handle.oom_kills_before):
        cause, hint = "out_of_memory", _MEMORY_HINT
        reason = "out of memory (killed by SIGKILL, as the kernel does when memory runs out)"
    elif signal_name is not None:
        cause, reason = "signal", f"killed by {signal_name}"
        if signal_name in _SIGNALS:
            reason += f" ({_SIGNALS[signal_name]})"
    elif exit_code is not None:
        cause, reason = "exit", f"exit code {exit_code}"
    else:
        cause, reason = "unknown", "its exit status is unknown"
    if ended_because and not handle.over_limit:
        reason = f"{ended_because} ({reason})"
    where = f" in {activity!r}" if activity else " while it was idle"
    shown = _relevant_lines(log.splitlines())
    printed = "\n".join(("Its last output:", *shown[-_HINT_LINES:])) if shown else ""
    return WorkerDiedError(
        f"the worker of {label!r} died{where}: {reason}",
        label=label,
        method=activity,
        reason=reason,
        cause=cause,
        exit_code=exit_code if exit_code is not None and exit_code >= 0 else None,
        signal_name=signal_name,
        log="\n".join(shown),
        hint="\n".join(filter(None, (hint, printed))),
    )


def _relevant_lines(lines: list[str]) -> list[str]:
    """Return the end of a log or, after a crash, the lines before and after its location.

    The fault handler's traceback is often long, and begins with the location.
    """
    crashes = [number for number, line in enumerate(lines) if line.startswith(_CRASH)]
    end = crashes[-1] + _HINT_LINES if crashes else len(lines)
    return lines[max(0, end - _LOG_LINES) : end]


def _signal_name(exit_code: int | None) -> str | None:
    if exit_code is None or exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal
        return f"signal {-exit_code}"


def _oom_killed(before: int | None) -> bool:
    """Whether the kernel has killed a process for lack of memory since.

    The count is system-wide, so it may have been another process; but a SIGKILL of
    unknown origin rarely has another reason.
    """
    now = memory.oom_kills()
    return before is not None and now is not None and now > before
