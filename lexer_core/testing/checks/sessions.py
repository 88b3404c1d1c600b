"""Does each call, and each session, stand for itself?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.errors import LexerError
from lexer_core.records import CallInputs
from lexer_core.testing.expectations import expect_outputs, expect_same
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Sessions")

_CALLS = 5


@SUITE.check("basic", "The thousandth call computes what the first one does.")
def calls_repeat(fixture: EngineFixture) -> None:
    """Make the same call several times, on inputs that were placed once."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        call = opened.call(arrays)
        wanted = opened.case.reference(arrays)
        for number in range(1, _CALLS + 1):
            expect_outputs(
                opened.fetch(opened.run(call)),
                wanted,
                after=f"after call {number} of {_CALLS} on the same placed inputs",
                hint="A call must not change its inputs, nor leave anything behind for the next.",
            )


@SUITE.check("basic", "The outputs belong to the inputs of this call, not to those of another.")
def calls_follow_their_inputs(fixture: EngineFixture) -> None:
    """Place several inputs, and call them in turn within one session."""
    with fixture.session() as opened:
        trials = opened.case.trials()
        calls = [opened.call(arrays) for arrays in trials]
        for number in (0, 1, 2, 1, 0):
            expect_outputs(
                opened.fetch(opened.run(calls[number])),
                opened.case.reference(trials[number]),
                after=f"when the inputs take turns, for inputs {number + 1}",
                hint="Are outputs, or the inputs bound last, kept from another call?",
            )


@SUITE.check("basic", "Outputs that were fetched are the caller's: no later call changes them.")
def fetched_outputs_stay(fixture: EngineFixture) -> None:
    """Keep outputs while other calls are made, and write to them."""
    with fixture.session() as opened:
        first, second, _ = opened.case.trials()
        call = opened.call(first)
        kept = opened.fetch(opened.run(call))
        before = {name: array.copy() for name, array in kept.items()}
        opened.run(opened.call(second))
        opened.fetch(opened.run(opened.call(second)))
        hint = "Copy in lexer_fetch_outputs: buffers of the engine are used again."
        expect_same(kept, before, after="after another call", hint=hint)
        for name, array in kept.items():
            if not array.flags.writeable:
                raise CheckFailed(f"output {name!r} cannot be written to.", hint)
            array.fill(0)
        expect_outputs(
            opened.fetch(opened.run(call)),
            opened.case.reference(first),
            after="after the caller wrote to outputs that it fetched",
            hint=hint,
        )


@SUITE.check("basic", "Inputs are what they were, for the engine that is measured next.")
def inputs_are_left_alone(fixture: EngineFixture) -> None:
    """Compare the arrays that were given before and after calls."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        # Writable, as a runtime in C takes every memory to be.
        given = {name: array.copy() for name, array in arrays.items()}
        inputs = CallInputs(arrays=given, structure=opened.case.structure)
        with opened.engine.call_context(opened.session):
            placed = opened.engine.place_inputs(opened.session, inputs, opened.device)
        call = opened.engine.make_call(opened.session, placed)
        for _ in range(_CALLS):
            opened.fetch(opened.run(call))
    for name, array in arrays.items():
        if given[name].tobytes() != array.tobytes():
            raise CheckFailed(
                f"input {name!r} is not what it was before the calls.",
                "Copy in lexer_place_inputs what a call would modify.",
            )


@SUITE.check("full", "A session that is opened again works like the first.")
def sessions_repeat(fixture: EngineFixture) -> None:
    """Open, call and close several sessions, one after the other."""
    for number in range(1, 4):
        with fixture.session() as opened:
            arrays = opened.case.trials()[number - 1]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after=f"in session {number} of this process",
                hint="What a session sets up for the process must be undone or shared.",
            )


@SUITE.check("basic", "Two models in one process do not mix.")
def two_sessions_at_once(fixture: EngineFixture) -> None:
    """Open sessions on two models, and let their calls take turns."""
    fixture.require("two_sessions")
    with fixture.session("one_input") as one, fixture.session("wide") as other:
        for opened in (one, other, one, other):
            arrays = opened.case.trials()[0]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after=f"with two sessions open, for the model {opened.case.name!r}",
                hint="What belongs to a session must not be kept in the module.",
            )


@SUITE.check("full", "Closing one session takes nothing from another.")
def closing_leaves_others_open(fixture: EngineFixture) -> None:
    """Close one of two sessions on the same model, and call the other."""
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
            hint="What sessions share may be released when the last of them closes.",
        )


@SUITE.check("basic", "Cleaning up never fails, also after something else did.")
def close_may_be_called_twice(fixture: EngineFixture) -> None:
    """Close a session that ran twice, and one that never ran twice."""
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
                    "close() releases what is still there, and may be called twice.",
                ) from error
