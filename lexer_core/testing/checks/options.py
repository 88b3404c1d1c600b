"""Does every option have an effect, and is every invalid value refused?"""

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
_SAY_HOW = "Declare in `option_effects` how to observe it, or why that is impossible."


@SUITE.check("basic", "`lexer engines show` explains each option.")
def options_are_explained(fixture: EngineFixture) -> None:
    """Look for the help of each option."""
    for option in _options(fixture):
        if not option.help.strip():
            raise CheckFailed(
                f"option {option.name!r} has no help.", "Say in a sentence what it changes."
            )


@SUITE.check("basic", "A mistyped option or value causes an error instead of being ignored.")
def nonsense_is_refused(fixture: EngineFixture) -> None:
    """Set options that do not exist, and meaningless values."""
    engine = fixture.engine
    for name, value in (
        (_UNKNOWN, "1"),
        *((option.name, object()) for option in engine.info.options),
    ):
        try:
            resolve_options(engine, {name: value})
        except SettingError:
            continue
        raise CheckFailed(
            f"option {name!r} with value {value!r} is not refused.", "Declare the option's type."
        )
    for option in _options(fixture):
        nonsense = _NONSENSE.get(option.type)
        if option.choices or nonsense is None:
            continue  # the core refuses everything but the choices
        if not _seen(fixture, option, [nonsense]) and not _is_excused(fixture, option):
            raise CheckFailed(
                f"option {option.name}={nonsense} is accepted, but has no effect.",
                "Raise UnsupportedError for a value that the engine cannot use, or declare "
                f"choices. {_SAY_HOW}",
            )


@SUITE.check("full", "Every choice of an option works or is refused with a reason.")
def choices_can_be_taken(fixture: EngineFixture) -> None:
    """Open a session with each choice and compare the outputs."""
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
                    "Raise UnsupportedError with the reason if a choice is not available.",
                ) from error
            except LexerError:
                continue  # refused with a reason
            if option.name in fixture.declared.changes_outputs:
                continue
            expect_outputs(
                outputs,
                opened.case.reference(arrays),
                after=f"with {option.name}={value}",
                hint="An option must not change the outputs; if it is meant to, declare it in "
                "`changes_outputs`.",
            )


@SUITE.check("full", "A row labelled with an option was measured with that option.")
def options_take_effect(fixture: EngineFixture) -> None:
    """Open sessions with other values and look for a difference."""
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
            unseen.append(f"{option.name} (its effect is not declared)")
        elif not _seen(fixture, option, others):
            raise CheckFailed(
                f"{option.name}={' or '.join(map(str, others))} has no visible effect.",
                _SAY_HOW,
            )
    if unseen:
        raise Skip(f"not checked: {'; '.join(unseen)}")


def _options(fixture: EngineFixture) -> Sequence[EngineOption]:
    options = fixture.engine.info.options
    if not options:
        raise Skip("the engine has no options")
    return options


def _others(fixture: EngineFixture, option: EngineOption) -> list[OptionValue]:
    """Return values other than the default."""
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
    """Whether the values are refused with a reason or have a visible effect.

    Every value must, if the effect is declared as a function and the default is
    known. Otherwise one of the values may be the runtime's default, or have the
    same outputs, and one with an effect is enough.
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
            return True  # refused, though with the wrong error
        raise CheckFailed(
            f"{option.name}={value}: {error.message}",
            "Raise UnsupportedError with the reason if a value is not supported.",
        ) from error
    except LexerError:
        return True  # refused with a reason


def _look(fixture: EngineFixture, option: EngineOption, options: dict[str, OptionValue]) -> object:
    effect = fixture.declared.option_effects.get(option.name)
    with fixture.session(options=options) as opened:
        outputs = opened.answer(opened.case.trials()[0])
        if callable(effect):
            return effect(opened.session)
        return {name: array.tobytes() for name, array in outputs.items()}


def _is_excused(fixture: EngineFixture, option: EngineOption) -> bool:
    """Whether the effect is declared invisible, or nothing is declared at all."""
    return isinstance(fixture.declared.option_effects.get(option.name), str) or (
        option.name not in fixture.declared.option_effects and not fixture.is_declared
    )
