"""Why did a worker end?"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from lexer_core.errors import WorkerDiedError
from lexer_core.machine import memory

if TYPE_CHECKING:
    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["exit_error"]

_MEMORY_ADVICE = "A smaller batch, or fewer cases at once, need less memory."
_HINT_LINES = 5
_LOG_LINES = 20
_CRASH = "Fatal Python error"


def exit_error(child: ProcessHandle, *, label: str, activity: str, log: str) -> WorkerDiedError:
    """Make the error that says how a worker ended.

    Parameters
    ----------
    child
        Its process, which has been reaped.
    label
        Whom it was for.
    activity
        What it was doing; empty for nothing.
    log
        The end of what it printed, long enough to hold a traceback.
    """
    exit_code, ended_by = child.exit_code, child.ended_because
    signal_name = _signal_name(exit_code)
    advice = ""
    if child.over_limit:
        cause, reason, advice = "memory_limit", ended_by, _MEMORY_ADVICE
    elif signal_name == "SIGKILL" and not ended_by and _memory_ran_out(child.oom_kills_before):
        cause, advice = "out_of_memory", _MEMORY_ADVICE
        reason = "out of memory (killed by SIGKILL, as the kernel does when memory runs out)"
    elif signal_name is not None:
        cause, reason = "signal", f"killed by {signal_name}{_in_words(signal_name)}"
    elif exit_code is not None:
        cause, reason = "exit", f"exit code {exit_code}"
    else:
        cause, reason = "unknown", "how it ended is not known"
    if ended_by and not child.over_limit:
        reason = f"{ended_by} ({reason})"
    where = f" in {activity!r}" if activity else " while it had nothing to do"
    kept = _telling_lines(log.splitlines())
    last = kept[-_HINT_LINES:]
    said = "\n".join(("The last that it printed:", *last)) if last else ""
    return WorkerDiedError(
        f"the worker of {label!r} died{where}: {reason}",
        label=label,
        method=activity,
        reason=reason,
        cause=cause,
        exit_code=exit_code if exit_code is not None and exit_code >= 0 else None,
        signal_name=signal_name,
        log="\n".join(kept),
        hint="\n".join(filter(None, (advice, said))),
    )


def _telling_lines(lines: list[str]) -> list[str]:
    """Choose what to show of a log: its end, or what led to a crash and where it was.

    The fault handler's traceback begins with where it was, and is often long.
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


def _in_words(signal_name: str) -> str:
    words = {
        "SIGSEGV": "segmentation fault",
        "SIGBUS": "bus error",
        "SIGABRT": "aborted itself",
        "SIGFPE": "arithmetic error",
        "SIGILL": "illegal instruction: built for another CPU",
    }
    return f" ({words[signal_name]})" if signal_name in words else ""


def _memory_ran_out(before: int | None) -> bool:
    """Whether the kernel has killed for want of memory since.

    The count is the whole machine's, so with bad luck it was another process;
    but a SIGKILL that nobody is known to have sent has seldom another reason.
    """
    now = memory.oom_kills()
    return before is not None and now is not None and now > before
