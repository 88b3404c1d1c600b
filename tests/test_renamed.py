"""Do names of earlier versions still work, and say what they are called now?"""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from lexer_core import LexerContext, renamed
from lexer_core.settings.layers import EngineTable
from lexer_core.settings.table import Origin, SettingValue

OLD_NAMES = sorted(
    (module, name, target)
    for module, names in renamed._RENAMED.items()
    for name, target in names.items()
)


@pytest.mark.parametrize(("module", "name", "target"), OLD_NAMES)
def test_an_old_name_is_the_new_object_and_warns(module, name, target):
    new_module, _, new_name = target.partition(":")

    with pytest.warns(DeprecationWarning, match=f"{new_module}.{new_name}"):
        old = getattr(importlib.import_module(module), name)

    assert old is getattr(importlib.import_module(new_module), new_name)


def test_an_old_name_can_be_imported_in_a_fresh_process():
    code = "from lexer_core.config import Settings; print(Settings.__module__)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "lexer_core.settings.table"


def test_a_name_that_never_was_is_an_attribute_error():
    with pytest.raises(ImportError, match="Nonsense"):
        from lexer_core.config import Nonsense  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lexer_core.nonsense")


@pytest.mark.parametrize(
    ("record", "old", "new"),
    [
        (SettingValue(1, Origin("x")), "place", "origin"),
        (EngineTable(python=SettingValue("p", Origin("x"))), "place", "origin"),
        (LexerContext().configuration(), "places", "setting_origins"),
        (LexerContext().configuration(), "origins", "origin_notes"),
    ],
)
def test_an_old_attribute_reads_the_new_one_and_warns(record, old, new):
    with pytest.warns(DeprecationWarning, match=rf"{type(record).__name__}\.{old} is now .*{new}"):
        value = getattr(record, old)

    assert value == getattr(record, new)


def test_an_old_method_is_the_new_one_and_warns():
    table = EngineTable(enabled=SettingValue(False, Origin("x")))

    with pytest.warns(DeprecationWarning, match="is_enabled"):
        assert table.decides(otherwise=True) is False
    with pytest.warns(DeprecationWarning, match="values"):
        assert table.said() == table.values()
