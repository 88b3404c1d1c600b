"""How do plugins describe their engines, without being imported here?

Importing a plugin may crash, hang or change the process. So they are imported in a
child process with a time limit, one after the other, and their answers are remembered
(``remembered.py``). A plugin with which something goes wrong is asked again alone,
because one that was imported before it may be the cause.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lexer_core.engines.info_data import info_from_data
from lexer_core.engines.plugin_errors import PluginError, upgrade_plugin
from lexer_core.engines.plugin_text import printable_lines
from lexer_core.engines.remembered import PluginAnswer, recall, remember
from lexer_core.engines.states import EngineState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.worker.process import WorkerProcess

__all__ = ["describe_plugins"]

_SECONDS = 20.0
"""Time limit for one plugin."""

_START_SECONDS = 60.0
"""Time limit for the start of the child process."""

_LOG_CHARACTERS = 4000


def describe_plugins(
    entry_points: Sequence[EngineEntryPoint],
) -> Mapping[EngineEntryPoint, PluginAnswer]:
    """Return how each plugin describes its engine, or why it does not."""
    answers = {entry_point: recall(entry_point) for entry_point in entry_points}
    unknown = [entry_point for entry_point, answer in answers.items() if answer is None]
    known = {entry_point: answer for entry_point, answer in answers.items() if answer is not None}
    return known | (_ask(unknown) if unknown else {})


def _ask(entry_points: Sequence[EngineEntryPoint]) -> dict[EngineEntryPoint, PluginAnswer]:
    """Ask plugins in as few processes as possible."""
    answers: dict[EngineEntryPoint, PluginAnswer] = {}
    child = _Child()
    try:
        for entry_point in entry_points:
            asked_at = time.time()
            answer = child.ask(entry_point)
            if answer.problem is not None and child.asked > 1:
                child.close()
                child = _Child()
                answer = child.ask(entry_point)
            if answer.problem is not None:
                child.close()
                child = _Child()
            answers[entry_point] = answer
            if answer.can_be_kept:
                remember(entry_point, answer, asked_at)
    finally:
        child.close()
    return answers


class _Child:
    """A process that imports plugins; started when the first one is asked."""

    def __init__(self) -> None:
        self._worker: WorkerProcess | None = None
        self.asked = 0
        self._is_quoted = False
        """Whether an answer contains the output of the process."""

    def ask(self, entry_point: EngineEntryPoint) -> PluginAnswer:
        """Ask one plugin, whatever happens to the process."""
        # On use: they take longer to import than a listing does.
        from lexer_core.errors import WorkerDiedError, WorkerError, WorkerTimeoutError

        self.asked += 1
        try:
            worker = self._started()
        except WorkerError as error:
            reason = f"there is no process to import it in: {error.message.rstrip('.')}"
            return PluginAnswer(problem=PluginError(reason, fix=error.hint), can_be_kept=False)
        try:
            reply = worker.call(
                "describe",
                entry_point.name,
                entry_point.group,
                entry_point.value,
                tuple(entry_point.distribution),
                timeout=_SECONDS,
            )
        except WorkerTimeoutError:
            reason = f"importing it does not finish within {_SECONDS:g} s"
        except WorkerDiedError as error:
            reason = f"importing it ends the process: {error.reason}"
        except WorkerError as error:
            reason = error.message.rstrip(".")
        else:
            if reply.info is None:
                problem = PluginError(
                    reply.reason,
                    fix=reply.fix,
                    details=reply.details,
                    state=EngineState(reply.state),
                )
                return PluginAnswer(problem=problem, files=reply.files)
            try:
                return PluginAnswer(info=info_from_data(reply.info), files=reply.files)
            except ValueError as error:
                reason = str(error)
        self._is_quoted = True
        return PluginAnswer(
            problem=PluginError(
                reason,
                fix=upgrade_plugin(entry_point.distribution),
                details=printable_lines(worker.log_tail(None), _LOG_CHARACTERS),
            )
        )

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            # Without waiting: what a plugin imported may hang when it shuts down.
            self._worker.close(timeout=0.0)
            output = "" if self._is_quoted else self._worker.log_tail(None)
            if output.strip() and sys.stderr is not None:
                with suppress(OSError, ValueError):  # it may be full, or closed
                    sys.stderr.write(f"{printable_lines(output.rstrip())}\n")
            self._worker = None

    def _started(self) -> WorkerProcess:
        if self._worker is None:
            from lexer_core.engines.plugin_host import PluginHost
            from lexer_core.machine.affinity import thread_environment
            from lexer_core.worker.process import WorkerProcess

            self._worker = WorkerProcess.start(
                "lexer_core.engines.plugin_host:PluginHost",
                label="the plugins",
                hosted=PluginHost,
                environment=thread_environment(1),
            )
            self._worker.call("start", timeout=_START_SECONDS)
        return self._worker
