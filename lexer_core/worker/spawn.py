"""With which command, environment and connection does a worker begin?"""

from __future__ import annotations

import os
import socket
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
    own_path: bool = False,
) -> tuple[ProcessHandle, socket.socket]:
    """Start a worker's process, and make the parent's end of its connection.

    Parameters
    ----------
    python
        The interpreter.
    label
        Shown by ``ps``; has no other meaning.
    environment
        The worker's whole environment.
    log
        Where its output goes.
    own_path
        Whether the interpreter is to find lexer-core by itself.

    Raises
    ------
    OSError
        The interpreter cannot be started.
    WorkerError
        The worker did not connect (not on POSIX, where it need not).
    """
    # The worker must find this package before it learns the parent's sys.path;
    # it restores the variable then. With -P the current folder is not searched,
    # in which a file may be called as a module is that the interpreter needs.
    if not own_path:
        found = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), environment.get("PYTHONPATH"))))
        environment = {**environment, "PYTHONPATH": found}
    way = transport.WAY
    command = [python, "-P", "-m", _MODULE, way]
    owner = str(os.getpid())
    if way == transport.INHERITED:
        ours, theirs = transport.socket_pair()
        with theirs:
            try:
                place = str(theirs.fileno())
                child = ProcessHandle(
                    [*command, place, owner, label],
                    environment=environment,
                    output=log.fd,
                    inherited=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        return child, ours
    with transport.Loopback() as meeting:
        child = ProcessHandle(
            [*command, "-", owner, label], environment=environment, output=log.fd, with_input=True
        )
        child.say(meeting.invitation)
        connection = meeting.accept(lambda: not child.exited, _CONNECT_SECONDS)
    if connection is None:
        child.release()
        raise WorkerError(
            f"the worker of {label!r} did not connect within {_CONNECT_SECONDS:g} s",
            hint=f"It printed:\n{log.tail(5)}",
        )
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return child, connection


def release(child: ProcessHandle, connection: socket.socket, log: WorkerLog) -> None:
    """Kill a worker's process, if it is there, and close what belongs to it."""
    if child.owned:
        # In a process that was forked from its parent, this would cut the
        # parent's own connection, which both share.
        child.release()
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the worker is gone, which closed it
            connection.close()
    connection.close()
    log.close()
