"""Is the documentation correct?

Its snippets run, its links resolve, and its lists agree with the code. CONTRIBUTING.md,
"Documentation", describes the conventions.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from string import Template
from textwrap import dedent

import attrs
import click
import pytest
from fake_engines import FakeSite

from lexer_core.cli import main as command
from lexer_core.settings.table import Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md"))
}
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
FOLDERS = ("lexer_core", "lexer", "plugins", "docs", "examples", "benchmarks", "tests", ".ci")
LIMIT_SECONDS = 300

# Runs a script as __main__. Contexts measure little by default, in the process given by
# ``isolation``; weights are the same each time, so that exports are cached.
RUNNER = """
import contextlib, io, os, pathlib, shlex, shutil, sys

from lexer_core.cli.main import run
from lexer_core.context import LexerContext

name, isolation, *needs = sys.argv[1:]
sys.argv[1:] = []
little = dict(
    num_iterations=20, max_seconds=4.0, warm_up_seconds=0.05, threads=1, isolation=isolation
)
begin = LexerContext.__init__
LexerContext.__init__ = lambda self, **settings: begin(self, **{**little, **settings})


def seed():
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def shell(line, expected, said="", folder=".", unsaid=""):
    print("$", line, flush=True)
    seed()
    # One process cannot load two checkouts.
    little["isolation"] = "process" if "--base-" in line else isolation
    # A verdict needs more samples than a table.
    little["num_iterations"] = 500 if "--fail-on" in line else 20
    before = os.getcwd()
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        status = run(shlex.split(line)[1:])
    os.chdir(before)
    print(output.getvalue(), flush=True)
    assert status == expected, f"{line!r} exits with {status}, not with {expected}"
    assert said in output.getvalue(), f"{line!r} does not say {said!r}"
    assert not unsaid or unsaid not in output.getvalue(), f"{line!r} says {unsaid!r}"


def place(name, text):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def upload(name, pattern):
    folder = pathlib.Path("uploaded", name)
    folder.mkdir(parents=True)
    files = list(pathlib.Path().glob(pattern))
    assert files, f"there is no {pattern}"
    for file in files:
        shutil.copy(file, folder)


if "torch" in needs:
    import torch
seed()
exec(compile(sys.stdin.read(), name, "exec"))
"""


@attrs.frozen
class Fence:
    """A fenced block: its language, its lines, and the line number of the first."""

    language: str
    lines: tuple[str, ...]
    start: int

    @property
    def file(self) -> str:
        """The file name in its first line, if there is one."""
        match = re.fullmatch(r"# ([\w./-]+\.(?:py|toml))", self.lines[0]) if self.lines else None
        return match[1] if match else ""

    @property
    def text(self) -> str:
        """The contents of the file: all lines except the first."""
        return "\n".join(self.lines[1:]) + "\n"


def fences_of(text):
    found, opened, lines = [], None, []
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.fullmatch(r"\s*```([\w-]*)", line)
        if opened is None and match:
            opened, lines = (match[1], number + 1), []
        elif opened is not None and match:
            found.append(Fence(opened[0], tuple(dedent("\n".join(lines)).split("\n")), opened[1]))
            opened = None
        elif opened is not None:
            lines.append(line)
    assert opened is None, f"the fence in line {opened[1] - 1} is not closed"
    return found


def commands_of(fence):
    """Yield the line number, text, exit status and expected output of each command."""
    for number, line in enumerate(fence.lines, start=fence.start):
        if line.startswith("$ "):
            text, _, expected = line[2:].partition("  # exits with ")
            status, _, said = (expected or "0").partition(": ")
            yield number, text, int(status), said


def script_of(text):
    """Return a page's snippets as a script, with the same line numbers as in the page."""
    script = [""] * (len(text.splitlines()) + 1)
    for fence in fences_of(text):
        if fence.file:
            script[fence.start - 1] = f"place({fence.file!r}, {fence.text!r})"
        elif fence.language == "python":
            script[fence.start - 1 : fence.start - 1 + len(fence.lines)] = fence.lines
        elif fence.language == "console":
            for number, line, status, said in commands_of(fence):
                script[number - 1] = f"shell({line!r}, {status}, {said!r})"
    return "\n".join(script) + "\n"


def needs_of(text):
    match = re.match(r"<!-- needs: ([\w ]+) -->\n", text)
    return match[1].split() if match else []


def skip_without(*packages):
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def marked(name, packages):
    marks = [getattr(pytest.mark, mark) for mark in ("torch", "onnxruntime") if mark in packages]
    return pytest.param(name, marks=marks)


RUNNABLE = [marked(name, needs_of(text)) for name, text in PAGES.items() if script_of(text).strip()]


@pytest.fixture(scope="session")
def export_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path, export_cache):
    return {
        **os.environ,
        "LEXER_CACHE_DIR": str(export_cache),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
        "COLUMNS": "100",
    }


def run_script(name, source, *, folder, environment, isolation="process", needs=()):
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, name, isolation, *needs],
        check=False,
        cwd=folder,
        env=environment,
        input=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
    )
    print(done.stdout)
    return done


def install(folder, project):
    """Write the metadata that installing this project would write; its modules already exist."""
    facts = tomllib.loads(project)["project"]
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in facts["entry-points"].items()
    )
    FakeSite(folder).add_distribution(
        facts["name"],
        version=facts["version"],
        entry_points=points,
        requires=facts["dependencies"],
    )


def read_the_configuration_of(text, environment, folder):
    """Use the page's own configuration file, if it has one, and no other."""
    if any(fence.file == ".lexer_config.toml" for fence in fences_of(text)):
        del environment["LEXER_NO_CONFIG"]
        (folder / "home").mkdir()
        environment["HOME"] = str(folder / "home")


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_snippets_of_a_page_run(name, tmp_path, environment):
    text = PAGES[name]
    skip_without(*needs_of(text))
    read_the_configuration_of(text, environment, tmp_path)
    for fence in fences_of(text):
        if fence.file == "pyproject.toml":
            install(tmp_path, fence.text)

    done = run_script(
        name,
        script_of(text),
        folder=tmp_path,
        environment=environment,
        # Worker processes take most of the time, so only the README uses them.
        isolation="process" if name == "README.md" else "none",
        needs=needs_of(text),
    )

    assert done.returncode == 0, f"{name} does not run; see its output"


def workflow_of(text):
    """Return the lines of a page's GitHub Actions workflow that runs Lexer, if it has one.

    A workflow that uses the action is in ``tests/test_action.py``.
    """
    for fence in fences_of(text):
        is_workflow = fence.lines[0].startswith("# .github/workflows/")
        if is_workflow and any("run: lexer " in line for line in fence.lines):
            return fence.lines
    return ()


def steps_of(workflow):
    """Return the steps of a workflow that has one key per line."""
    steps = []
    for line in workflow:
        match = re.fullmatch(r"      (- |  )(?:  )?([\w-]+): (.+)", line)
        if line.startswith("      - "):
            steps.append({})
        if match:
            steps[-1][match[2]] = match[3]
    return steps


WITH_WORKFLOW = [name for name, text in PAGES.items() if workflow_of(text)]


@pytest.mark.parametrize("name", [marked(name, needs_of(PAGES[name])) for name in WITH_WORKFLOW])
def test_the_commands_of_a_workflow_run_in_its_checkouts(name, tmp_path, environment):
    text = PAGES[name]
    skip_without(*needs_of(text))
    read_the_configuration_of(text, environment, tmp_path)
    workflow = workflow_of(text)
    variables = dict(re.findall(r"^      ([A-Z]+): (.+)$", "\n".join(workflow), re.MULTILINE))
    files = {fence.file: fence.text for fence in fences_of(text) if "/" not in fence.file}
    script = []
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            for file in filter(None, files):
                path = f"{step.get('path', '.')}/{file}"
                script.append(f"place({path!r}, {files[file]!r})")
        elif step.get("uses", "").startswith("actions/upload-artifact@") and step["path"] != "|":
            script.append(f"upload({step['name']!r}, {step['path']!r})")
        elif step.get("uses", "").startswith("actions/download-artifact@"):
            script.append(f"shutil.copytree('uploaded', {step['path']!r})")
        elif step.get("run", "").startswith("lexer "):
            line = Template(step["run"]).substitute(variables)
            folder = step.get("working-directory", ".")
            unsaid = ""
            if "--fail-on" in line:
                # All checkouts have the same model, which must be found in each. With few
                # samples on a busy machine, it may seem a little slower.
                line, unsaid = f"{line} --threshold 50%", "NOT COMPARABLE"
            script.append(f"shell({line!r}, 0, folder={folder!r}, unsaid={unsaid!r})")
    assert sum("shell(" in line for line in script) > 1

    done = run_script(
        name,
        "\n".join(script),
        folder=tmp_path,
        environment=environment,
        isolation="none",
        needs=needs_of(text),
    )

    assert done.returncode == 0, f"the workflow of {name} does not run; see its output"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.torch
@pytest.mark.onnxruntime
def test_an_example_runs(path, tmp_path, environment):
    source = path.read_text(encoding="utf-8")
    skip_without(*imported_by(source))

    done = run_script(path.name, source, folder=tmp_path, environment=environment)

    assert done.returncode == 0, f"{path.name} does not run; see its output"


def imported_by(source):
    """Return the packages that a script imports at the top level."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return sorted(names)


@pytest.mark.parametrize("name", PAGES)
def test_console_fences_only_run_lexer(name):
    for fence in fences_of(PAGES[name]):
        if fence.language == "console":
            assert list(commands_of(fence)), f"{name}, line {fence.start}: nothing to run"
            for number, line, _, said in commands_of(fence):
                assert line.startswith("lexer "), f"{name}, line {number}: only lexer is run"
                is_gate = "--fail-on" in line
                assert said or not is_gate, f"{name}, line {number}: no verdict of the gate"


def without_fences(text):
    lines = text.splitlines()
    for fence in fences_of(text):
        for number in range(fence.start - 2, fence.start + len(fence.lines)):
            lines[number] = ""
    return "\n".join(lines)


def anchors_of(text):
    headings = re.findall(r"^#+ (.+)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(PAGES[name])):
        if re.match(r"https?:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        assert path.exists(), f"{name} links to {target}"
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), f"{name}: {target}"


def test_every_page_is_in_the_index():
    linked = re.findall(r"\]\(([\w./-]+\.md)", PAGES["docs/index.md"])

    pages = {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")}
    assert pages - set(linked) == {"index.md"}


@pytest.mark.parametrize("name", PAGES)
def test_named_files_exist(name):
    for text in re.findall(r"`([\w./-]+/[\w./-]*)`", without_fences(PAGES[name])):
        if text.split("/")[0] in FOLDERS:
            assert (ROOT / text).exists(), f"{name} names {text}"


def test_references_to_the_documentation_resolve():
    sources = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py")]
    assert sources
    for path in sources:
        if path == Path(__file__):
            continue
        source = path.read_text(encoding="utf-8")
        for page, heading in re.findall(r"\b(docs/\w+\.md)(?:``)?(?:,\s+\"([^\"]+)\")?", source):
            assert page in PAGES, f"{path} refers to {page}"
            titles = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
            assert not heading or " ".join(heading.split()) in titles, f"{path}: {heading}"


def table_rows(text, heading):
    """Return the rows of the table under a heading, without its header."""
    section = re.split(rf"^## {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def written(value):
    """Return a value as the page shows it: Python source with double quotes."""
    return "`" + repr(value).replace("'", '"') + "`"


def option_of(setting, parameters):
    """Return the option of a setting, or the one that turns it off if it is on by default."""
    if setting.name not in parameters:
        return "—"
    option = parameters[setting.name]
    names = option.secondary_opts if setting.default is True else option.opts
    return f"`{max(names, key=len)}`"


def range_of(setting):
    facts = setting.metadata
    if str(setting.type) == "bool":
        return "`True`, `False`"
    if facts["choices"]:
        return ", ".join(map(written, facts["choices"]))
    low, high = facts["low"], facts["high"]
    if low is None:
        return "—"
    at_least = f"{'above' if facts['exclusive'] else 'at least'} {low}"
    return at_least if high is None else f"{at_least}, at most {high}"


def test_the_settings_page_matches_the_code():
    benchmark = command.lexer.get_command(click.Context(command.lexer), "benchmark")
    parameters = {option.name: option for option in benchmark.params}
    page = PAGES["docs/settings.md"]

    for section in ("benchmarks", "exports", "outputs"):
        assert table_rows(page, section) == [
            (
                f"`{setting.name}`",
                written(setting.default),
                range_of(setting),
                option_of(setting, parameters),
                setting.metadata["help"],
            )
            for setting in attrs.fields(Settings)
            if setting.metadata["section"] == section
        ]
    assert {setting.metadata["section"] for setting in attrs.fields(Settings)} == {
        "benchmarks",
        "exports",
        "outputs",
    }


def commands_below(group, name, context):
    """Yield every command with its full name."""
    for each in group.list_commands(context):
        found = group.get_command(context, each)
        yield f"{name} {each}", found
        if isinstance(found, click.Group):
            yield from commands_below(found, f"{name} {each}", context)


def test_the_command_line_page_has_every_command_and_option():
    page = PAGES["docs/command-line.md"]

    for name, found in commands_below(command.lexer, "lexer", click.Context(command.lexer)):
        assert name in page
        for parameter in found.params:
            if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
                longest = max(parameter.opts, key=len)
                shown = any(re.search(rf"{re.escape(opt)}\b", page) for opt in parameter.opts)
                assert shown, f"{name} {longest}"


def test_the_command_line_page_has_every_exit_status():
    statuses = {
        getattr(command, name)
        for name in command.__all__
        if name.isupper() and isinstance(getattr(command, name), int)
    }

    rows = table_rows(PAGES["docs/command-line.md"], "In scripts")

    assert {int(status) for status, _ in rows} == statuses


def test_the_commands_of_the_readme_are_nox_sessions():
    start = "python3 -m venv .venv && .venv/bin/python -m pip install -q nox && .venv/bin/nox -s "
    lines = [line.strip() for line in PAGES["README.md"].splitlines()]
    defined = {
        node.name
        for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }

    sessions = [line.removeprefix(start).split() for line in lines if line.startswith(start)]

    assert sessions == [["demo"], ["core", "tests"]]
    assert {name for names in sessions for name in names} <= defined


def test_the_table_of_the_readme_is_one_fence_after_its_marker():
    _, after = PAGES["README.md"].split("<!-- table -->\n")

    assert after.startswith("```text\n")
    assert {"Torch", "ONNXRuntime"} <= set(" ".join(fences_of(after)[0].lines).split())
