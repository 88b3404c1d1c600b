"""How does a worker get its end of the connection?

On POSIX it inherits one end of an unnamed socket pair. The pair has no address in
the file system or on the network, so only the two processes that hold an end can
communicate. That is the authentication; no secret is on the command line or in the
environment.

On other systems the parent listens on the loopback interface, sends the port and a
random key to the worker's standard input, and accepts the connection that presents
the key. Only this module's own tests cover this way.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "INHERITED",
    "LOOPBACK",
    "METHOD",
    "LoopbackListener",
    "connect",
    "high_descriptor",
    "socket_pair",
]

INHERITED = "inherited"
LOOPBACK = "loopback"
"""The two methods, as named on the worker's command line."""

METHOD = INHERITED if os.name == "posix" else LOOPBACK
"""The method used on this system."""

_HIGH_FD = 100
"""Some plugins close descriptors 0 to 2, and the lowest free numbers are reused."""

_LOWEST_FD = 3

_KEY_BYTES = 32
_POLL_SECONDS = 0.05
_KEY_SECONDS = 5.0


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return the parent's and the worker's end; the worker's has a high descriptor."""
    parent, worker = socket.socketpair()
    with worker:
        fd = high_descriptor(worker.fileno())
    return parent, socket.socket(fileno=fd)


def high_descriptor(fd: int) -> int:
    """Duplicate a descriptor to a high number, as far as the limit on open files allows."""
    import fcntl  # POSIX only, as this function is
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < 2 * _HIGH_FD:
        # Half of the numbers stay for files, which get the lowest ones.
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(_LOWEST_FD, limit // 2))
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)


class LoopbackListener:
    """The parent's listening socket on the loopback interface; must be closed."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=4)
        self._key = os.urandom(_KEY_BYTES).hex().encode()

    @property
    def credentials(self) -> bytes:
        """The port and the key, as a line for the worker's standard input."""
        return b"%d %s\n" % (self._server.getsockname()[1], self._key)

    def accept(self, alive: Callable[[], bool], timeout: float) -> socket.socket | None:
        """Wait for the connection that presents the key.

        Returns ``None`` once ``alive()`` is false, or after ``timeout`` seconds.
        """
        import hmac  # not needed on POSIX

        deadline = time.monotonic() + timeout
        self._server.settimeout(_POLL_SECONDS)
        while time.monotonic() < deadline:
            try:
                sock, _ = self._server.accept()
            except TimeoutError:
                if not alive():
                    return None
                continue
            if hmac.compare_digest(_read_exactly(sock, len(self._key)), self._key):
                sock.settimeout(None)
                return sock
            sock.close()
        return None

    def __enter__(self) -> LoopbackListener:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.close()


def connect(method: str, fd: str) -> socket.socket:
    """Return the worker's end of the connection.

    Parameters
    ----------
    method
        ``INHERITED`` or ``LOOPBACK``.
    fd
        The inherited descriptor; ignored for ``LOOPBACK``.
    """
    if method == INHERITED:
        sock = socket.socket(fileno=int(fd))
        # Programs that the worker starts must not keep the connection open.
        sock.set_inheritable(False)
        return sock
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 256)
        if not data:
            raise EOFError("the parent exited before it sent the port and the key")
        line += data
    port, key = line.split()
    sock = socket.create_connection(("127.0.0.1", int(port)))
    sock.sendall(key)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return sock


def _read_exactly(sock: socket.socket, count: int) -> bytes:
    sock.settimeout(_KEY_SECONDS)
    data = b""
    try:
        while len(data) < count:
            received = sock.recv(count - len(data))
            if not received:
                break
            data += received
    except OSError:  # silent or closed: it did not present the key
        return data
    return data
