"""Does an option do what its name says, or say why not?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.engines.choice import resolve_options
from lexer_core.errors import HookError, LexerError, SettingError
from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.records import EngineOption, OptionValue
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Options")

_UNKNOWN = "lexer_no_such_option"
_NONSENSE: dict[type, OptionValue] = {
    int: -1234567,
    float: -1234567.5,
    str: "lexer-no-such-value",
}
_SAY_HOW = "Declare in `option_effects` how it is seen, or why it cannot be."


@SUITE.check("basic", "`lexer engines show` says what each option is for.")
def options_are_explained(fixture: EngineFixture) -> None:
    """Look for the help of each option."""
    for option in _options(fixture):
        if not option.help.strip():
            raise CheckFailed(
                f"option {option.name!r} has no help.", "One sentence: what it changes."
            )


@SUITE.check("basic", "A mistyped option or value is an error, never a setting that is ignored.")
def nonsense_is_refused(fixture: EngineFixture) -> None:
    """Give options that do not exist, and values that mean nothing."""
    engine = fixture.engine
    for name, value in (
        (_UNKNOWN, "1"),
        *((option.name, object()) for option in engine.info.options),
    ):
        try:
            resolve_options(engine, {name: value})
        except SettingError:
            continue
        raise CheckFailed(f"option {name!r} with {value!r} is not refused.")
    for option in _options(fixture):
        nonsense = _NONSENSE.get(option.type)
        if option.choices or nonsense is None:
            continue  # the core itself refuses what is none of the choices
        if not _seen(fixture, option, [nonsense]) and not _is_excused(fixture, option):
            raise CheckFailed(
                f"option {option.name}={nonsense} is neither refused nor does it change anything.",
                "Raise UnsupportedError for a value that the engine cannot use; give choices "
                f"where there are few. {_SAY_HOW}",
            )


@SUITE.check("full", "Every choice that is offered can be taken.")
def choices_can_be_taken(fixture: EngineFixture) -> None:
    """Open a session with each choice, and compare the outputs."""
    options = [option for option in _options(fixture) if _others(fixture, option)]
    for option in options:
        for value in _others(fixture, option):
            try:
                with fixture.session(options={option.name: value}) as opened:
                    arrays = opened.case.trials()[0]
                    outputs = opened.answer(arrays)
            except HookError as error:
                raise CheckFailed(
                    f"{option.name}={value}: {error.message}",
                    "Raise UnsupportedError, with the reason, where a choice cannot be had.",
                ) from error
            except LexerError:
                continue  # it says why not
            if option.name in fixture.declared.changes_outputs:
                continue
            expect_outputs(
                outputs,
                opened.case.reference(arrays),
                after=f"with {option.name}={value}",
                hint="An option changes how outputs are computed, not what they are.",
            )


@SUITE.check("full", "A row that is labelled with an option was measured with it.")
def options_take_effect(fixture: EngineFixture) -> None:
    """Open sessions with other values, and look whether anything is different."""
    unseen = []
    for option in _options(fixture):
        others = _others(fixture, option)
        if not others:
            unseen.append(f"{option.name} (no other value is known)")
            continue
        effect = fixture.declared.option_effects.get(option.name)
        if isinstance(effect, str):
            unseen.append(f"{option.name} ({effect})")
        elif effect is None and not fixture.is_declared:
            unseen.append(f"{option.name} (nobody declared how to see it)")
        elif not _seen(fixture, option, others):
            raise CheckFailed(
                f"{option.name}={' or '.join(map(str, others))} changes nothing that can be seen.",
                _SAY_HOW,
            )
    if unseen:
        raise Skip(f"not looked at: {'; '.join(unseen)}")


@SUITE.check("basic", "A precision that the engine does not compute in is not measured as one.")
def unknown_precision_is_refused(fixture: EngineFixture) -> None:
    """Ask for an element type that does not exist."""
    engine = fixture.engine
    model, device = fixture.model("one_input"), fixture.device
    try:
        session = engine.create_session(model, device, fixture.config(precision="float3"))
    except HookError as error:
        raise CheckFailed(
            f"for precision 'float3', {error.message}", "Raise UnsupportedError."
        ) from error
    except LexerError:
        return
    session.close()
    raise CheckFailed(
        "precision 'float3' is accepted, and means nothing.",
        "Raise UnsupportedError for every config.precision that the engine does not compute in.",
    )


def _options(fixture: EngineFixture) -> Sequence[EngineOption]:
    options = fixture.engine.info.options
    if not options:
        raise Skip("the engine has no options")
    return options


def _others(fixture: EngineFixture, option: EngineOption) -> list[OptionValue]:
    """Values other than the default."""
    declared = fixture.declared.option_values.get(option.name)
    if declared is not None:
        return [declared]
    if option.choices:
        values: Iterator[OptionValue] = iter(option.choices)
    elif option.type is bool:
        values = iter((True, False))
    elif option.type is int:
        values = iter((1, 2))
    elif option.type is float:
        values = iter((0.5, 2.0))
    else:
        values = iter(())
    return [value for value in values if value != option.default]


def _seen(fixture: EngineFixture, option: EngineOption, values: Sequence[OptionValue]) -> bool:
    """Whether the values are refused with a reason, or change what can be seen.

    Each of them, where the session can be asked and the default is known: else
    one of them may be what the runtime does anyway, or what gives these outputs.
    """
    default = _look(fixture, option, {})
    differ = (_differs(fixture, option, value, default) for value in values)
    is_strict = option.default is not None and callable(
        fixture.declared.option_effects.get(option.name)
    )
    return all(differ) if is_strict else any(differ)


def _differs(
    fixture: EngineFixture, option: EngineOption, value: OptionValue, default: object
) -> bool:
    try:
        return _look(fixture, option, {option.name: value}) != default
    except HookError as error:
        if value == _NONSENSE.get(option.type):
            return True  # refused, if not in the best of ways
        raise CheckFailed(
            f"{option.name}={value}: {error.message}",
            "Raise UnsupportedError, with the reason, where a value cannot be used.",
        ) from error
    except LexerError:
        return True  # it says why not


def _look(fixture: EngineFixture, option: EngineOption, options: dict[str, OptionValue]) -> object:
    effect = fixture.declared.option_effects.get(option.name)
    with fixture.session(options=options) as opened:
        outputs = opened.answer(opened.case.trials()[0])
        if callable(effect):
            return effect(opened.session)
        return {name: array.tobytes() for name, array in outputs.items()}


def _is_excused(fixture: EngineFixture, option: EngineOption) -> bool:
    """Whether there is a reason, or nobody to give one, why nothing can be seen."""
    return isinstance(fixture.declared.option_effects.get(option.name), str) or (
        option.name not in fixture.declared.option_effects and not fixture.is_declared
    )
