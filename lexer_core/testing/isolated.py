"""How are all checks run, if the engine may crash its process?

In a worker process, one after the other. If a check crashes it or hangs, the check
has failed, and the next one runs in a new process.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from lexer_core.errors import WorkerDiedError, WorkerTimeoutError
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.testing.hosted import HostedChecks
from lexer_core.testing.outcomes import CheckResult
from lexer_core.worker.executor import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lexer_core.testing.suite import Check
    from lexer_core.worker.process import WorkerProcess

__all__ = ["CheckPlan", "run_isolated"]

_LOG_LINES = 20
_START_SECONDS = 120.0


@frozen(kw_only=True)
class CheckPlan:
    """Which checks to run, and how.

    Parameters
    ----------
    engine
        The engine's name.
    checks
        The checks, in order.
    device, threads
        Where to run the engine; if empty or 0, as declared.
    declarations
        ``"module:Class"``, or empty.
    timeout
        Seconds that one check may take.
    """

    engine: str
    checks: Sequence[Check]
    device: str = ""
    threads: int = 0
    declarations: str = ""
    timeout: float = 120.0


def run_isolated(plan: CheckPlan) -> Iterator[CheckResult]:
    """Run the checks, and yield each result as soon as it is known.

    Raises
    ------
    TargetError
        The declarations cannot be loaded.
    """
    with TemporaryFolder("check") as folder, _runner(plan, folder) as run:
        for check in plan.checks:
            yield run.one(check)


@contextmanager
def _runner(plan: CheckPlan, folder: Path) -> Iterator[_Runner]:
    runner = _Runner(plan=plan, folder=folder)
    try:
        yield runner
    finally:
        runner.close()


@define(kw_only=True)
class _Runner:
    plan: CheckPlan
    folder: Path
    _worker: WorkerProcess | None = field(default=None, init=False)
    _starts: int = field(default=0, init=False)

    def one(self, check: Check) -> CheckResult:
        """Run one check, in a new process if the last one has ended."""
        start = time.perf_counter()
        try:
            result: CheckResult = self._running_worker().call(
                "run", check.name, timeout=self.plan.timeout
            )
        except WorkerDiedError as error:
            reason = f"the engine's process died: {error.reason}."
            hint = "An engine must answer or raise, whatever its input."
        except WorkerTimeoutError:
            reason = f"no answer within {self.plan.timeout:g} s."
            hint = "The engine hangs or needs a longer --timeout."
        else:
            return result
        assert self._worker is not None
        details = self._worker.log_tail(_LOG_LINES)
        self.close()
        return CheckResult(
            name=check.name,
            status="failed",
            reason=reason,
            hint=hint,
            details=details,
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None:
        """End the process, if there is one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _running_worker(self) -> WorkerProcess:
        if self._worker is None:
            plan = self.plan
            self._starts += 1
            self._worker = start_worker(
                "lexer_core.testing.hosted:HostedChecks",
                hosted=HostedChecks,
                label=f"the checks of {plan.engine}",
                threads=plan.threads or 1,
                pinned=False,  # nothing is measured, and more threads may be declared
            )
            self._worker.call(
                "set_engine",
                plan.engine,
                plan.device,
                plan.threads,
                plan.declarations,
                f"{self.folder}/{self._starts}",
                timeout=_START_SECONDS,
            )
        return self._worker
