"""Does an engine work here, and on which devices?

Only its runtime knows, and importing a runtime may take seconds, crash or hang. So
the question is asked in a worker process, with a time limit.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.engine_helpers import error_summary
from lexer_core.engines.answer_checks import WrongAnswerError, plain_devices
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import LexerError, WorkerDiedError, WorkerError, WorkerTimeoutError
from lexer_core.records import Device  # noqa: TC001  the reply's declared type
from lexer_core.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_TIMEOUT", "DeviceLister", "EngineProbe", "probe_engine", "probe_engines"]

DEFAULT_TIMEOUT = 60.0
"""Seconds to wait for an engine."""

_LOG_CHARACTERS = 4000


@frozen(kw_only=True)
class EngineProbe:
    """The result of asking an engine for its devices.

    Parameters
    ----------
    engine
        The engine's name.
    usable
        Whether its runtime can be imported and has a device.
    devices
        The devices that it can use here.
    reason
        Why it is not usable, in one line.
    log
        The end of its output.
    seconds
        How long it took, including the start of the process.
    """

    engine: str
    usable: bool
    devices: tuple[Device, ...] = ()
    reason: str = ""
    log: str = ""
    seconds: float


class DeviceLister:
    """Imports an engine's runtime and lists its devices; runs in a worker process."""

    def list_devices(self, name: str) -> tuple[tuple[Device, ...], str]:
        """Return the devices, and why the engine is not usable; empty if it is."""
        try:
            engine = EngineRegistry().get(name)
            for module in engine.info.runtime_modules:
                import_module(module)
            devices = tuple(engine.list_devices())
        except LexerError as error:
            return (), error.message
        except (Exception, SystemExit) as error:
            return (), error_summary(error)
        return devices, "" if devices else "it has no usable device"


def probe_engines(
    names: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT
) -> tuple[EngineProbe, ...]:
    """Probe several engines, one after the other, in the order of the names."""
    return tuple(probe_engine(name, timeout=timeout) for name in names)


def probe_engine(name: str, *, timeout: float = DEFAULT_TIMEOUT) -> EngineProbe:
    """Ask an engine for its devices, in a worker process.

    Parameters
    ----------
    name
        The name of a ready engine.
    timeout
        Seconds to wait.

    Returns
    -------
    EngineProbe
        Also if the process crashes, hangs or raises; ``reason`` says so.
    """
    start = time.monotonic()
    devices: tuple[Device, ...] = ()
    with WorkerProcess.start(
        "lexer_core.engines.probe:DeviceLister",
        label=f"the probe of {name}",
        hosted=DeviceLister,
    ) as worker:
        try:
            listed, reason = worker.call("list_devices", name, timeout=timeout)
            devices = plain_devices(listed)
        except WorkerTimeoutError:
            reason = f"no answer within {timeout:g} s"
        except WorkerDiedError as error:
            reason = f"its process died: {error.reason}"
        except WorkerError as error:
            reason = error.message
        except WrongAnswerError as wrong:
            reason = f"its process {wrong.what}"
        seconds = time.monotonic() - start
        # Without waiting: runtimes may hang when they shut down.
        worker.close(timeout=0.0)
    return EngineProbe(
        engine=name,
        usable=not reason,
        devices=devices,
        reason=reason,
        log=worker.log_tail(None)[-_LOG_CHARACTERS:],
        seconds=seconds,
    )
