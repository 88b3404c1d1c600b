"""Do the compiling variants of torch keep the contract, and work in processes of their own?"""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

pytest.importorskip("torch")

import torch

from lexer_core.context import LexerContext
from lexer_core.testing import EngineConformance
from lexer_torch.compiler import find_compiler

pytestmark = [
    pytest.mark.torch,
    pytest.mark.slow,
    pytest.mark.skipif(find_compiler() != ("", ""), reason="there is no C++ compiler"),
]


@pytest.fixture(scope="module", autouse=True)
def inductor_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


class TestTorchCompile(EngineConformance):
    engine_name = "torch-compile"


class TestTorchExport(EngineConformance):
    engine_name = "torch-export"


@pytest.mark.parametrize("name", ["torch-compile", "torch-export"])
def test_a_variant_runs_in_a_process_of_its_own_and_leaves_nothing_behind(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    report = LexerContext(num_iterations=20, warm_up_seconds=0.0, threads=1).benchmark(
        torch.nn.Linear(4, 2), torch.randn(2, 4), engines=[name]
    )

    row = report[name]
    assert (row.status, row.isolation) == ("ok", "process"), row.error
    assert row.compile_ms > 0
    assert "cache" not in " ".join(row.warnings)
    del report, row  # which keep the exported models
    assert list(tmp_path.glob("lexer-*")) == []


def test_a_later_process_finds_in_the_cache_folder_what_an_earlier_one_compiled(tmp_path):
    script = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from lexer_core.records import *\n"
        "from lexer_torch import compile_engine as engine\n"
        "spec = TensorSpec(name='x', dtype='float32', shape=(1, 2))\n"
        "model = ExportedModel(format='torch', model=torch.nn.Linear(2, 2), inputs=(spec,),"
        " outputs=(spec,), size_bytes=1, exporter='')\n"
        "config = SessionConfig(threads=1, cache_dir=Path(sys.argv[1]))\n"
        "session = engine.lexer_create_session(model, CPU, config)\n"
        "x = torch.ones(1, 2).numpy()\n"
        "structure = CallStructure(args=(TensorRef('x'),))\n"
        "session.place(CallInputs(arrays={'x': x}, structure=structure))\n"
        "print(session.phases.cache_warm)\n"
    )

    said = [
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.strip()
        for _ in range(2)
    ]

    assert said == ["False", "True"]
