"""How does a worker come by its end of the connection?

On POSIX it inherits one end of an unnamed socket pair. Such a pair has no
address in the file system or on the network: only the two processes that hold
an end can speak, and that is the authentication. Nothing secret is on the
command line or in the environment.

Elsewhere (and nowhere that is tested beyond this module's own tests) the parent
listens on the loopback interface, hands port and a random key to the worker
through its standard input, and accepts the one that shows the key.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INHERITED", "LOOPBACK", "WAY", "Loopback", "join", "socket_pair"]

INHERITED = "inherited"
LOOPBACK = "loopback"
"""The two ways, as named on the worker's command line."""

WAY = INHERITED if os.name == "posix" else LOOPBACK
"""The way that is taken here."""

_HIGH_FD = 100
"""Plugins have been seen to close descriptors 0 to 2, and first-free ones get reused."""

_KEY_BYTES = 32
_POLL_SECONDS = 0.05
_KEY_SECONDS = 5.0


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Make the parent's and the worker's end; the worker's has a high number."""
    import fcntl  # POSIX only, as this function is

    parent, child = socket.socketpair()
    with child:
        number = fcntl.fcntl(child.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
    return parent, socket.socket(fileno=number)


class Loopback:
    """The parent's side of a rendezvous on the loopback interface; to be closed."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=4)
        self._key = os.urandom(_KEY_BYTES).hex().encode()

    @property
    def invitation(self) -> bytes:
        """The line to write to the worker's standard input."""
        return b"%d %s\n" % (self._server.getsockname()[1], self._key)

    def accept(self, alive: Callable[[], bool], timeout: float) -> socket.socket | None:
        """Wait for the worker that shows the key.

        Returns ``None`` when ``alive`` says that it is gone, or after
        ``timeout`` seconds.
        """
        import hmac  # only here, and not on POSIX

        deadline = time.monotonic() + timeout
        self._server.settimeout(_POLL_SECONDS)
        while time.monotonic() < deadline:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                if not alive():
                    return None
                continue
            if hmac.compare_digest(_read_exactly(connection, len(self._key)), self._key):
                connection.settimeout(None)
                return connection
            connection.close()
        return None

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()


def join(way: str, place: str) -> socket.socket:
    """Take the worker's end of the connection.

    Parameters
    ----------
    way
        ``INHERITED`` or ``LOOPBACK``.
    place
        For an inherited end, its descriptor.
    """
    if way == INHERITED:
        connection = socket.socket(fileno=int(place))
        # Programs that the worker starts must not hold the connection open.
        connection.set_inheritable(False)
        return connection
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 256)
        if not piece:
            raise EOFError("the parent left before it said where to connect")
        line += piece
    port, key = line.split()
    connection = socket.create_connection(("127.0.0.1", int(port)))
    connection.sendall(key)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return connection


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    connection.settimeout(_KEY_SECONDS)
    data = b""
    try:
        while len(data) < count:
            piece = connection.recv(count - len(data))
            if not piece:
                break
            data += piece
    except OSError:  # silent or gone: it did not show the key
        return data
    return data
