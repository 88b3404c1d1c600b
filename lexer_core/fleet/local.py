"""How is a fleet tried on one machine?

A scheduler and workers on the loopback, with TLS and a certificate that only they have.
They take turns to measure, because they share the machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from lexer_core.errors import FleetError, MissingPackageError, UsageError
from lexer_core.fleet.addresses import SchedulerAddress, TlsFiles
from lexer_core.fleet.dask_executor import DaskExecutor, check_dask
from lexer_core.fleet.plan_file import MACHINE_LABEL
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker.guardian import guarded
from lexer_core.worker.leftovers import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["DASK_SETTINGS", "LocalFleet", "write_certificate"]

DASK_SETTINGS: Mapping[str, str] = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
"""Of scheduler and workers: nothing is repeated elsewhere, and nothing samples a worker."""

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 3.0
_LOG_LINES = 5
_DAYS = 30


class LocalFleet:
    """A scheduler and workers on this machine, while it is entered.

    Parameters
    ----------
    workers
        Their number; they are called ``local-1``, ``local-2`` and so on.
    pythons
        Interpreters with Lexer and Dask for the workers, in turn. Default: this one.

    Raises
    ------
    MissingPackageError
        Dask or cryptography is not installed.
    UsageError
        An interpreter does not exist.
    """

    def __init__(self, workers: int, *, pythons: Sequence[str] = ()) -> None:
        check_dask()
        for python in pythons:
            if not os.access(python, os.X_OK):
                raise UsageError(f"--python {python!r} is not a Python interpreter.")
        self._count, self._pythons = workers, tuple(pythons) or (sys.executable,)
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.address = SchedulerAddress(url="")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = TemporaryFolder("fleet")
            stack.callback(folder.remove)
            stack.enter_context(guarded(folder.path))  # ends all of them if this process is killed
            stack.callback(self._stop)
            self.folder = folder.path
            self._tls = write_certificate(folder.path)
            self._start_scheduler()
            for number in range(1, self._count + 1):
                python = self._pythons[(number - 1) % len(self._pythons)]
                name = f"local-{number}"
                self._workers[name] = self.start_worker(name, python=python)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_worker(
        self,
        name: str,
        *,
        labels: Sequence[str] = (),
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = ("--no-nanny",),
    ) -> subprocess.Popen[bytes]:
        """Start one more worker, and return its process."""
        resources = " ".join(f"{label}=1" for label in (MACHINE_LABEL, *labels))
        return self._start(
            name,
            [python, "-m", "dask", "worker", self.address.url],
            ["--nworkers", "1", "--nthreads", "1", "--memory-limit", "0", *options],
            ["--name", name, "--resources", resources, "--local-directory", str(self.folder)],
            environment=environment,
        )

    def wait_for_workers(self, seconds: float) -> None:
        """Wait until all workers are connected.

        Raises
        ------
        FleetError
            A worker has ended, or is not connected in time.
        """
        deadline = time.monotonic() + seconds
        with DaskExecutor(self.address) as executor:
            while missing := self._workers.keys() - {
                machine.name for machine in executor.machines()
            }:
                ended = [name for name in missing if self._workers[name].poll() is not None]
                if ended or time.monotonic() > deadline:
                    name = min(ended or missing)
                    raise FleetError(
                        f"worker {name} did not start.", hint=f"Its last output:\n{self.log(name)}"
                    )
                time.sleep(_LOOK_SECONDS)

    def _start_scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        process = self.scheduler = self._start(
            "scheduler",
            [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls"],
            ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)],
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise FleetError(
                    "the scheduler did not start.",
                    hint=f"Its last output:\n{self.log('scheduler')}",
                )
            try:
                url = json.loads(file.read_text())["address"]
            except (OSError, ValueError):  # not there yet, or written in part
                time.sleep(_LOOK_SECONDS)
                continue
            self.address = SchedulerAddress(url=url, tls=self._tls)
            return

    def _start(
        self, name: str, *words: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        tls = self._tls
        files = ["--tls-ca-file", tls.ca_file, "--tls-cert", tls.cert, "--tls-key", tls.key]
        command = [*(word for part in words for word in part), "--no-dashboard", *map(str, files)]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  an interpreter and Dask
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **DASK_SETTINGS, MARK: str(self.folder), **(environment or {})},
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> str:
        """Return the last lines that the scheduler or a worker has written."""
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def _stop(self) -> None:
        # The workers first: without a scheduler they would wait for it.
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


def write_certificate(folder: Path) -> TlsFiles:
    """Write a new certificate that trusts itself alone, and its key, to a folder.

    Raises
    ------
    MissingPackageError
        cryptography is not installed.
    """
    try:
        from cryptography import x509  # an extra
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise MissingPackageError(
            "a local fleet makes a certificate, for which cryptography is not installed.",
            hint="pip install 'lexer-core[fleet]'",
        ) from error
    from datetime import UTC, datetime, timedelta

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lexer fleet local")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return TlsFiles(ca_file=cert, cert=cert, key=private)
