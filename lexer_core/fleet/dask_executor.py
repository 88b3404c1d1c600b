"""How are machines reached through Dask?

Each machine runs a Dask worker with one thread and the resource ``machine=1``. An action
is a task that only this worker may run, that takes the resource, and that is not repeated
elsewhere. Arguments and answers are text and bytes, never objects of an engine.
"""

from __future__ import annotations

import queue
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from lexer_core.errors import FleetError, MissingPackageError
from lexer_core.fleet.executor import Reply, Said
from lexer_core.fleet.machine import perform
from lexer_core.fleet.plan_file import MACHINE_LABEL
from lexer_core.fleet.records import ConnectedMachine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Client, Future, Worker

    from lexer_core.fleet.addresses import SchedulerAddress

__all__ = ["DaskExecutor", "check_dask"]

_SECONDS_BETWEEN_LOOKS = 2.0
_LOOKS_PER_SECOND = 50.0
"""Machines that are looked at in a second, so that many do not load the scheduler."""

_STOPPING = {"closing", "closed", "closing_gracefully", "failed", "stopping", "stopped"}


def check_dask() -> None:
    """Check that Dask is installed.

    Raises
    ------
    MissingPackageError
        It is not.
    """
    if find_spec("distributed") is None:
        raise MissingPackageError(
            "measuring on other machines needs Dask, which is not installed.",
            hint="pip install 'lexer-core[fleet]', here and on every machine",
        )


class DaskExecutor:
    """An executor for the workers of a Dask scheduler.

    Parameters
    ----------
    address
        The scheduler.
    timeout
        How long to try to connect, in seconds.

    Raises
    ------
    MissingPackageError
        Dask is not installed.
    """

    def __init__(self, address: SchedulerAddress, *, timeout: float = 30.0) -> None:
        check_dask()
        self._address, self._timeout = address, timeout
        self._client: Client | None = None
        self._came: queue.SimpleQueue[tuple[str, Future] | Said] = queue.SimpleQueue()
        self._futures: dict[str, Future] = {}
        self._addresses: dict[str, str] = {}
        self._looked_at = float("-inf")

    def __enter__(self) -> Self:
        from distributed import Client, Security  # an extra

        tls = self._address.tls
        security = (
            Security(require_encryption=False)
            if tls is None
            else Security(
                tls_ca_file=str(tls.ca_file),
                tls_client_cert=str(tls.cert),
                tls_client_key=str(tls.key),
                require_encryption=True,
            )
        )
        try:
            self._client = Client(
                self._address.url,
                security=security,
                timeout=self._timeout,
                set_as_default=False,
                name="lexer-fleet",
            )
        except (OSError, ValueError) as error:  # its errors of TLS and of time are OSErrors
            raise FleetError(
                f"cannot connect to the scheduler {self._address.url}: {_reason(error)}.",
                hint="Check the address and that the scheduler runs: dask scheduler"
                + ("" if tls is None else "\nWith TLS, all certificates must be of one CA."),
            ) from error
        self._topic = f"lexer-fleet-{self._client.id}"
        self._client.subscribe_topic(self._topic, self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        client, self._client = self._client, None
        self._futures.clear()
        if client is not None:
            client.close(timeout=5)

    def machines(self) -> Sequence[ConnectedMachine]:
        """Return the workers that have the resource ``machine``."""
        found = []
        for address, worker in self._workers().items():
            resources = worker["resources"]
            if resources.get(MACHINE_LABEL, 0) >= 1:
                name = str(worker["name"])
                self._addresses[name] = address
                labels = sorted(
                    label
                    for label, amount in resources.items()
                    if label != MACHINE_LABEL and amount >= 1
                )
                found.append(ConnectedMachine(name=name, labels=labels))
        return sorted(found, key=lambda machine: machine.name)

    def start(self, machine: str, action: str, arguments: str, content: bytes) -> None:
        """Submit an action to the worker of a machine."""
        assert self._client is not None
        future = self._client.submit(
            perform_on_worker,
            action,
            arguments,
            content,
            machine,
            self._topic,
            workers=[self._addresses[machine]],
            allow_other_workers=False,
            resources={MACHINE_LABEL: 1},
            pure=False,
            retries=0,
        )
        self._futures[machine] = future
        future.add_done_callback(lambda future: self._came.put((machine, future)))

    def wait(self, seconds: float) -> Sequence[Reply | Said]:
        """Return what has come, and the machines that are gone."""
        came: list[Reply | Said] = []
        try:
            while True:
                item = self._came.get(timeout=0 if came else seconds)
                if isinstance(item, Said):
                    came.append(item)
                elif self._futures.get(item[0]) is item[1]:
                    came.append(self._reply(*item))
        except queue.Empty:
            return [*came, *self._gone()]

    def _reply(self, machine: str, future: Future) -> Reply:
        del self._futures[machine]
        try:
            answer = future.result(timeout=60)
        except Exception as error:  # those of Dask have no common class
            return Reply(machine=machine, lost=self._why_lost(error))
        if not isinstance(answer, bytes):
            return Reply(machine=machine, lost="it answered with something else than bytes.")
        return Reply(machine=machine, answer=answer)

    def _why_lost(self, error: Exception) -> str:
        if isinstance(error, (ImportError, AttributeError)):
            return (
                f"it has no Lexer, or one of another version ({error}).\n"
                "Install it there: pip install 'lexer-core[fleet]'"
            )
        if type(error).__name__ in ("CancelledError", "FutureCancelledError"):
            return "the connection to the scheduler was lost."
        if type(error).__name__ == "KilledWorker":
            return _WORKER_GONE
        return f"the connection to it was lost ({type(error).__name__}: {_reason(error)})."

    def _gone(self) -> list[Reply]:
        """Return replies for the machines that will not reply any more."""
        client = self._client
        assert client is not None
        if client.status != "running":
            return self._lose(list(self._futures), "the connection to the scheduler was lost.")
        pause = max(_SECONDS_BETWEEN_LOOKS, len(self._futures) / _LOOKS_PER_SECOND)
        if not self._futures or time.monotonic() - self._looked_at < pause:
            return []
        self._looked_at = time.monotonic()
        try:
            connected = set(self._workers())
        except FleetError as error:
            return self._lose(list(self._futures), error.message)
        gone = [name for name in self._futures if self._addresses[name] not in connected]
        return self._lose(gone, _WORKER_GONE)

    def _lose(self, machines: Sequence[str], reason: str) -> list[Reply]:
        for machine in machines:
            self._futures.pop(machine).cancel(msg=reason)
        return [Reply(machine=machine, lost=reason) for machine in machines]

    def _workers(self) -> dict[str, dict[str, Any]]:
        client = self._client
        assert client is not None
        try:
            # Not client.scheduler_info(), whose answer a periodic update without workers may
            # replace before it is returned.
            info = client.sync(
                client.scheduler.identity, n_workers=-1, callback_timeout=self._timeout
            )
        except Exception as error:
            raise FleetError(f"the scheduler does not answer: {_reason(error)}.") from error
        workers: dict[str, dict[str, Any]] = info["workers"]
        return workers

    def _on_event(self, event: tuple[float, object]) -> None:
        _, message = event
        if isinstance(message, dict):
            machine, text = str(message.get("machine")), str(message.get("text"))
            self._came.put(Said(machine=machine, text=text))


_WORKER_GONE = (
    "its worker was killed or lost its connection. What it finished is kept there, and fetched "
    "when it is back."
)


def perform_on_worker(
    action: str, arguments: str, content: bytes, machine: str, topic: str
) -> bytes:
    """Perform an action in a Dask worker; see :func:`lexer_core.fleet.machine.perform`."""
    from distributed import get_worker  # an extra

    return perform(action, arguments, content, _WorkerLink(get_worker(), machine, topic))


class _WorkerLink:
    """Tells the fleet through the scheduler."""

    def __init__(self, worker: Worker, machine: str, topic: str) -> None:
        self._worker, self._machine, self._topic = worker, machine, topic

    @property
    def is_under_nanny(self) -> bool:
        return self._worker.nanny is not None

    def tell(self, text: str) -> None:
        self._worker.log_event(self._topic, {"machine": self._machine, "text": text})

    def is_stopping(self) -> bool:
        return self._worker.status.name in _STOPPING


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else repr(error)
