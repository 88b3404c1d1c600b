"""The pytest suite in examples/pytest, with real engines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "pytest"
PAGE = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["conftest.py", "digits.py", "test_latency.py"])
def test_the_page_shows_the_files_of_the_example(name: str) -> None:
    shown = re.search(
        rf"^```python\n# {re.escape(name)}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )

    assert shown is not None
    assert shown[1] == (EXAMPLE / name).read_text(encoding="utf-8")


@pytest.mark.torch
@pytest.mark.onnxruntime
def test_no_claim_of_the_example_fails(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.lexer"))
    # The base needs its model, not its samples.
    save_base = ["-m", "lexer_core", "benchmark", "digits.py:DigitNet", "-o", "base.lexer"]
    few = ["--input", "image=float32[1,1,28,28]", "--iterations", "20", "--isolation", "none"]
    environment = {
        **os.environ,
        "LEXER_CACHE_DIR": str(tmp_path / "cache"),
        "LEXER_PRESET": "quick",
    }

    for arguments in ([*save_base, *few], ["-m", "pytest", "-ra", "-p", "no:cacheprovider"]):
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        print(done.stdout, done.stderr)
        assert done.returncode == 0

    # A claim is left undecided only if this machine is too busy to tell.
    assert re.search(r"= (2 passed|1 passed, 1 skipped|2 skipped) in", done.stdout)
    assert "has not been saved" not in done.stdout
