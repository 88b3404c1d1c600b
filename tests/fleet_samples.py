"""What do the tests of fleets have in common: a plan, a project and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiny_onnx import identity_model

if TYPE_CHECKING:
    from pathlib import Path

QUICK = (
    "{num_iterations = 20, warm_up_seconds = 0.01, canary = false, second_inputs = false, "
    "validation = false, use_cache = false, engines = ['toy'], isolation = 'none'}"
)

TARGET = 'targets = ["toy.onnx"]\ninputs = ["x=float32[2,3]"]\n'


def write_project(folder: Path, *, more: str = "", code: str = 'code = "."', runs: str = "") -> str:
    """Write a model and a plan that measures it with the toy engine; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.onnx").write_bytes(identity_model((2, 3), "x"))
    runs = runs or f'[[runs]]\nname = "toy run"\n{TARGET}'
    path = folder / "plan.toml"
    path.write_text(f"{code}\nsettings = {QUICK}\n\n{runs}\n\n{more}\n", encoding="utf-8")
    return str(path)
