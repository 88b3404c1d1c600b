"""With which command, environment and connection is a worker started?"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.errors import WorkerError
from lexer_core.worker import transport
from lexer_core.worker.process_handle import ProcessHandle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.worker.log import WorkerLog

__all__ = ["release", "spawn"]

_MODULE = "lexer_core.worker.main"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_CONNECT_SECONDS = 30.0


def spawn(
    python: str,
    label: str,
    environment: Mapping[str, str],
    log: WorkerLog,
    *,
    mark: str,
    own_path: bool = False,
) -> tuple[ProcessHandle, socket.socket]:
    """Start a worker's process and return it with the parent's end of the connection.

    Parameters
    ----------
    python
        The interpreter.
    label
        Shown by ``ps``, and not used otherwise.
    environment
        All environment variables of the worker.
    log
        Where its output goes.
    mark
        See :mod:`lexer_core.worker.leftovers`.
    own_path
        Whether the interpreter finds lexer-core on its own path.

    Raises
    ------
    OSError
        The interpreter cannot be started.
    WorkerError
        The worker did not connect (not on POSIX, where it inherits its connection).
    """
    # The worker must find this package before it receives the parent's sys.path;
    # then it restores the variable. -P keeps the current folder out of sys.path:
    # a file there may have the name of a standard module.
    if not own_path:
        paths = (str(_PACKAGE_ROOT), environment.get("PYTHONPATH"))
        environment = {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    method = transport.METHOD
    # Asserts of the model run in the worker if they do in the parent.
    optimized = [] if own_path or not sys.flags.optimize else ["-" + "O" * sys.flags.optimize]
    command = [python, "-P", *optimized, "-m", _MODULE, method]
    parent = str(os.getpid())
    if method == transport.INHERITED:
        ours, theirs = transport.socket_pair()
        with theirs:
            try:
                handle = ProcessHandle(
                    [*command, str(theirs.fileno()), parent, label],
                    environment=environment,
                    output=log.fd,
                    mark=mark,
                    inherited=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        return handle, ours
    with transport.LoopbackListener() as listener:
        handle = ProcessHandle(
            [*command, "-", parent, label],
            environment=environment,
            output=log.fd,
            mark=mark,
            with_input=True,
        )
        handle.write_input(listener.credentials)
        sock = listener.accept(lambda: not handle.exited, _CONNECT_SECONDS)
    if sock is None:
        handle.release()
        raise WorkerError(
            f"the worker of {label!r} did not connect within {_CONNECT_SECONDS:g} s",
            hint=f"Its last output:\n{log.tail(5)}",
        )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return handle, sock


def release(handle: ProcessHandle, sock: socket.socket, log: WorkerLog) -> None:
    """Kill a worker's process, if it is running, and close its descriptors."""
    if handle.owned:
        # Not in a process forked from the parent: both share the connection, and
        # shutting it down would end the parent's.
        handle.release()
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the worker's end is already closed
            sock.close()
    sock.close()
    log.close()
