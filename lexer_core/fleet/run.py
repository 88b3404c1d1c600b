"""How is a plan measured on many machines, and what becomes of each machine's runs?

Each machine is visited on its own: it describes itself, receives the code if it lacks it,
and measures one run after the other, each of which is fetched before the next begins. A
machine that is lost or that must not measure costs its own runs, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core import __version__
from lexer_core.artifact.manifest import LONGEST_NAME, is_name
from lexer_core.errors import ArtifactError, OutputFileError
from lexer_core.fleet.choosing import wait_for_machines
from lexer_core.fleet.code import PackedCode, pack_code
from lexer_core.fleet.executor import Reply
from lexer_core.fleet.machine import ANSWER, PART, WORKER_COMMAND
from lexer_core.fleet.parts import FleetFile, Part, written_by_one_command
from lexer_core.fleet.records import (
    FleetEvent,
    MachineFacts,
    MeasuredFile,
    plan_digest,
)
from lexer_core.merged import FailedRun
from lexer_core.merged.machines import other_hardware
from lexer_core.results.attrs_fields import plain
from lexer_core.validated_data import InvalidDataError, parse_json, validated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from lexer_core.fleet.executor import Executor
    from lexer_core.fleet.records import FleetPlan
    from lexer_core.merged import MergedRuns
    from lexer_core.run_plan import RunPlan

__all__ = ["FleetOutcome", "execute_fleet"]

_PART_BYTES = 4 * 2**20
_LOOK_SECONDS = 0.5


@frozen(kw_only=True, eq=False)
class FleetOutcome:
    """What came of a plan.

    Parameters
    ----------
    merged
        All runs that the file has; ``None`` if there is none.
    failed
        What could not be measured this time.
    is_interrupted
        Whether the user interrupted, so that runs are missing.
    """

    merged: MergedRuns | None
    failed: tuple[FailedRun, ...]
    is_interrupted: bool = False


@frozen(kw_only=True)
class _Task:
    """One run on one machine."""

    run: RunPlan
    digest: str
    price: str


@frozen(kw_only=True)
class _Ask:
    """An action for the machine that is visited."""

    action: str
    arguments: dict[str, Any]
    content: bytes = b""


class _LostError(Exception):
    """The machine that is visited is gone."""


class _RefusedError(Exception):
    """An action has failed on the machine; the text is the reason, with how to fix it."""


if TYPE_CHECKING:
    _Visit = Generator[_Ask, bytes, None]


def execute_fleet(
    plan: FleetPlan,
    executor: Executor,
    output: Path,
    *,
    wait: float = 60.0,
    notify: Callable[[FleetEvent], object] | None = None,
) -> FleetOutcome:
    """Measure a plan on the machines of an executor, and merge the runs into one file.

    Runs that the file has already are not measured again.

    Parameters
    ----------
    plan
        What to measure.
    executor
        Reaches the machines.
    output
        The ``.lexer`` file.
    wait
        How long to wait for machines, in seconds.
    notify
        Called with what machines do.

    Raises
    ------
    UsageError
        The file has other runs or is being written, the code cannot be read, or no machine
        has the labels of a kind.
    FleetError
        No machine can be reached.
    OutputFileError
        The file cannot be written.
    """
    with written_by_one_command(output):
        return _execute(plan, executor, FleetFile(output), wait, notify or (lambda _: None))


def _execute(
    plan: FleetPlan,
    executor: Executor,
    file: FleetFile,
    wait: float,
    notify: Callable[[FleetEvent], object],
) -> FleetOutcome:
    tasks = [
        [_Task(run=run, digest=plan_digest(run), price=kind.price) for run in plan.runs_of(kind)]
        for kind in plan.machines
    ]
    file.check_plans({task.digest for each in tasks for task in each})
    code = None if plan.code is None else pack_code(plan.code)
    with executor:
        chosen = wait_for_machines(plan, executor, wait, notify)
        fleet = _Fleet(executor, file, code, notify)
        for machine, kinds in chosen:
            # Two kinds of one machine may ask for the same.
            wanted = {task.digest: task for number in kinds for task in tasks[number]}
            fleet.visit(machine.name, tuple(wanted.values()))
        is_interrupted = False
        try:
            fleet.work()
        except KeyboardInterrupt:
            is_interrupted = True
    return FleetOutcome(
        merged=file.merge(fleet.failed),
        failed=tuple(fleet.failed),
        is_interrupted=is_interrupted,
    )


class _Fleet:
    """Visits machines, all at the same time."""

    def __init__(
        self,
        executor: Executor,
        file: FleetFile,
        code: PackedCode | None,
        notify: Callable[[FleetEvent], object],
    ) -> None:
        self._executor, self._file, self._code, self._notify = executor, file, code, notify
        # A result that nobody fetched is for this file, and for nobody else's.
        place = f"{platform.node()}:{file.path.resolve()}"
        self._order = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._visits: dict[str, _Visit] = {}
        self._doing: dict[str, str] = {}
        self.failed: list[FailedRun] = []

    def visit(self, machine: str, tasks: Sequence[_Task]) -> None:
        """Begin to visit a machine, unless the file has all of its runs."""
        visit = self._visit(machine, tasks)
        self._visits[machine] = visit
        self._go_on(machine, partial(next, visit))

    def work(self) -> None:
        """Return when all visits have ended."""
        while self._visits:
            for came in self._executor.wait(_LOOK_SECONDS):
                if not isinstance(came, Reply):
                    self._tell(came.machine, "measuring", came.text)
                elif (visit := self._visits.get(came.machine)) is not None:
                    self._go_on(came.machine, partial(_pass, came, visit))

    def _go_on(self, machine: str, resume: Callable[[], _Ask]) -> None:
        """Resume a visit, and let the machine do what it asks for next."""
        try:
            ask = resume()
        except StopIteration:
            del self._visits[machine]
            self._doing.pop(machine, None)
            self._tell(machine, "finished")
            return
        except OSError as error:
            raise OutputFileError(
                f"cannot write a run of {machine}: {error.strerror or error}.",
                hint="What was fetched before is kept. Start the same command again.",
            ) from error
        self._executor.start(machine, ask.action, json.dumps(ask.arguments), ask.content)

    def _tell(self, machine: str, state: str, text: str = "") -> None:
        run = self._doing.get(machine, "")
        self._notify(FleetEvent(machine=machine, state=state, run=run, text=text))

    def _fail(self, machine: str, task: _Task, reason: str) -> None:
        self._doing[machine] = task.run.title
        self._tell(machine, "failed", reason)
        self.failed.append(
            FailedRun(machine=machine, run=task.run.title, reason=reason, plan=task.digest)
        )

    def _visit(self, machine: str, tasks: Sequence[_Task]) -> _Visit:
        """Measure what is missing on one machine; yields what it is to do."""
        missing = list(tasks)
        try:
            if not is_name(machine) or "://" in machine:
                raise _RefusedError(f"it has no name. Start it with a name: {WORKER_COMMAND}")
            self._tell(machine, "checking")
            facts = yield from self._facts()
            missing = [task for task in tasks if not self._has(machine, task, facts)]
            if not missing:
                self._tell(machine, "checking", "it has measured everything before")
            if missing and self._code is not None and self._code.digest not in facts.code:
                yield from self._send(machine, self._code)
            for task in list(missing):
                try:
                    yield from self._measure(machine, task, facts)
                except _RefusedError as error:
                    self._fail(machine, task, str(error))
                missing.remove(task)
        except _RefusedError as error:
            for task in missing:
                self._fail(machine, task, str(error))
        except _LostError as error:
            for at, task in enumerate(missing):
                self._fail(
                    machine,
                    task,
                    str(error) if at == 0 else "the machine was lost before this run.",
                )

    def _has(self, machine: str, task: _Task, facts: MachineFacts) -> bool:
        return any(
            not other_hardware(environment, facts.environment)
            for environment in self._file.measured_on(machine, task.digest)
        )

    def _facts(self) -> Generator[_Ask, bytes, MachineFacts]:
        answer = yield _Ask(
            action="describe", arguments={"order": self._order, "version": __version__}
        )
        facts: MachineFacts = _read(answer, MachineFacts)
        if facts.problem:
            raise _RefusedError(f"{facts.problem}\n{facts.hint}".strip())
        return facts

    def _send(self, machine: str, code: PackedCode) -> _Visit:
        for offset in range(0, len(code.content), _PART_BYTES):
            answer = yield _Ask(
                action="receive",
                arguments={
                    "digest": code.digest,
                    "receiver": self._key(machine),
                    "offset": offset,
                    "size": len(code.content),
                },
                content=code.content[offset : offset + _PART_BYTES],
            )
            _read(answer, object)

    def _measure(self, machine: str, task: _Task, facts: MachineFacts) -> _Visit:
        """Measure one run, fetch it, and let the machine forget it."""
        digest = "" if self._code is None else self._code.digest
        key = self._key(machine, task.digest, digest)
        where = {"order": self._order, "key": key}
        self._doing[machine] = task.run.title
        was_there = key in facts.finished
        self._tell(machine, "measuring", "fetching what it finished before" if was_there else "")
        answer = yield _Ask(
            action="measure",
            arguments={
                **where,
                "code": digest,
                "plan": plain(attrs.evolve(task.run, name="")),
            },
        )
        measured: MeasuredFile = _read(answer, MeasuredFile)
        self._tell(machine, "fetching")
        received = self._file.new_part()
        checksum = hashlib.sha256()
        with received.open("wb") as file:
            while file.tell() < measured.size_bytes:
                part = yield _Ask(
                    action="hand_over",
                    arguments={**where, "offset": file.tell(), "size": _PART_BYTES},
                )
                content = _content(part)
                file.write(content)
                checksum.update(content)
        if checksum.hexdigest() != measured.sha256:
            raise _RefusedError("its result was damaged on the way here. Try again.")
        try:
            part_of_fleet = Part(
                name=f"{machine} {task.run.title}"[:LONGEST_NAME],
                machine=machine,
                plan=task.digest,
                price=task.price,
            )
            self._file.add(part_of_fleet, received)
        except ArtifactError as error:
            raise _RefusedError(f"its result cannot be read: {error}") from error
        self._tell(machine, "done")
        _read((yield _Ask(action="forget", arguments=where)), object)

    def _key(self, *about: str) -> str:
        """Return a name for a file; workers that share a machine have different ones."""
        return hashlib.sha256("\0".join((self._order, *about)).encode()).hexdigest()[:32]


def _pass(reply: Reply, visit: _Visit) -> _Ask:
    """Pass a reply to the visit that waits for it, and return what it asks for next."""
    return visit.throw(_LostError(reply.lost)) if reply.lost else visit.send(reply.answer)


def _read(answer: bytes, kind: Any) -> Any:
    """Return the record that a machine answers with."""
    said, content = answer[:1], answer[1:]
    try:
        data = parse_json(content)
        if said != ANSWER:
            problem = validated(data, _Problem)
            raise _RefusedError(f"{problem.message}\n{problem.hint}".strip())
        return validated(data, kind)
    except InvalidDataError as error:
        raise _RefusedError(f"it answered with something else than expected: {error}.") from error


def _content(answer: bytes) -> bytes:
    if answer[:1] != PART or len(answer) == 1:
        _read(answer, object)
        raise _RefusedError("its result became shorter while it was fetched. Try again.")
    return answer[1:]


@frozen(kw_only=True)
class _Problem:
    message: str
    hint: str = ""
