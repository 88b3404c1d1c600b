"""The GitHub action: its steps run here as GitHub would run them, except for installing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkouts import check_out

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.extras

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def named(name: str) -> dict[str, Any]:
    return next(step for step in STEPS if step.get("name", "").startswith(name))


# --- what it says ---


def test_every_action_that_it_uses_is_pinned_to_a_commit() -> None:
    uses = [step["uses"] for step in STEPS if "uses" in step]

    assert uses
    for name in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)


def test_a_pull_request_cannot_inject_a_command() -> None:
    # GitHub replaces expressions before the shell reads the script.
    for step in STEPS:
        assert "run" not in step or not EXPRESSION.search(step["run"])
        assert "run" not in step or step["shell"] == "bash"


def test_expressions_name_inputs_and_steps_that_exist() -> None:
    identifiers = {step["id"] for step in STEPS if "id" in step}
    expressions = " ".join(EXPRESSION.findall((ROOT / "action.yml").read_text(encoding="utf-8")))

    assert set(re.findall(r"\binputs\.([\w-]+)", expressions)) == set(ACTION["inputs"])
    assert set(re.findall(r"\bsteps\.(\w+)", expressions)) <= identifiers


def test_the_engines_and_the_torch_that_it_installs_exist() -> None:
    for engine in ACTION["inputs"]["engines"]["default"].split():
        assert (ROOT / "plugins" / engine / "pyproject.toml").is_file()
    tested = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert ACTION["inputs"]["torch"]["default"] in tested


@pytest.mark.parametrize("page", ["docs/tutorial.md", "docs/comparing.md"])
def test_the_documentation_passes_inputs_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    workflows = re.findall(
        r"^```yaml\n(# \.github/workflows/.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    steps = [
        step
        for workflow in workflows
        for job in yaml.safe_load(workflow)["jobs"].values()
        for step in job["steps"]
    ]
    required = {name for name, facts in ACTION["inputs"].items() if facts.get("required")}

    (step,) = (step for step in steps if step.get("uses") == "OWNER/lexer@COMMIT")
    assert required <= set(step["with"]) <= set(ACTION["inputs"])
    assert all("timeout-minutes" in yaml.safe_load(text)["jobs"]["compare"] for text in workflows)


# --- what it does ---


class Runner:
    """Runs the shell steps of the action on one repository.

    ``python -m pip`` only writes down its arguments, because there is no network.
    """

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.summary = folder / "summary.md"
        self.installs = folder / "installs"
        self.inputs = {name: facts.get("default", "") for name, facts in ACTION["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.outputs: dict[str, dict[str, str]] = {}
        self.base = ""

    def commit(self, depth: int) -> str:
        """Commit a version of the model; deeper ones are slower."""
        checkout = self.folder / f"version-{depth}"
        check_out(checkout, depth)
        self.repository.mkdir(exist_ok=True)
        for path in checkout.iterdir():
            path.replace(self.repository / path.name)
        if not (self.repository / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", f"{depth} layers")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
        done = subprocess.run(
            ["git", *who, *arguments],
            cwd=self.repository,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def value(self, expression: str) -> str:
        """Evaluate the expressions that shell steps use."""
        for name in expression.split(" || "):
            kind, _, rest = name.partition(".")
            if kind == "inputs":
                found = self.inputs[rest]
            elif kind == "steps":
                step, _, output = rest.split(".")
                found = self.outputs.get(step, {}).get(output, "")
            else:
                found = {
                    "runner.temp": str(self.folder / "temp"),
                    "github.action_path": str(ROOT),
                    "github.event.pull_request.base.sha": self.base,
                }[name]
            if found:
                return found
        return ""

    def filled(self, text: str) -> str:
        return EXPRESSION.sub(lambda match: self.value(match[1]), text)

    def run(self, name: str) -> int:
        """Run a step, if its condition is true, and return its exit status."""
        step = named(name)
        if "if" in step:
            left, _, right = step["if"].partition(" == ")
            if self.value(left) != right.strip("'"):
                return 0
        output = self.folder / "output"
        output.write_text("")
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        self.program(
            programs / "python", f'printf "%s\\n" "$*" >> {shlex.quote(str(self.installs))}'
        )
        self.program(programs / "lexer", f'{shlex.quote(sys.executable)} -m lexer_core "$@"')
        environment = {
            **os.environ,
            **{name: self.filled(text) for name, text in step.get("env", {}).items()},
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "LEXER_CACHE_DIR": str(self.folder / "cache"),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.repository / self.filled(step.get("working-directory", ".")),
            env=environment,
            check=False,
            timeout=300,
        )
        if "id" in step:
            lines = output.read_text().splitlines()
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in lines)
        return done.returncode

    def program(self, path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def test_it_installs_torch_for_the_cpu_the_requirements_and_itself(tmp_path: Path) -> None:
    runner = Runner(tmp_path, requirements="requirements.txt")
    runner.commit(2)

    assert runner.run("Install PyTorch") == 0

    torch, rest = runner.installs.read_text().splitlines()
    assert torch == "-m pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0"
    assert rest == (
        f"-m pip install {ROOT} {ROOT}/plugins/lexer_torch {ROOT}/plugins/lexer_ort "
        "-r requirements.txt"
    )


def test_a_target_that_the_base_does_not_have_passes_with_a_notice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runner = Runner(tmp_path, target="new.py:Net")
    runner.base = runner.commit(2)
    (runner.repository / "new.py").write_text("")

    for name in ("Check out the base", "Save the base's", "Measure both", "Report the verdict"):
        assert runner.run(name) == 0

    assert "::notice::new.py is not in the base" in capfd.readouterr().out
    assert runner.outputs == {"base": {}}


def test_without_a_base_it_says_how_to_name_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runner = Runner(tmp_path, target="net.py:Net")
    runner.commit(2)

    assert runner.run("Check out the base") == 2
    assert "set its input 'base'" in capfd.readouterr().out


@pytest.mark.torch
@pytest.mark.onnxruntime
def test_a_slower_pull_request_fails_and_a_failed_comparison_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("LEXER_ENGINES", "onnxruntime")
    monkeypatch.setenv("LEXER_CANARY", "false")
    runner = Runner(tmp_path, target="net.py:Net", input="x=float32[1,128]", max_seconds="4")
    runner.base = runner.commit(2)
    runner.commit(60)

    assert runner.run("Check out the base") == 0
    assert runner.run("Save the base's") == 0
    assert runner.run("Measure both") == 0

    assert runner.outputs["compare"] == {"status": "1"}
    assert "REGRESSION" in runner.summary.read_text()
    assert {path.name for path in (tmp_path / "temp" / "lexer").iterdir()} == {
        "base.lexer",
        "new.lexer",
        "comment.md",
    }
    assert runner.run("Report the verdict") == 1
    assert "::error::The model became slower" in capfd.readouterr().out

    # A comparison that fails leaves a summary, too, and its own status.
    (tmp_path / "temp" / "lexer" / "comment.md").unlink()
    runner.inputs["threshold"] = "nonsense"
    assert runner.run("Measure both") == 0
    assert "lexer compare ended with 2" in runner.summary.read_text()
    assert runner.run("Report the verdict") == 2
