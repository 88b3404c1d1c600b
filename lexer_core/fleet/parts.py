"""Where are the runs of a fleet until all of them are merged?

In a folder next to the output, ``fleet.lexer.parts``: each run as it came from its
machine, and a small file that says what it is. If the command ends in the middle, the next
one goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
from attrs import frozen
from filelock import FileLock, Timeout

from lexer_core.cache_folder import default_directory
from lexer_core.errors import ArtifactError, OutputFileError, UsageError
from lexer_core.merged import MergedRuns, load_saved, merge_found, read_run
from lexer_core.output_files import check_writable, write_text
from lexer_core.validated_data import InvalidDataError, parse_json, validated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from lexer_core.merged import FailedRun
    from lexer_core.results import Environment

__all__ = ["FleetFile", "Part", "written_by_one_command"]


@frozen(kw_only=True)
class Part:
    """What a fetched run is: its name, its machine, what was asked, and a price."""

    name: str
    machine: str
    plan: str
    price: str = ""


@contextmanager
def written_by_one_command(path: Path) -> Iterator[None]:
    """Keep other commands from writing the same output in the ``with`` block.

    Raises
    ------
    UsageError
        Another command writes it now.
    OutputFileError
        The cache folder, where the lock is, cannot be written.
    """
    folder = default_directory() / "fleet"
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / f"{digest}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another command writes {str(path)!r} now.",
            hint="Wait until it has ended, or choose another file with -o.",
        ) from error
    except OSError as error:
        raise OutputFileError(
            f"cannot write to {str(folder)!r}: {error.strerror or error}.",
            hint="Set LEXER_CACHE_DIR to another folder.",
        ) from error
    try:
        yield
    finally:
        lock.release()


class FleetFile:
    """The output of a fleet, with the runs that are not merged yet.

    Parameters
    ----------
    path
        The ``.lexer`` file to write; it may exist from an earlier call.

    Raises
    ------
    UsageError
        It is not a ``.lexer`` file, or an existing one has no merged runs.
    OutputFileError
        It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".lexer":
            raise UsageError(
                f"the runs of a fleet are saved to a .lexer file, not to {str(path)!r}.",
                hint="-o fleet.lexer; then `lexer show fleet.lexer -o fleet.csv`",
            )
        check_writable(path)
        self.path = path
        self._folder = path.with_name(f"{path.name}.parts")
        self._earlier: MergedRuns | None = None
        if path.exists():
            earlier = load_saved(path)
            if not isinstance(earlier, MergedRuns):
                raise OutputFileError(
                    f"{str(path)!r} is a single run, which the fleet's would replace.",
                    hint="Choose another file: -o fleet.lexer",
                )
            self._earlier = earlier
        self._parts: dict[Path, Part] = dict(self._read_parts())
        self._environments = {
            (part.machine, part.plan): read_run(file).report.environment
            for file, part in self._parts.items()
        }

    def check_plans(self, known: Collection[str]) -> None:
        """Refuse to add to the runs of another plan.

        Raises
        ------
        UsageError
            The file has runs that are not in this plan.
        """
        names = [
            *(run.name for run in self._earlier or () if run.plan and run.plan not in known),
            *(part.name for part in self._parts.values() if part.plan not in known),
        ]
        if names:
            raise UsageError(
                f"{str(self.path)!r} has runs of another plan: {', '.join(names[:3])}"
                f"{', …' if len(names) > 3 else ''}.",  # noqa: PLR2004
                hint="Choose another file with -o. To put both into one table: lexer merge.",
            )

    def measured_on(self, machine: str, plan: str) -> Sequence[Environment]:
        """Return the machines of this name that have measured a plan."""
        found = [
            run.report.environment
            for run in self._earlier or ()
            if (run.label, run.plan) == (machine, plan)
        ]
        fetched = self._environments.get((machine, plan))
        return [*found, fetched] if fetched is not None else found

    def add(self, part: Part, received: Path) -> None:
        """Keep a run that came from a machine.

        Raises
        ------
        ArtifactError
            It is not a valid run.
        OutputFileError
            It cannot be written.
        """
        environment = read_run(received).report.environment
        file = received.with_name(received.name.removesuffix(".received"))
        received.replace(file)
        write_text(file.with_suffix(".json"), json.dumps(attrs.asdict(part)))
        self._parts[file] = part
        self._environments[part.machine, part.plan] = environment

    def new_part(self) -> Path:
        """Return the path to which the next run is written while it is received.

        Raises
        ------
        OutputFileError
            The folder cannot be created.
        """
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputFileError(
                f"cannot create {str(self._folder)!r}: {error.strerror or error}."
            ) from error
        numbers = [int(path.stem) for path in self._folder.glob("*.lexer") if path.stem.isdigit()]
        number = max(numbers, default=0) + 1
        while (received := self._folder / f"{number}.lexer.received").exists():
            number += 1
        received.touch()
        return received

    def merge(self, failed: Sequence[FailedRun]) -> MergedRuns | None:
        """Merge everything into the output, and remove the parts; ``None`` without a run.

        Raises
        ------
        OutputFileError
            The output cannot be written. The parts stay.
        """
        runs = [
            attrs.evolve(
                read_run(file),
                name=part.name,
                label=part.machine,
                plan=part.plan,
                price=part.price,
                path="",
            )
            for file, part in self._parts.items()
        ]
        if not runs and self._earlier is None:
            self._remove_folder()
            return None
        earlier = [] if self._earlier is None else [self._earlier]
        merged = merge_found([*earlier, *runs, *failed])
        merged.save(self.path)
        self._remove_folder()
        return merged

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read_parts(self) -> Sequence[tuple[Path, Part]]:
        found = []
        for described in sorted(self._folder.glob("*.json")):
            file = described.with_suffix(".lexer")
            try:
                part: Part = validated(parse_json(described.read_bytes()), Part)
                read_run(file)
            except (OSError, InvalidDataError, ArtifactError):
                continue  # written in part when the computer stopped: it is measured again
            found.append((file, part))
        return found
