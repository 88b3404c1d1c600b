"""The packages as such: paths of the documentation, imports, metadata."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lexer_core

ROOT = Path(__file__).parents[1]


def python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def core_modules() -> list[str]:
    found = pkgutil.walk_packages(lexer_core.__path__, "lexer_core.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_the_documented_paths_lead_to_the_cores_own_objects() -> None:
    from lexer.api.lexer_context import LexerContext
    from lexer.decorators.lexer import Lexer
    from lexer_core.context import LexerContext as CoreContext
    from lexer_core.decorator import Lexer as CoreLexer

    assert LexerContext is CoreContext is lexer_core.LexerContext
    assert Lexer is CoreLexer is lexer_core.Lexer


def test_public_names_are_importable_from_lexer_as_well() -> None:
    import lexer

    assert sorted(lexer.__all__) == sorted(lexer_core.__all__)
    for name in lexer.__all__:
        assert getattr(lexer, name) is getattr(lexer_core, name)
    with pytest.raises(AttributeError, match="Lexxer"):
        lexer.Lexxer  # noqa: B018


@pytest.mark.parametrize("first", ["pass", "import lexer_core.benchmark.progress"])
def test_benchmark_is_a_function_even_where_its_package_was_imported(first: str) -> None:
    code = "import lexer_core\ntry: lexer_core.benchmark('absent.onnx')\nexcept Exception as e: "
    code += "print(type(e).__mro__)"

    assert "LexerError" in python(f"{first}\n{code}")


def test_the_package_of_the_documented_paths_holds_nothing_else() -> None:
    import lexer

    names = {
        module.name: {
            name
            for name, value in vars(importlib.import_module(module.name)).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module.name
        }
        for module in pkgutil.walk_packages(lexer.__path__, "lexer.")
    }
    assert set(names) == {
        "lexer.api",
        "lexer.api.lexer_context",
        "lexer.decorators",
        "lexer.decorators.lexer",
    }
    assert all(not own for own in names.values())


def test_every_module_of_the_core_imports_without_a_warning_or_a_framework() -> None:
    modules = core_modules()
    code = f"""
import importlib, json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxruntime", "onnxscript"):
            raise ImportError(f"{{name}} is refused")
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
    loaded = json.loads(python(code, "-W", "error"))

    assert len(modules) > 80
    assert set(modules) <= set(loaded)


def test_tests_that_the_core_alone_skips_run_with_the_engines() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        needed = set(re.findall(r"importorskip\(\"(\w+)", text)) - sys.stdlib_module_names
        marks = set(re.findall(r"mark\.(extras|torch|onnxruntime|openvino)\b", text))

        assert marks or not needed, f"{path.name} needs {needed}: mark its tests"


def test_importing_the_core_imports_neither_its_rooms_nor_its_requirements() -> None:
    code = """
import sys
before = set(sys.modules)
import lexer_core
new = set(sys.modules) - before
print(sorted(name for name in new if name.partition(".")[0] not in sys.stdlib_module_names))
"""

    assert python(code).strip() == "['lexer_core', 'lexer_core.renamed']"


def test_every_public_name_resolves() -> None:
    for name in lexer_core.__all__:
        assert getattr(lexer_core, name) is not None
    assert set(lexer_core.__all__) <= set(dir(lexer_core))
    with pytest.raises(AttributeError, match="nonsense"):
        lexer_core.nonsense  # noqa: B018 - the access is the test


def test_the_module_is_the_command() -> None:
    assert (
        python(
            "import sys; sys.argv = ['lexer', '--version']; import runpy; "
            "runpy.run_module('lexer_core', run_name='__main__')"
        )
        .strip()
        .endswith(lexer_core.__version__)
    )


@pytest.mark.parametrize(
    ("project", "package"),
    [
        (".", ""),
        ("plugins/lexer_torch", "lexer_torch"),
        ("plugins/lexer_ort", "lexer_ort"),
        ("plugins/lexer_openvino", "lexer_openvino"),
    ],
)
def test_each_distribution_says_what_it_is(project: str, package: str) -> None:
    metadata = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]

    assert metadata["license"] == "Apache-2.0"
    assert metadata["requires-python"] == ">=3.11"
    assert (ROOT / project / metadata["readme"]).stat().st_size > 200
    assert (ROOT / project / "LICENSE").exists()
    typed = ROOT / project / ("src/" + package if package else "lexer_core") / "py.typed"
    assert typed.exists()


def test_the_version_is_the_one_of_the_metadata() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert lexer_core.__version__ == declared == version("lexer-core")


def test_every_requirement_of_the_core_is_used() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {requirement.split(">")[0].strip() for requirement in declared}
    text = "\n".join(path.read_text() for path in (ROOT / "lexer_core").rglob("*.py"))

    for name in names:
        assert f"import {name}" in text or f"from {name}" in text, name


FRAMEWORKS = {"torch", "onnx", "onnxruntime", "openvino", "pandas", "matplotlib"}


def required_by(distribution: str, found: set[str]) -> set[str]:
    """Return what a distribution requires without extras, directly and indirectly."""
    try:
        lines = requires(distribution) or ()
    except PackageNotFoundError:  # required, but not installed
        return found
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found.add(name)
            required_by(name, found)
    return found


def test_installing_the_core_installs_no_framework() -> None:
    found = required_by("lexer-core", set())

    assert {"numpy", "rich", "markdown-it-py"} <= found, "direct and indirect requirements"
    assert not found & FRAMEWORKS
