"""Are errors raised, clear, and without consequences for other sessions?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import EngineError, HookError, LexerError
from lexer_core.records import Device
from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from lexer_core.records import ExportedModel
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Errors")


@SUITE.check("basic", "A file that is not a model causes an error instead of a row with numbers.")
def broken_model_is_refused(fixture: EngineFixture) -> None:
    """Load a file of random bytes, or an object that is not a model."""
    broken = _broken(fixture)
    try:
        with fixture.session(exported=broken) as opened:
            opened.answer(opened.case.trials()[0])
    except LexerError as error:
        if not error.message.strip():
            raise CheckFailed(
                "the error for a broken model has no message.",
                "Describe the problem in the message.",
            ) from error
        return
    raise CheckFailed(
        "a broken model is loaded and run without an error.",
        "Load the file or object in `exported`, and raise an error if that fails.",
    )


@SUITE.check("full", "Inputs that do not match the model cause an error instead of being adapted.")
def wrong_inputs_are_refused(fixture: EngineFixture) -> None:
    """Leave out an input, and pass one of another shape."""
    name = "one_input" if "several_inputs" in fixture.declared.cannot else "several_inputs"
    trials = {}
    with fixture.session(name) as opened:
        arrays = dict(opened.case.trials()[0])
        arrays.pop(opened.case.inputs[-1].name)
        trials[f"without input {opened.case.inputs[-1].name!r}"] = (name, arrays)
    with fixture.session("one_input") as opened:
        too_wide = {"x": opened.case.random_inputs()["x"][:, :2].copy()}
        trials["with inputs of shape (2, 2) instead of (2, 3)"] = ("one_input", too_wide)
    for what, (model, wrong) in trials.items():
        with fixture.session(model) as opened:
            try:
                opened.answer(wrong)
            except LexerError:
                continue
        raise CheckFailed(
            f"{what}, a call returns outputs.",
            "Raise an error if an input is missing or does not match the model.",
        )


@SUITE.check("basic", "An error names the engine that raised it.")
def errors_name_the_engine(fixture: EngineFixture) -> None:
    """Provoke errors and look at their attributes."""
    engine = fixture.engine
    model = fixture.model("one_input")
    for device, exported in (
        (Device(kind="nosuchkind"), model),
        (fixture.device, _broken(fixture)),
    ):
        try:
            engine.create_session(exported, device, fixture.config()).close()
        except EngineError as error:
            if error.engine != fixture.name:
                raise CheckFailed(
                    f"an error of lexer_create_session names the engine {error.engine!r}.",
                    "Do not pass `engine`: the core fills in the engine's name.",
                ) from error
            if isinstance(error, HookError) and error.hook != "lexer_create_session":
                raise CheckFailed(
                    f"an error of lexer_create_session names the hook {error.hook!r}.",
                    "Do not pass `hook`: the core fills it in.",
                ) from error
            if not error.message.strip():
                raise CheckFailed(
                    f"{type(error).__name__} has no message.",
                    "Describe the problem in the message.",
                ) from error
        except LexerError:
            continue  # an error about the user's model names no engine


@SUITE.check("full", "An error does not affect other sessions.")
def errors_leave_nothing_behind(fixture: EngineFixture) -> None:
    """Provoke errors while a session is open, then call it and open another."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        call = opened.call(arrays)
        _provoke(fixture)
        expect_outputs(
            opened.fetch(opened.run(call)),
            opened.case.reference(arrays),
            after="after another session failed to load",
        )
    with fixture.session() as opened:
        expect_outputs(
            opened.answer(arrays),
            opened.case.reference(arrays),
            after="in a session that was opened after an error",
        )


def _provoke(fixture: EngineFixture) -> None:
    engine = fixture.engine
    for exported, device in (
        (_broken(fixture), fixture.device),
        (fixture.model("one_input"), Device(kind="nosuchkind")),
    ):
        try:
            engine.create_session(exported, device, fixture.config()).close()
        except LexerError:
            continue


def _broken(fixture: EngineFixture) -> ExportedModel:
    """Return the same export with an invalid model."""
    exported = fixture.model("one_input")
    if exported.path is None:
        return attrs.evolve(exported, model=object())
    path = fixture.new_folder() / exported.path.name
    path.write_bytes(b"\x93 this is not a model \x00\xff" * 20)
    return attrs.evolve(exported, path=path)
