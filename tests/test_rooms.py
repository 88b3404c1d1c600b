"""Do imports between the core's rooms point one way?

The order of the rooms is the table in CONTRIBUTING.md. Imports are read from the
source, those inside functions and under ``TYPE_CHECKING`` included.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def rooms_in_order(contributing: str) -> list[str]:
    section = contributing.split("\n## The rooms\n")[1].split("\n## ", maxsplit=1)[0]
    return [
        name.removesuffix("/").removesuffix(".py")
        for name in re.findall(r"^\| `([\w/.]+)` \| ", section, re.MULTILINE)
    ]


def modules_of(package: Path) -> dict[str, Path]:
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


@cache
def import_statements(source: str) -> list[ast.Import | ast.ImportFrom]:
    nodes = ast.walk(ast.parse(source))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in import_statements(path.read_text()):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in modules else node.module)
    return found & set(modules)


def upward_imports(package: Path, order: list[str]) -> list[str]:
    modules = modules_of(package)

    def floor(module: str) -> int:
        return order.index(module.split(".")[1])

    return [
        f"{module} imports {imported}"
        for module, path in modules.items()
        for imported in sorted(imports_of(path, modules))
        if module.count(".") and imported.count(".") and floor(imported) > floor(module)
    ]


def import_circle(package: Path) -> list[str]:
    """Return the modules of one circle of imports; empty when there is none."""
    modules = modules_of(package)
    graph = {module: imports_of(path, modules) - {package.name} for module, path in modules.items()}
    # The package itself resolves its public names on use.
    graph.pop(package.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_the_table_of_rooms_lists_every_room_once():
    rooms = rooms_in_order((ROOT / "CONTRIBUTING.md").read_text())
    present = {
        path.stem
        for path in (ROOT / "lexer_core").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }

    assert sorted(rooms) == sorted(present)


def test_no_room_imports_a_room_below_it_in_the_table():
    rooms = rooms_in_order((ROOT / "CONTRIBUTING.md").read_text())

    assert upward_imports(ROOT / "lexer_core", rooms) == []


def test_no_files_import_each_other_in_a_circle():
    assert import_circle(ROOT / "lexer_core") == []


@pytest.fixture
def package(tmp_path):
    package = tmp_path / "house"
    (package / "low").mkdir(parents=True)
    (package / "low" / "__init__.py").write_text("")
    (package / "low" / "floor.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "high.py").write_text("from house.low import floor\n")
    return package


@pytest.mark.parametrize(
    "upward",
    [
        "import house.high",
        "from house import high",
        "from house.high import anything",
        "def later():\n    from house.high import anything",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.high import A",
    ],
)
def test_an_import_that_points_upward_is_found_however_it_is_written(package, upward):
    (package / "low" / "floor.py").write_text(upward)

    assert upward_imports(package, ["low", "high"]) == ["house.low.floor imports house.high"]
    assert set(import_circle(package)) == {"house.high", "house.low.floor"}


def test_imports_that_point_downward_are_fine(package):
    assert upward_imports(package, ["low", "high"]) == []
    assert import_circle(package) == []
