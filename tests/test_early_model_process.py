"""Does the process of a model start before the model is loaded, and is it the right one then?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(os.name != "posix", reason="reads the arguments of processes"),
]

# The module is imported by the command only: the class travels by value.
MODEL = """
import os
from pathlib import Path

import psutil
import torch

HERE = {here!r}
EARLY = [each.pid for each in psutil.Process().children() if each.cmdline()[-1] == "the model"]
Path(HERE, "early").write_text(" ".join(map(str, EARLY)))
os.environ.update({variables!r})

class Net(torch.nn.Module):
    def forward(self, x):
        with open(HERE + "/ran", "a") as file:
            file.write(str(os.getpid()) + " ")
        return x + int(os.environ.get("SHIFT", "0"))
"""


def processes(folder: Path, variables: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the model's processes when the model was loaded, and those in which it ran."""
    (folder / "net.py").write_text(MODEL.format(here=str(folder), variables=variables))
    command = [sys.executable, "-m", "lexer_core", "benchmark", "net.py:Net", "--no-canary"]
    more = ["--input", "float32[2]", "--engine", "torch", "--iterations", "20"]
    done = subprocess.run(
        [*command, *more], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "it runs there, but not in a worker" not in done.stdout
    return (folder / "early").read_text().split(), (folder / "ran").read_text().split()


def test_a_process_that_starts_while_the_model_is_loaded_runs_it(tmp_path: Path) -> None:
    (early,), ran = processes(tmp_path, {})

    assert early in ran


def test_variables_that_loading_the_model_sets_apply_to_its_process(tmp_path: Path) -> None:
    (early,), ran = processes(tmp_path, {"SHIFT": "3"})

    assert early not in ran
