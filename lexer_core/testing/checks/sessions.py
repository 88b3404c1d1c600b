"""Are calls and sessions independent of each other?"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

from lexer_core.errors import LexerError
from lexer_core.records import CallInputs
from lexer_core.testing.expectations import expect_outputs, expect_same
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lexer_core.records import ExportedModel
    from lexer_core.testing.engine_fixture import EngineFixture, OpenSession

__all__ = ["SUITE"]

SUITE = Suite("Sessions")

_CALLS = 5
_FEWEST_SESSIONS, _MOST_SESSIONS = 3, 50
_SESSIONS_SECONDS = 2.0
_PLACINGS = 20
_BARRIER_SECONDS = 60.0
_DIGITS = 2.0**-22
"""Relative tolerance for results that are exact in float32."""


@SUITE.check("basic", "Every call on the same inputs has the same outputs.")
def calls_repeat(fixture: EngineFixture) -> None:
    """Make several calls on inputs that were placed once."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        call = opened.call(arrays)
        wanted = opened.case.reference(arrays)
        for number in range(1, _CALLS + 1):
            expect_outputs(
                opened.fetch(opened.run(call)),
                wanted,
                after=f"after call {number} of {_CALLS} on the same placed inputs",
                hint="A call must not change its inputs or affect the next call.",
            )


@SUITE.check("basic", "The outputs of a call belong to its own inputs.")
def calls_follow_their_inputs(fixture: EngineFixture) -> None:
    """Place several inputs and call the session on each in turn."""
    with fixture.session() as opened:
        trials = opened.case.trials()
        calls = [opened.call(arrays) for arrays in trials]
        for number in (0, 1, 2, 1, 0):
            expect_outputs(
                opened.fetch(opened.run(calls[number])),
                opened.case.reference(trials[number]),
                after=f"in alternating calls, for inputs {number + 1}",
                hint="Do not reuse outputs of another call, or the inputs that were placed last.",
            )


@SUITE.check("full", "Outputs are computed from the values of the inputs, not looked up.")
def outputs_follow_every_value(fixture: EngineFixture) -> None:
    """Change values in the middle, their order, and arrays that were placed before."""
    with fixture.session("wide") as opened:
        first = opened.case.trials()[0]["x"]
        swapped = first.copy()
        swapped[64, [1, 2]] = first[64, [2, 1]] + np.array([1, -1], np.float32)
        # The kit's own array, placed again with other values, and often enough that memory
        # is used again, too.
        reused = first.copy()
        inputs = CallInputs(arrays={"x": reused}, structure=opened.case.structure)
        middle = [_one_changed(first, number) for number in range(_PLACINGS)]
        for values in (first, swapped, first[::-1], first, *middle):
            reused[...] = values
            with opened.engine.call_context(opened.session):
                placed = opened.engine.place_inputs(opened.session, inputs, opened.device)
            call = opened.engine.make_call(opened.session, placed)
            for _ in range(2):
                expect_outputs(
                    opened.fetch(opened.run(call)),
                    opened.case.reference({"x": values}),
                    after="for inputs of which some values changed",
                    hint="Compute every call; do not recognise inputs by their object, memory, "
                    "or some of their values.",
                )
            del placed, call


@SUITE.check("full", "Zeros and repeated values are computed like any others.")
def plain_values_are_computed(fixture: EngineFixture) -> None:
    """Call models on inputs that invite a shortcut, alternating with random ones."""
    for name in ("one_input", "wide"):
        with fixture.session(name) as opened:
            random = opened.case.trials()[0]["x"]
            for what, plain in (
                ("zeros", np.zeros_like(random)),
                ("ones", np.ones_like(random)),
                ("negative ones", -np.ones_like(random)),
                ("equal rows", np.repeat(random[:1], len(random), axis=0)),
                ("one row of zeros", np.concatenate([random[:1] * 0, random[1:]])),
                ("one column of zeros", random * (np.arange(random.shape[1]) > 0)),
                ("random values", random),
            ):
                arrays = {"x": plain.astype(np.float32)}
                expect_outputs(
                    opened.answer(arrays),
                    opened.case.reference(arrays),
                    after=f"for {what}",
                    hint="Compute every call, whatever the values of its inputs.",
                )


@SUITE.check("full", "Large tensors keep the digits and the range of float32, as small ones do.")
def large_tensors_keep_their_digits(fixture: EngineFixture) -> None:
    """Compare all bits of outputs that a smaller element type cannot hold."""
    fixture.require("full_range")
    generator = np.random.default_rng(20_240_229)
    for name in ("wide", "slow"):
        with fixture.session(name) as opened:
            shape = opened.case.trials()[0]["x"].shape
            digits = generator.uniform(1, 2, shape).astype(np.float32)
            for scale in (1.0, 2.0**60, -(2.0**-60)):
                arrays = {"x": digits * np.float32(scale)}
                got, wanted = opened.answer(arrays)["y"], opened.case.reference(arrays)["y"]
                expect_outputs({"y": got}, {"y": wanted}, after="for large inputs")
                wrong = np.abs(got / wanted - 1) > _DIGITS
                if wrong.any():
                    place = tuple(int(number) for number in np.argwhere(wrong)[0])
                    raise CheckFailed(
                        f"for inputs {list(shape)}, the output at {list(place)} is {got[place]!r} "
                        f"instead of {wanted[place]!r}.",
                        "Compute float32 in float32; if the engine cannot, declare it: cannot = "
                        "{'full_range': why}.",
                    )


@SUITE.check("basic", "Later calls do not change outputs that were fetched.")
def fetched_outputs_stay(fixture: EngineFixture) -> None:
    """Keep outputs during other calls, and write to them."""
    with fixture.session() as opened:
        first, second, _ = opened.case.trials()
        call = opened.call(first)
        kept = opened.fetch(opened.run(call))
        before = {name: array.copy() for name, array in kept.items()}
        opened.run(opened.call(second))
        opened.fetch(opened.run(opened.call(second)))
        hint = "Copy the outputs in lexer_fetch_outputs: the engine reuses its buffers."
        expect_same(kept, before, after="after another call", hint=hint)
        for name, array in kept.items():
            if not array.flags.writeable:
                raise CheckFailed(f"output {name!r} is read-only.", hint)
            array.fill(0)
        expect_outputs(
            opened.fetch(opened.run(call)),
            opened.case.reference(first),
            after="after the caller wrote to outputs that it fetched",
            hint=hint,
        )


@SUITE.check("basic", "Calls do not change the inputs, which the next engine gets, too.")
def inputs_are_left_alone(fixture: EngineFixture) -> None:
    """Compare the input arrays before and after calls."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        # Writable, because a runtime in C ignores numpy's read-only flag.
        originals = {name: array.copy() for name, array in arrays.items()}
        inputs = CallInputs(arrays=originals, structure=opened.case.structure)
        with opened.engine.call_context(opened.session):
            placed = opened.engine.place_inputs(opened.session, inputs, opened.device)
        call = opened.engine.make_call(opened.session, placed)
        for _ in range(_CALLS):
            opened.fetch(opened.run(call))
    for name, array in arrays.items():
        if originals[name].tobytes() != array.tobytes():
            raise CheckFailed(
                f"calls change input {name!r}.",
                "Copy in lexer_place_inputs the arrays that a call modifies.",
            )


@SUITE.check("full", "Inputs are read correctly whatever their layout in memory.")
def inputs_of_any_layout_are_read(fixture: EngineFixture) -> None:
    """Place arrays whose elements are not contiguous in memory."""
    for name in ("one_input", "wide"):  # of which one is square
        with fixture.session(name) as opened:
            arrays = opened.case.trials()[0]
            for layout, change in _LAYOUTS.items():
                changed = {each: change(array) for each, array in arrays.items()}
                for array in changed.values():
                    array.flags.writeable = False
                inputs = CallInputs(arrays=changed, structure=opened.case.structure)
                with opened.engine.call_context(opened.session):
                    placed = opened.engine.place_inputs(opened.session, inputs, opened.device)
                call = opened.engine.make_call(opened.session, placed)
                expect_outputs(
                    opened.fetch(opened.run(call)),
                    opened.case.reference(changed),
                    after=f"for {layout} inputs",
                    hint="Convert inputs with numpy.ascontiguousarray before passing on their "
                    "memory.",
                )


@SUITE.check("full", "Later sessions on a model work like the first.")
def sessions_repeat(fixture: EngineFixture) -> None:
    """Open, call and close three sessions in sequence, or up to 50 in a few seconds."""
    deadline = time.monotonic() + _SESSIONS_SECONDS
    for number in range(1, _MOST_SESSIONS + 1):
        if number > _FEWEST_SESSIONS and time.monotonic() > deadline:
            return
        with fixture.session() as opened:
            trials = opened.case.trials()
            arrays = trials[(number - 1) % len(trials)]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after=f"in session {number} of this process",
                hint="Undo in close() what a session changes in the process.",
            )


@SUITE.check("basic", "Two models in one process are independent.")
def two_sessions_at_once(fixture: EngineFixture) -> None:
    """Open sessions on two models and alternate calls."""
    fixture.require("two_sessions")
    with fixture.session("one_input") as one, fixture.session("wide") as other:
        for opened in (one, other, one, other):
            arrays = opened.case.trials()[0]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after=f"with two sessions open, for model {opened.case.name!r}",
                hint="Store a session's state in the session instead of in the module.",
            )


@SUITE.check("full", "Models with the same file name and size are told apart.")
def equal_looking_models_are_told_apart(fixture: EngineFixture) -> None:
    """Load two models of which only the contents differ, also from the same path."""
    twins = [fixture.new_model(name) for name in ("twin_a", "twin_b")]
    names = iter(("twin_a", "twin_b"))
    is_file = all(twin.path is not None and _is_one_file(twin) for twin in twins)
    if is_file:
        twins = [_renamed(twin, fixture.new_folder()) for twin in twins]
    for number, (twin, name) in enumerate(zip(twins, names, strict=True)):
        if number and is_file:
            twin = _written_over(twins[0], twin)  # noqa: PLW2901
        with fixture.session(name, exported=twin) as opened:
            arrays = opened.case.trials()[0]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after="for the second of two models with the same name and size"
                if name == "twin_b"
                else "for the first of two models",
                hint="Do not recognise a model by its file's path, size or time.",
            )


@SUITE.check("full", "A session may be called from another thread.")
def sessions_move_between_threads(fixture: EngineFixture) -> None:
    """Create a session, then call and close it in another thread."""
    with fixture.session() as opened, ThreadPoolExecutor(1) as other:
        arrays = opened.case.trials()[0]
        opened.answer(arrays)
        expect_outputs(
            other.submit(opened.answer, arrays).result(),
            opened.case.reference(arrays),
            after="in another thread than the one that created the session",
            hint="One call at a time, from any thread: keep no state in thread-local variables.",
        )


@SUITE.check("full", "Threads that call sessions of their own get their own outputs.")
def threads_with_own_sessions_are_apart(fixture: EngineFixture) -> None:
    """Call two sessions on one model from two threads at the same time, on other inputs."""
    fixture.require("two_sessions")
    if fixture.engine.info.concurrency == "none":
        raise Skip("the engine declares that calls come one at a time")
    with fixture.session("slow") as one, fixture.session("slow", exported=one.exported) as other:
        _expect_own_outputs(
            (one, other),
            hint="Store what a call uses in the session or in its inputs instead of in the module, "
            "or declare concurrency='none'.",
        )


@SUITE.check("full", "Threads that share a session get their own outputs.")
def threads_with_one_session_are_apart(fixture: EngineFixture) -> None:
    """Call one session from two threads at the same time, each on inputs of its own."""
    if fixture.engine.info.concurrency != "shared":
        raise Skip("the engine does not declare that threads can share a session")
    if fixture.engine.keeps_state:
        raise Skip("the engine keeps state between calls, which calls cannot share")
    with fixture.session("slow") as opened:
        _expect_own_outputs(
            (opened, opened),
            hint="Store what a call uses in its placed inputs instead of in the session, or "
            "declare concurrency='per_thread'.",
        )


@SUITE.check("full", "Closing a session does not affect others.")
def closing_leaves_others_open(fixture: EngineFixture) -> None:
    """Close one of two sessions on the same model, then call the other."""
    fixture.require("two_sessions")
    with fixture.session() as kept:
        arrays = kept.case.trials()[0]
        call = kept.call(arrays)
        with fixture.session(exported=kept.exported) as closed:
            closed.answer(arrays)
        expect_outputs(
            kept.fetch(kept.run(call)),
            kept.case.reference(arrays),
            after="after another session on the same model was closed",
            hint="Release shared resources only when the last session closes.",
        )


@SUITE.check("basic", "Cleaning up never fails, even after an error.")
def close_may_be_called_twice(fixture: EngineFixture) -> None:
    """Close twice a session that made a call, and one that did not."""
    for runs in (1, 0):
        with fixture.session() as opened:
            for _ in range(runs):
                opened.answer(opened.case.trials()[0])
            opened.session.close()
            try:
                with opened.engine.naming("session.close"):
                    opened.session.close()
            except LexerError as error:
                raise CheckFailed(
                    f"closing a session a second time fails: {error.message}",
                    "close() may be called twice; the second call does nothing.",
                ) from error


def _expect_own_outputs(sessions: tuple[OpenSession, OpenSession], hint: str) -> None:
    """Make calls in two threads at the same time, and check whose outputs each gets."""
    trials = sessions[0].case.trials()[:2]
    calls = [opened.call(arrays) for opened, arrays in zip(sessions, trials, strict=True)]
    start = Barrier(2, timeout=_BARRIER_SECONDS)

    def outputs_of(number: int) -> list[dict[str, npt.NDArray[Any]]]:
        opened = sessions[number]
        found = []
        for _ in range(_CALLS):
            start.wait()
            try:
                found.append(opened.fetch(opened.run(calls[number])))
            except BaseException:
                start.abort()
                raise
        return found

    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(outputs_of, number) for number in range(2)]
        errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        # That of a call, and not that the other thread waited for it in vain.
        raise min(errors, key=lambda error: isinstance(error, BrokenBarrierError))
    for future, arrays in zip(futures, trials, strict=True):
        wanted = sessions[0].case.reference(arrays)
        for outputs in future.result():
            expect_outputs(outputs, wanted, after="with two threads at the same time", hint=hint)


def _one_changed(array: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
    """Change a value in the middle."""
    changed = array.copy()
    changed[64, 64] += number
    return changed


def _is_one_file(exported: ExportedModel) -> bool:
    """Return whether the model can be copied without its folder."""
    path = exported.path
    assert path is not None
    # Files next to it may belong to it, also if they have no weights and size_bytes fits.
    alone = [*path.parent.iterdir()] == [path]
    return alone and path.is_file() and path.stat().st_size == exported.size_bytes


def _renamed(exported: ExportedModel, folder: Path) -> ExportedModel:
    """Copy an export to a file whose name and times are the same for every model."""
    assert exported.path is not None
    path = folder / f"model{exported.path.suffix}"
    shutil.copyfile(exported.path, path)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return attrs.evolve(exported, path=path)


def _written_over(old: ExportedModel, new: ExportedModel) -> ExportedModel:
    """Replace the file of an export with another of the same times."""
    assert old.path is not None
    assert new.path is not None
    new.path.replace(old.path)
    return attrs.evolve(new, path=old.path)


def _reversed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[::-1].copy()[::-1]


def _broadcast(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Repeat the first row without copying it."""
    rows = np.broadcast_to(array[:1].copy(), array.shape)
    rows.flags.writeable = False
    return rows


def _strided(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy an array to every second element of a larger one."""
    larger = np.zeros((*array.shape, 2), array.dtype)
    larger[..., 0] = array
    return larger[..., 0]


_LAYOUTS: Mapping[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "transposed": lambda array: array.T.copy().T,
    "strided": _strided,
    "reversed": _reversed,
    "broadcast": _broadcast,
}
