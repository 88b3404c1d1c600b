"""Do the settings of the original SDK still work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from lexer_core import Lexer, LexerContext
from lexer_core.errors import SettingError
from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from settings_place import Place

# The whole of such a file.
ORIGINAL = """
    [exports]
    batch_size = 4
    enable_export_validation = false
    enable_onnx_checks = false

    [benchmarks]
    enable_onnxruntime = true
    enable_pytorch = false
    num_iterations = 1000

    [outputs]
    enable_csv = false
    enable_stdout = true
"""


def test_a_number_for_precision_is_the_margin_that_had_this_name(place: Place) -> None:
    contexts = {
        "the call": lambda: LexerContext().configuration(precision=0.05),
        "LexerContext": lambda: LexerContext(precision=0.05).configuration(),
        "@Lexer": lambda: LexerContext().configuration(
            Lexer(["x"], ["y"], precision="5%")(type("Net", (), {}))()
        ),
    }
    seen = {}
    for name, configure in contexts.items():
        with pytest.warns(DeprecationWarning, match="the setting margin"):
            seen[name] = configure()
    place.write("[benchmarks]\nprecision = 0.05")
    with pytest.warns(DeprecationWarning, match="line 2"):
        seen["the file"] = LexerContext().configuration()
    place.write("")
    place.setenv("LEXER_PRECISION", "5%")
    with pytest.warns(DeprecationWarning, match="LEXER_PRECISION"):
        seen["LEXER_PRECISION"] = LexerContext().configuration()

    for name, configuration in seen.items():
        settings = configuration.settings
        assert (settings.margin, settings.precision) == (0.05, None), name
        assert any("now the setting margin (0.05)" in note for note in configuration.notes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_margin_under_both_names_is_refused() -> None:
    with pytest.raises(SettingError, match="'precision' and 'margin' are both set"):
        LexerContext().configuration(precision=0.05, margin=0.02)


def test_a_file_of_the_original_means_what_it_says(place: Place) -> None:
    place.write(ORIGINAL, below=place.home)

    configuration = LexerContext().configuration()

    assert configuration.settings == attrs.evolve(
        Settings(),
        validation=False,
        onnx_checks=False,
        num_iterations=1000,
        include_csv=False,
        print_report=True,
    )
    turned_on = {name: table.is_enabled(True) for name, table in configuration.engines.items()}
    assert turned_on == {"onnxruntime": True, "torch": False}


def test_its_batch_size_has_no_effect_and_is_noted(place: Place) -> None:
    file = place.write("[exports]\nbatch_size = 4")

    configuration = LexerContext().configuration()

    assert configuration.settings == Settings()
    (note,) = configuration.notes
    assert note == (
        f"batch_size in {file}, line 2 has no effect: it is read from the example inputs, "
        "unless you set items_per_call"
    )


def test_its_keys_work_in_the_decorator_the_context_and_the_call() -> None:
    @Lexer(input_names=["x"], output_names=["y"], enable_pytorch=False, batch_size=8)
    class Net: ...

    context = LexerContext(enable_onnx_checks=False)

    configuration = context.configuration(Net(), enable_pytorch=True, enable_stdout=True)

    assert configuration.engines["torch"].is_enabled(otherwise=False)
    assert (configuration.settings.onnx_checks, configuration.settings.print_report) == (
        False,
        True,
    )
    assert "batch_size in @Lexer" in configuration.notes[0]


@pytest.mark.parametrize("name", ["enable_pytorch", "enable_csv"])
def test_a_wrong_value_is_rejected_under_its_legacy_name(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name}' in @Lexer is 'no'; it must be true or false"):
        Lexer(["x"], ["y"], **{name: "no"})
