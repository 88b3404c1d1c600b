"""Which limits do the control groups (cgroups) of this process set?

Linux groups processes and limits the groups; a container is such a group. A limit
applies to all groups below it, so the effective value is the smallest between the
process's own group and the root. Both versions of the interface are read. In a
container, the group's path often does not exist below the mount point, which then
shows the container's group as its root.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["group_folders", "read_fields", "read_first_number"]


def group_folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """Yield the folders of this process's control groups, innermost first.

    Parameters
    ----------
    controller
        ``"cpu"`` or ``"memory"``.
    root
        The folder that contains ``proc`` and ``sys``.

    Yields
    ------
    tuple of int and Path
        The interface's version, 1 or 2, and an existing folder.
    """
    mount = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux, or /proc is hidden
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
    """Return the first word of a file as a number; ``None`` if it is not a number."""
    fields = read_fields(path)
    try:
        return int(fields[0]) if fields else None
    except ValueError:  # "max": unlimited
        return None


def read_fields(path: Path) -> list[str]:
    """Return a file's words; empty if it cannot be read."""
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
