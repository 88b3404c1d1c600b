"""Was an exported file written to after it was made?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["file_stamps", "was_written_to"]


def file_stamps(path: Path | None) -> Mapping[str, tuple[int, int, int]]:
    """Return the stamps of an exported file and of the data next to it; empty for ``None``."""
    if path is None:
        return {}
    facts = {each.name: each.stat() for each in path.parent.glob("*") if _belongs(each, path)}
    return {name: (stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in facts.items()}


def was_written_to(path: Path | None, before: Mapping[str, tuple[int, int, int]]) -> bool:
    """Return whether a file with stamps was changed, replaced or removed."""
    now = file_stamps(path)
    return any(now.get(name) != stamp for name, stamp in before.items())


def _belongs(file: Path, exported: Path) -> bool:
    return file.name.startswith(exported.name) and file.is_file()
