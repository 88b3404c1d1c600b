"""Can an engine really be used here, and on which devices?

Only its runtime knows, and importing a runtime may take seconds, crash or hang.
So it is asked in a process of its own, with a time limit: whatever happens
there is an answer, and no trouble of ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.records import Device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DEFAULT_TIMEOUT", "EngineProbe", "probe_engine", "probe_engines"]

DEFAULT_TIMEOUT = 60.0
"""Seconds after which an engine that does not answer is given up."""

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from lexer_core.engines.probe_child import main; main(sys.argv[1], sys.argv[3])"
)


@frozen(kw_only=True)
class EngineProbe:
    """What an engine answered when it was asked for its devices.

    Parameters
    ----------
    engine
        The engine's name.
    usable
        Whether its runtime imports and there is a device for it.
    devices
        The devices that it can use here.
    reason
        Why it is not usable, in one line.
    log
        The end of what was printed meanwhile.
    seconds
        How long the answer took, the start of the process included.
    """

    engine: str
    usable: bool
    devices: tuple[Device, ...] = ()
    reason: str = ""
    log: str = ""
    seconds: float


def probe_engines(
    names: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT
) -> tuple[EngineProbe, ...]:
    """Probe several engines, one after the other, in the order of the names."""
    return tuple(probe_engine(name, timeout=timeout) for name in names)


def probe_engine(name: str, *, timeout: float = DEFAULT_TIMEOUT) -> EngineProbe:
    """Ask one engine in a process of its own.

    Parameters
    ----------
    name
        The engine's name; it should be ready.
    timeout
        Seconds to wait for the answer.

    Returns
    -------
    EngineProbe
        Also where the process crashed, hung or raised: the reason says so.
    """
    start = time.monotonic()
    # Files and not pipes: a process that the runtime leaves behind would keep a
    # pipe open, and reading it would never end.
    with tempfile.TemporaryDirectory(prefix="lexer-probe-") as folder:
        answer_file, log_file = Path(folder, "answer.json"), Path(folder, "log")
        command = [
            sys.executable,
            "-c",
            _BOOTSTRAP,
            name,
            json.dumps(sys.path),
            str(answer_file),
        ]
        with log_file.open("wb") as log, _process(command, log.fileno()) as process:
            try:
                status: int | None = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
        answer = _read_answer(answer_file)
        printed = log_file.read_text(encoding="utf-8", errors="replace")[-4000:]
    seconds = time.monotonic() - start
    if status is None:
        reason = f"no answer within {timeout:g} s"
    elif answer is None:
        reason = _ending(status)
    else:
        devices = tuple(Device(**device) for device in answer["devices"])
        reason = answer["reason"] or ("" if devices else "there is no device that it can use")
        return EngineProbe(
            engine=name,
            usable=not reason,
            devices=devices,
            reason=reason,
            log=printed,
            seconds=seconds,
        )
    return EngineProbe(engine=name, usable=False, reason=reason, log=printed, seconds=seconds)


@contextmanager
def _process(command: list[str], output: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own; nothing of it is left afterwards."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _kill_group(process)
        process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended, and left nobody behind
    else:
        process.kill()


def _read_answer(file: Path) -> dict[str, Any] | None:
    try:
        answer = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # it ended before it answered
    return answer if isinstance(answer, dict) else None


def _ending(status: int) -> str:
    if status < 0:
        try:
            what = signal.Signals(-status).name
        except ValueError:
            what = f"signal {-status}"
        return f"its process was ended by {what}"
    return f"its process ended with status {status} and no answer"
