"""How does a machine measure one run?

In a process of its own, so that the user's code is imported there and the worker stays
as it is, and with a lock: several workers on one machine take turns. If the worker ends,
however that happens, the process notices, because its standard input is closed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from lexer_core.cache_folder import default_directory
from lexer_core.errors import FleetError, LexerError
from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

__all__ = ["measure_in_own_process"]

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_LOOK_SECONDS = 0.5
_SECONDS_BETWEEN_TEXTS = 3.0
_SECONDS_TO_END = 60.0
_LOG_LINES = 5


class _Link(Protocol):
    def tell(self, text: str) -> None: ...

    def is_stopping(self) -> bool: ...


def measure_in_own_process(
    plan: Mapping[str, Any], path: Path, *, folder: Path | None, link: _Link
) -> None:
    """Measure a run, and write the result.

    Parameters
    ----------
    plan
        The run, as JSON types.
    path
        The ``.lexer`` file to write.
    folder
        The user's code. Default: the current folder, and what is installed.
    link
        Is told what is being done.

    Raises
    ------
    LexerError
        The run has no result.
    """
    with _machine_to_itself(link), TemporaryFolder("fleet") as temporary:
        job = temporary / "job.json"
        where = str(folder or Path.cwd())
        job.write_text(
            json.dumps(
                {"plan": plan, "path": str(path), "folder": where, "is_sent": folder is not None}
            )
        )
        paths = (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))
        log = temporary / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  this interpreter and a module of Lexer's
                [sys.executable, "-P", "-m", "lexer_core.fleet.measuring_process", str(job)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        with process:
            try:
                said = _listen(process, link)
            finally:
                _end(process)
        if "error" in said:
            raise FleetError(said["error"]["message"], hint=said["error"]["hint"])
        if "done" not in said:
            raise FleetError(
                f"the process that measured {_how_ended(process.returncode)}.",
                hint=f"Its last output:\n{_tail(log)}",
            )


@contextmanager
def _machine_to_itself(link: _Link) -> Iterator[None]:
    """Wait until no other worker on this machine measures."""
    folder = default_directory() / "fleet"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / "measuring.lock", thread_local=False)
    is_told = False
    while True:
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
            break
        except Timeout:
            if link.is_stopping():
                raise _stopped() from None
            if not is_told:
                link.tell("waiting for another measurement on this machine")
            is_told = True
    try:
        yield
    finally:
        lock.release()


def _listen(process: subprocess.Popen[bytes], link: _Link) -> dict[str, Any]:
    """Pass on what a process tells until it ends, and return what it said last."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(
        target=_read_lines, args=(process.stdout, lines), name="lexer-fleet", daemon=True
    ).start()
    told_at = float("-inf")
    said: dict[str, Any] = {}
    while True:
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            if link.is_stopping():
                raise _stopped() from None
            continue
        if not line:
            return said
        said = json.loads(line)
        if "progress" in said and time.monotonic() - told_at > _SECONDS_BETWEEN_TEXTS:
            told_at = time.monotonic()
            link.tell(said["progress"])


def _read_lines(stream: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


def _stopped() -> LexerError:
    return FleetError("the machine was stopped while it measured.", hint="Start it again.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end by closing its standard input; kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def _how_ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES:])
