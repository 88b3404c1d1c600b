"""What runs in the process that measures a run of a fleet?

Its standard output has a line of JSON for each step, and one for the end; whatever else
prints goes to standard error. It interrupts itself when standard input is closed, because
then the worker that started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.artifact.write import SUFFIX
from lexer_core.context import LexerContext
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import (
    EngineUnavailableError,
    InputError,
    LexerError,
    TargetError,
    UnknownEngineError,
)
from lexer_core.reporting.progress import described
from lexer_core.run_plan import RunPlan, execute_plan
from lexer_core.validated_data import validated

if TYPE_CHECKING:
    from typing import BinaryIO

    from lexer_core.benchmark.progress import ProgressEvent
    from lexer_core.engines.states import ReadyEngine

__all__ = ["main"]

_SECONDS_BETWEEN_LINES = 1.0
_SECONDS_TO_END = 45.0


class _Registry(EngineRegistry):
    """The engines of this machine; one that is missing costs its own row."""

    def ready_listing(self, name: str) -> ReadyEngine:
        try:
            return super().ready_listing(name)
        except UnknownEngineError as error:
            raise EngineUnavailableError(
                f"engine {name!r} is not installed on this machine.", engine=name, hint=error.hint
            ) from error


def main(job: Path) -> int:
    """Measure the run that a file describes, and return the exit status."""
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    request = json.loads(job.read_text())
    finished = threading.Event()
    threading.Thread(target=_interrupt_at_end_of_input, args=(finished,), daemon=True).start()
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    said: dict[str, object] = {"done": True}
    try:
        _measure(request, output)
    except LexerError as error:
        hint = error.hint
        if isinstance(error, (TargetError, InputError)):
            hint = f"{hint}\n{_about_paths(request)}".strip()
        said = {"error": {"message": error.message, "hint": hint}}
    except KeyboardInterrupt:
        said = {"error": {"message": "the run was interrupted.", "hint": ""}}
    finished.set()
    _say(output, said)
    return 0


def _measure(request: dict[str, Any], output: BinaryIO) -> None:
    plan: RunPlan = validated(request["plan"], RunPlan)
    path = Path(request["path"])
    # A tuning is written as it goes on; only the whole one gets the name.
    unfinished = path.with_suffix(f".unfinished{SUFFIX}")
    resume = str(unfinished) if plan.is_tuning and unfinished.exists() else None
    report = execute_plan(
        plan,
        context=LexerContext(registry=_Registry()),
        progress=_Teller(output),
        save_to=unfinished,
        resume=resume,
    )
    if report.stopped_because == "interrupted":
        if not plan.is_tuning:
            unfinished.unlink()
        raise KeyboardInterrupt
    unfinished.replace(path)


class _Teller:
    """Writes a line for a step, at most one a second."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._started = time.monotonic()
        self._told_at = float("-inf")

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        if now - self._told_at >= _SECONDS_BETWEEN_LINES:
            self._told_at = now
            text = described(attrs.evolve(event, seconds_left=None), now - self._started)
            _say(self._output, {"progress": text})


def _say(output: BinaryIO, value: object) -> None:
    try:
        output.write(json.dumps(value).encode() + b"\n")
    except BrokenPipeError:  # the worker is gone, and so will this process be
        return


def _interrupt_at_end_of_input(finished: threading.Event) -> None:
    # Not sys.stdin.buffer: Python cannot end while a thread waits with the lock of that.
    while os.read(0, 4096):
        pass
    if finished.is_set():
        return
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_SECONDS_TO_END)
    os._exit(1)


def _about_paths(request: dict[str, Any]) -> str:
    if request["is_sent"]:
        return "Paths are relative to the folder 'code' of the plan."
    return (
        "Paths are those of the machine. To send the folder that has the file, "
        'write code = "FOLDER" in the plan.'
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
