"""What does the control group that this process is in allow it?

Linux groups processes and limits the groups (containers are such groups). A
limit holds for everything below it, so the value that counts is the smallest
between the process's own group and the root. Both versions of the interface
are read; in a container the group's own name often does not exist below the
mount, which then shows the container's group as its root.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["group_folders", "read_fields", "read_first_number"]


def group_folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """List the folders of the groups that this process is in, innermost first.

    Parameters
    ----------
    controller
        ``"cpu"`` or ``"memory"``.
    root
        Where ``proc`` and ``sys`` are.

    Yields
    ------
    tuple of int and Path
        The version of the interface, 1 or 2, and an existing folder.
    """
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux, or /proc is hidden: there is nothing to read
        return
    for line in lines:
        _, _, names_and_path = line.partition(":")
        names, _, path = names_and_path.partition(":")
        if not names:
            for base in (mount, mount / "unified"):
                yield from ((2, folder) for folder in _upwards(base, path))
        elif controller in names.split(","):
            for base in dict.fromkeys((mount / names, mount / controller)):
                yield from ((1, folder) for folder in _upwards(base, path))


def read_first_number(path: Path) -> int | None:
    """Read the first word of a file as a number; ``None`` where it is none."""
    fields = read_fields(path)
    try:
        return int(fields[0]) if fields else None
    except ValueError:  # "max": unlimited
        return None


def read_fields(path: Path) -> list[str]:
    """Read a file's words; empty where it cannot be read."""
    try:
        return path.read_text().split()
    except OSError:
        return []


def _upwards(base: Path, path: str) -> Iterator[Path]:
    names = [name for name in path.split("/") if name and name != ".."]
    for count in range(len(names), -1, -1):
        folder = base.joinpath(*names[:count])
        if folder.is_dir():
            yield folder
