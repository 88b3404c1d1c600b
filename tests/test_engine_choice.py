"""How are engine choices parsed, and which option values are valid?"""

from __future__ import annotations

import pickle

import pytest
from attrs import frozen

from lexer_core import EngineChoice
from lexer_core.engines.choice import parse_engine_choice, resolve_options
from lexer_core.errors import SettingError, UsageError
from lexer_core.records import EngineInfo, EngineOption


@frozen
class Described:
    """An engine, as far as its options go."""

    info: EngineInfo
    name: str = "sample"


SAMPLE = Described(
    EngineInfo(
        display_name="Sample",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("onnx",),
        options=(
            EngineOption(name="fused", type=bool, default=None, help="Whether to fuse."),
            EngineOption(name="streams", type=int, default=1, help="How many."),
            EngineOption(name="ratio", type=float, default=None, help="How much."),
            EngineOption(name="level", type=str, default="all", choices=("all", "basic"), help=""),
            EngineOption(name="path", type=str, default=None, help=""),
            EngineOption(name="bits", type=int, default=8, choices=(4, 8), help=""),
        ),
    )
)
DEFAULTS = {"streams": 1, "level": "all", "bits": 8}


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("torch", EngineChoice("torch")),
        (" torch ", EngineChoice("torch")),
        ("torch[]", EngineChoice("torch")),
        ("torch[a=1]", EngineChoice("torch", {"a": "1"})),
        ("torch[a=1, b = x y ]", EngineChoice("torch", {"a": "1", "b": "x y"})),
        ("fast=torch", EngineChoice("torch", label="fast")),
        ("two words = torch[a=1]", EngineChoice("torch", {"a": "1"}, "two words")),
        ("torch[a=b=c]", EngineChoice("torch", {"a": "b=c"})),
        ("torch[a=]", EngineChoice("torch", {"a": ""})),
        ('torch[a="x,y",b=2]', EngineChoice("torch", {"a": "x,y", "b": "2"})),
        (r'torch[a="say \"]\\\""]', EngineChoice("torch", {"a": 'say "]\\"'})),
        ("my-engine_2.x[a.b=1]", EngineChoice("my-engine_2.x", {"a.b": "1"})),
    ],
)
def test_a_choice_is_read_from_the_command_line(text, choice):
    assert parse_engine_choice(text) == choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=torch",
        "a b",
        "torch[",
        "torch[a=1",
        "torch]a",
        "[a=1]",
        "torch[a]",
        "torch[=1]",
        "torch[,a=1]",
        'torch[a="x]',
        'torch[a="x"y]',
        "torch[a=1]b",
    ],
)
def test_an_invalid_choice_is_an_error_that_shows_the_form(text):
    with pytest.raises(UsageError) as error:
        parse_engine_choice(text)

    assert repr(text) in error.value.message
    assert "NAME[option=value" in error.value.hint


def test_an_option_that_is_set_twice_is_an_error():
    with pytest.raises(UsageError, match="option 'a' is set twice"):
        parse_engine_choice("torch[a=1,a=2]")


@pytest.mark.parametrize(
    "choice",
    [
        EngineChoice("torch"),
        EngineChoice("torch", label="fast one"),
        EngineChoice("torch", {"a": "1", "b": ""}, "x"),
        EngineChoice("torch", {"a": ' "quoted", and\\slashed] '}),
    ],
)
def test_a_choice_round_trips_through_text(choice):
    assert parse_engine_choice(str(choice)) == choice


def test_a_choice_made_in_python_is_written_for_the_command_line():
    choice = EngineChoice("ort", {"fused": True, "ratio": 0.5, "streams": 2})

    assert str(choice) == "ort[fused=true,ratio=0.5,streams=2]"


def test_a_choice_is_a_value():
    options = {"a": 1}
    choice = EngineChoice("torch", options)
    options["a"] = 2

    assert choice.options == {"a": 1}
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert len({choice, EngineChoice("torch", {"a": 1}), EngineChoice("torch")}) == 2


def test_options_are_completed_with_their_defaults():
    assert resolve_options(SAMPLE, {}) == DEFAULTS


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        ("fused", "true", True),
        ("fused", "Yes", True),
        ("fused", "1", True),
        ("fused", "on", True),
        ("fused", "FALSE", False),
        ("fused", "no", False),
        ("fused", "0", False),
        ("fused", True, True),
        ("fused", 0, False),
        ("streams", "4", 4),
        ("streams", " -4 ", -4),
        ("streams", 4, 4),
        ("streams", 4.0, 4),
        ("ratio", "0.5", 0.5),
        ("ratio", "1e-3", 1e-3),
        ("ratio", 2, 2.0),
        ("level", "basic", "basic"),
        ("path", "", ""),
        ("bits", "4", 4),
    ],
)
def test_a_value_gets_its_declared_type(option, given, value):
    resolved = resolve_options(SAMPLE, {option: given})

    assert resolved == DEFAULTS | {option: value}
    assert type(resolved[option]) is type(value)


@pytest.mark.parametrize(
    ("option", "given", "reason"),
    [
        ("fused", "maybe", "'maybe'; it must be true or false"),
        ("fused", 2, "2; it must be true or false"),
        ("fused", 1.0, "1.0; it must be true or false"),
        ("streams", "4.5", "'4.5'; it must be a whole number"),
        ("streams", 4.5, "4.5; it must be a whole number"),
        ("streams", True, "True; it must be a whole number"),
        ("streams", None, "None; it must be a whole number"),
        ("ratio", "nan", "'nan'; it must be a number"),
        ("ratio", "much", "'much'; it must be a number"),
        ("ratio", False, "False; it must be a number"),
        ("path", 3, "3; it must be text"),
        ("level", "basics", "'basics'; it must be one of 'all', 'basic'"),
        ("bits", 16, "16; it must be one of 4, 8"),
    ],
)
def test_an_invalid_option_value_is_an_error(option, given, reason):
    with pytest.raises(SettingError) as error:
        resolve_options(SAMPLE, {option: given})

    assert error.value.message == f"option {option!r} of engine 'sample' is {reason}."


def test_a_wrong_choice_suggests_a_valid_one():
    with pytest.raises(SettingError) as error:
        resolve_options(SAMPLE, {"level": "basics"})

    assert error.value.hint == "Did you mean 'basic'?"


def test_an_unknown_option_lists_the_options_and_suggests_one():
    with pytest.raises(SettingError) as error:
        resolve_options(SAMPLE, {"stream": 2})

    assert error.value.message == "engine 'sample' has no option 'stream'."
    assert error.value.hint == (
        "Its options: fused, streams, ratio, level, path, bits.   Did you mean 'streams'?"
    )


def test_an_option_of_an_engine_that_has_none_says_so():
    info = EngineInfo(
        display_name="Plain", runtime_modules=(), runtime_distributions=(), formats=("onnx",)
    )

    with pytest.raises(SettingError, match="It takes no options"):
        resolve_options(Described(info), {"a": 1})


def test_an_error_says_where_the_option_was_set():
    with pytest.raises(SettingError) as error:
        resolve_options(SAMPLE, {"streams": "x"}, where="[engines.sample] of lexer.toml")

    assert "of engine 'sample' in [engines.sample] of lexer.toml is 'x'" in error.value.message
    assert error.value.hint == "How many."
