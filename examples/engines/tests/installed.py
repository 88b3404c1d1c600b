"""How is an engine of this folder installed for a test?"""

from __future__ import annotations

import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_engines import FakeSite

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINES = Path(__file__).parents[1]


@contextmanager
def installed(project: str, folder: Path) -> Iterator[None]:
    """Install a project: its metadata goes to a folder, its modules stay in place."""
    facts = tomllib.loads((ENGINES / project / "pyproject.toml").read_text("utf-8"))["project"]
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in facts["entry-points"].items()
    )
    site = FakeSite(folder)
    site.add_distribution(
        facts["name"],
        version=facts["version"],
        entry_points=points,
        requires=facts["dependencies"],
    )
    source = ENGINES / project / "src"
    with site.on_path(), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(source if source.is_dir() else source.parent))
        yield
