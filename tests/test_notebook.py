"""Lexer in IPython and notebooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from fake_engines import FakeSite
from report_samples import a_comparison, a_failed_row, a_report, a_row
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core.errors import InputError, LexerError, ModelError
from lexer_core.reporting import progress as progress_module

if TYPE_CHECKING:
    from pathlib import Path

SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="nocolor")
for cell in json.load(sys.stdin):
    shell.run_cell(cell)
"""


def run_cells(folder: Path, *cells: str) -> str:
    """Run cells in an IPython shell; return what they print."""
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        input=json.dumps([dedent(cell) for cell in cells]),
        cwd=folder,
        env={**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(folder)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return done.stdout


@pytest.mark.extras
def test_an_error_in_a_cell_shows_the_users_lines_and_the_message(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    FakeSite(tmp_path).add_engine("toy", TOY_ENGINE)
    write_toy_model(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from lexer_core import LexerContext\n\n"
        "def measure(x):\n"
        "    return LexerContext(isolation='none').benchmark('toy.onnx', x, engines=['toi'])\n"
    )

    shown = run_cells(tmp_path, "import numpy as np\nimport mine", "mine.measure(np.zeros((2, 3)))")

    assert len(shown.splitlines()) < 15
    assert re.search(
        r"^Cell, line 1\n    mine\.measure\(np\.zeros\(\(2, 3\)\)\)$", shown, re.MULTILINE
    )
    assert "mine.py, line 4, in measure" in shown
    assert "UnknownEngineError: " in shown
    assert "Did you mean 'toy'" in shown
    assert "lexer_core/" not in shown


@pytest.mark.extras
def test_all_frames_are_one_line_away(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    cells = ["from lexer_core import LexerContext", "LexerContext(thread=1)"]

    short = run_cells(tmp_path, *cells)
    command = re.search(r"^All frames: (.*)$", short, re.MULTILINE)
    assert command is not None
    shown = run_cells(
        tmp_path,
        *cells,
        f"{command[1].replace('sys.last_value', 'sys.last_value, file=sys.stdout')}",
    )

    assert "Traceback (most recent call last)" in shown
    assert "lexer_core/context.py" in shown


def lines_of(error: LexerError) -> str:
    return "\n".join(error._render_traceback_())


def test_the_line_of_the_model_that_failed_is_shown() -> None:
    def forward() -> None:
        raise ValueError("mat1 and mat2 cannot be multiplied")

    try:
        try:
            forward()
        except ValueError as error:
            raise ModelError("the model does not run", hint="Call it without Lexer.") from error
    except ModelError as error:
        error.add_note("a note")
        error.add_note("Traceback of the worker:\n  with\n  all its frames")
        shown = lines_of(error)

    assert 'raise ValueError("mat1 and mat2 cannot be multiplied")' in shown
    assert "ModelError: the model does not run\n  Call it without Lexer.\na note" in shown
    assert "Traceback of the worker" not in shown


def test_an_error_that_was_never_raised_can_be_shown() -> None:
    assert lines_of(InputError("no inputs")).startswith("InputError: no inputs")


def test_the_table_of_a_notebook_has_a_bar_for_each_median() -> None:
    rows = (a_row(p50=40.0), a_row("onnxruntime", "ONNXRuntime", 10.0), a_failed_row())
    page = a_report(*rows, comparisons=[a_comparison()])._repr_html_()

    # The fastest first, each relative to the slowest; none for a row without numbers.
    assert re.findall(r'aria-hidden="true" style="width:([\d.]+)%', page) == ["25.0", "100.0"]


@pytest.mark.parametrize(
    ("modules", "is_jupyter", "expected"),
    [((), True, False), (("ipykernel",), False, False), (("ipykernel",), True, True)],
)
def test_a_widget_is_shown_in_notebooks_only(
    modules: tuple[str, ...], is_jupyter: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, progress_module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: is_jupyter)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())

    assert progress_module._in_notebook() is expected
