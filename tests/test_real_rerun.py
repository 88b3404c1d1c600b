"""Measuring a base again with real engines, from two checkouts of one model."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from checkouts import LAYER_BYTES, NET, check_out  # noqa: E402
from real_models import own_cache  # noqa: E402

from lexer_core.artifact import load  # noqa: E402
from lexer_core.comparison.base_location import BaseLocation  # noqa: E402
from lexer_core.comparison.rerun_execution import execute_rerun  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

QUICK = {"rounds": 10, "warm_up_seconds": 0.05, "threads": 1}
OPTIONS = ["--rounds=10", "--warm-up-seconds=0.05", "--threads=1"]


def lexer(*arguments: str, folder: Path, status: int = 0) -> str:
    """Run a command line in a process of its own, as who has two checkouts does."""
    done = subprocess.run(
        [sys.executable, "-m", "lexer_core", *arguments, *OPTIONS],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == status, done.stderr
    return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkouts side by side, and what the older one was saved as."""
    folder = tmp_path_factory.mktemp("checkouts")
    check_out(folder / "old", depth=2)
    check_out(folder / "new", depth=12)
    asked = ["net.py:Net", "--input=x=float32[64,128]:0..1", "--engine=torch"]
    asked += ["--engine=onnxruntime", "-o", "../base.lexer"]
    lexer("benchmark", *asked, folder=folder / "old")
    return folder


class Shallow(torch.nn.Module):
    """What the older checkout has: the same weights, and no module called ``layers``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(2)])

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def test_a_deeper_model_is_a_regression_on_every_engine(checkouts: Path) -> None:
    shown = lexer(
        "compare",
        "--rerun",
        "../base.lexer",
        "net.py:Net",
        "--base-folder=../old",
        "--fail-on=regression",
        "--save=../next.lexer",
        folder=checkouts / "new",
        status=1,
    )

    assert "2 REGRESSION" in shown
    assert "measured again in 10 interleaved rounds: torch, onnxruntime" in shown
    # What the base holds and what its checkout makes are one model.
    assert "different weights" not in shown
    new = load(checkouts / "next.lexer")
    assert [(row.parity.status, row.isolation) for row in new.results] == [("pass", "process")] * 2
    assert new["torch"].model_bytes == 12 * LAYER_BYTES


def test_without_the_base_s_target_torch_is_compared_through_the_canary(checkouts: Path) -> None:
    done = execute_rerun(checkouts / "base.lexer", Shallow(), **QUICK)

    torch_case, onnx_case = done.comparison["torch"], done.comparison["onnxruntime"]
    assert onnx_case.method == "rerun"
    assert onnx_case.verdict != "REGRESSION"
    assert not any(change.name.startswith("outputs") for change in onnx_case.changes)
    assert torch_case.method == "canary"
    assert "base.lexer does not contain the Torch model" in torch_case.reason
    assert [row.label for row in done.base.results] == ["onnxruntime"]
    # The base's own reference is not at hand: its first row stands in.
    assert done.base["onnxruntime"].parity.status == "not_judged"


def test_a_base_target_with_other_weights_than_the_base_is_noticed(checkouts: Path) -> None:
    check_out(checkouts / "reseeded", 2, NET.replace("manual_seed(0)", "manual_seed(1)"))
    target = BaseLocation.find("net.py:Net", checkouts / "reseeded")

    done = execute_rerun(
        checkouts / "base.lexer", Shallow(), base_model=target, canary=False, **QUICK
    )

    notes = " ".join(done.comparison.pairs[0].notes)
    assert "the base's TARGET is not the model saved in base.lexer" in notes
    assert done.base["torch"].parity.status == "pass"
    assert done.base["torch"].model_bytes == 2 * LAYER_BYTES
    # The base's ONNX is still today's model, and the base's TARGET is not.
    changed = {
        case.label: any(
            change.name.startswith("outputs: differ by up to") for change in case.changes
        )
        for case in done.comparison.cases
    }
    assert changed == {"torch": True, "onnxruntime": False}
    assert "layers" not in sys.modules


def test_a_base_target_that_is_the_new_model_fails_every_gate(checkouts: Path) -> None:
    shown = lexer(
        "compare",
        "--rerun",
        "../base.lexer",
        "net.py:Net",
        "--base-target=net.py:Net",
        "--fail-on=regression",
        "--save=../self.lexer",
        folder=checkouts / "new",
        status=1,
    )

    assert shown.startswith(
        "NOT COMPARABLE: the base's TARGET is the new model (same weights and code), but the base "
        "was measured with other weights"
    )
    assert "1 NOT COMPARABLE" in shown
    new = load(checkouts / "self.lexer")
    assert new.target == "net.py:Net"


def test_the_same_model_as_in_the_base_may_be_compared_with_itself(checkouts: Path) -> None:
    shown = lexer(
        "compare",
        "--rerun",
        "../base.lexer",
        "net.py:Net",
        "--base-target=net.py:Net",
        "--threshold=90%",
        "--fail-on=not-comparable",
        folder=checkouts / "old",
    )

    assert "2 OK" in shown
    assert "the model is the same in both runs" in shown


@pytest.mark.parametrize(
    ("target", "folder"), [("net.py:Net", "."), ("net:Net", "."), ("{new}/net.py:Net", "../old")]
)
def test_a_folder_in_which_target_is_the_new_model_is_refused_at_once(
    checkouts: Path, target: str, folder: str
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lexer_core", "compare", "--rerun", "../base.lexer"),
            *(target.format(new=checkouts / "new"), "--base-folder", folder),
        ],
        cwd=checkouts / "new",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "is the new model itself" in done.stderr
    assert "--base-target" in done.stderr
