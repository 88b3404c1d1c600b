"""Do layers of settings merge, and are their values validated?"""

from __future__ import annotations

import attrs
import pytest

from lexer_core.errors import SettingError
from lexer_core.settings.table import Settings, resolve_settings, setting_names
from lexer_core.settings.values import kind_of


def test_the_strongest_layer_that_sets_a_value_wins() -> None:
    settings, origins = resolve_settings(
        [
            ("the call", {"threads": None, "rounds": 5}),
            ("@Lexer", {"threads": 2, "rounds": 9}),
            ("LexerContext", {"threads": 3, "margin": 0.05}),
        ]
    )

    assert (settings.rounds, settings.threads, settings.margin) == (5, 2, 0.05)
    assert str(origins["rounds"]) == "the call"
    assert str(origins["threads"]) == "@Lexer"
    assert str(origins["margin"]) == "LexerContext"
    assert str(origins["launches"]) == "default"


def test_without_layers_settings_have_their_defaults() -> None:
    assert resolve_settings([])[0] == Settings()


def test_an_unknown_name_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(SettingError, match=r"'thread' in the call[\s\S]*Did you mean 'threads'"):
        resolve_settings([("the call", {"thread": 2})])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("threads", "two", "whole number"),
        ("threads", 2.5, "whole number"),
        ("threads", True, "whole number"),
        ("threads", 0, "at least 1"),
        ("margin", 0, "above 0 and at most 1"),
        ("margin", 2.0, "at most 1"),
        ("margin", float("nan"), "a number"),
        ("call_timeout", 1e300, "above 0 and at most 604800"),
        ("load_timeout", float("inf"), "above 0 and at most 604800"),
        ("max_seconds", 10**400, "a number"),
        ("memory_limit_mb", 1e300, "at most 1000000000"),
        ("num_iterations", 10**20, "at least 1 and at most 100000000"),
        ("use_cache", 1, "true or false"),
        ("exporter", 3, "text"),
        ("exporter", "dynamic", "Did you mean 'dynamo'"),
        ("isolation", "thread", "'process', 'none'"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what_is_allowed(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(SettingError, match=name) as caught:
        resolve_settings([("the call", {name: value})])

    assert words in str(caught.value)
    assert repr(value) in str(caught.value)


def test_every_number_has_a_range() -> None:
    fields = [field for field in attrs.fields(Settings) if kind_of(field) in ("int", "float")]

    assert fields
    for field in fields:
        assert None not in (field.metadata["low"], field.metadata["high"]), field.name


def test_an_int_is_a_valid_value_of_a_float_setting() -> None:
    settings, _ = resolve_settings([("the call", {"max_seconds": 3})])

    assert isinstance(settings.max_seconds, float)


def test_options_of_export_come_from_the_settings() -> None:
    settings, _ = resolve_settings([("the call", {"opset": 18, "onnx_checks": False})])

    assert settings.export_options() == {"exporter": "dynamo", "checks": False, "opset": 18}
    assert "opset" in setting_names()


def test_a_preset_sets_what_no_layer_sets():
    settings, origins = resolve_settings([("the call", {"preset": "quick", "max_seconds": 4.0})])

    assert (settings.max_seconds, settings.min_seconds) == (4.0, 0.0)
    assert str(origins["max_seconds"]) == "the call"
    assert str(origins["min_seconds"]) == "preset 'quick'"
