"""How are all checks carried out, when the engine may take its process down?

In a worker process, one check after the other. Where it dies or hangs, that
check has failed, and the next begins in a new one.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from lexer_core.errors import WorkerDiedError, WorkerTimeoutError
from lexer_core.testing.outcomes import CheckResult
from lexer_core.worker.executor import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.testing.suite import Check
    from lexer_core.worker.executor import Executor

__all__ = ["CheckPlan", "run_isolated"]

_LOG_LINES = 20
_START_SECONDS = 120.0


@frozen(kw_only=True)
class CheckPlan:
    """What is to be checked, and how.

    Parameters
    ----------
    engine
        The engine's name.
    checks
        In order.
    device, threads
        Where to run it; what is declared where empty or 0.
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
    """Carry out checks, and yield what came of each as soon as it is known.

    Raises
    ------
    TargetError
        The declarations cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="lexer-check-") as folder, _runner(plan, folder) as run:
        for check in plan.checks:
            yield run.one(check)


@contextmanager
def _runner(plan: CheckPlan, folder: str) -> Iterator[_Runner]:
    runner = _Runner(plan=plan, folder=folder)
    try:
        yield runner
    finally:
        runner.end()


@define(kw_only=True)
class _Runner:
    plan: CheckPlan
    folder: str
    _executor: Executor | None = field(default=None, init=False)
    _lives: int = field(default=0, init=False)

    def one(self, check: Check) -> CheckResult:
        """Carry out one check, in a new process if the last one is gone."""
        start = time.perf_counter()
        try:
            result: CheckResult = self._live().call("run", check.name, timeout=self.plan.timeout)
        except WorkerDiedError as error:
            reason = f"the engine's process died: {error.reason}."
            hint = "Whatever an engine is given, it answers or raises."
        except WorkerTimeoutError:
            reason = f"there was no answer within {self.plan.timeout:g} s."
            hint = "It hangs, or needs --timeout."
        else:
            return result
        assert self._executor is not None
        details = self._executor.log_tail(_LOG_LINES)
        self.end()
        return CheckResult(
            name=check.name,
            status="failed",
            reason=reason,
            hint=hint,
            details=details,
            seconds=time.perf_counter() - start,
        )

    def end(self) -> None:
        """End the process, if there is one."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def _live(self) -> Executor:
        if self._executor is None:
            plan = self.plan
            self._lives += 1
            self._executor = start_worker(
                "lexer_core.testing.hosted:HostedChecks",
                label=f"the checks of {plan.engine}",
                threads=plan.threads or 1,
                pinned=False,  # nothing is measured, and more threads may be declared
            )
            self._executor.call(
                "take",
                plan.engine,
                plan.device,
                plan.threads,
                plan.declarations,
                f"{self.folder}/{self._lives}",
                timeout=_START_SECONDS,
            )
        return self._executor
