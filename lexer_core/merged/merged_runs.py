"""``MergedRuns``: how does a user read, print and write the runs of many machines?"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lexer_core.artifact.manifest import FailedRun, StoredRun
from lexer_core.artifact.merged_file import write_merged
from lexer_core.merged.as_data import (
    merged_to_csv,
    merged_to_dataframe,
    merged_to_dict,
    merged_to_json,
)
from lexer_core.merged.groups import group_rows
from lexer_core.merged.records import Machine, MergedGroup, MergedRow, MergedRun
from lexer_core.merged.table import count_words, lay_out_group, lay_out_machines
from lexer_core.output_files import write_if_named
from lexer_core.reporting.report_html import layout_to_html
from lexer_core.reporting.report_markdown import layout_to_markdown
from lexer_core.reporting.terminal_table import layouts_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from lexer_core.errors import ArtifactError
    from lexer_core.reporting.layout_records import Layout

__all__ = ["FailedRun", "Machine", "MergedGroup", "MergedRow", "MergedRun", "MergedRuns"]


@frozen(kw_only=True, eq=False, repr=False, slots=False)
class MergedRuns:
    """Runs of many machines in one table; :func:`lexer_core.merge` returns them.

    Parameters
    ----------
    runs
        The runs, each complete.
    machines
        The machines, in the order of their first runs.
    notes
        Notes on the runs as a whole: one that was given twice, two machines of one name.
    problems
        What could not be read, if ``merge`` was told to leave it out.
    failed
        What machines of a fleet could not measure, with the reasons.
    """

    runs: tuple[MergedRun, ...]
    machines: tuple[Machine, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[ArtifactError, ...] = field(default=(), repr=False)
    failed: tuple[FailedRun, ...] = ()

    @cached_property
    def groups(self) -> tuple[MergedGroup, ...]:
        """One group of rows per model and inputs: the tables."""
        return group_rows(self.runs, {machine.name: machine for machine in self.machines})

    @property
    def rows(self) -> tuple[MergedRow, ...]:
        """The rows of all groups, in the order of the printed tables."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def by_machine(self) -> Mapping[str, tuple[MergedRow, ...]]:
        """The rows by the name of their machine."""
        return {
            machine.name: tuple(row for row in self.rows if row.machine == machine.name)
            for machine in self.machines
        }

    @property
    def best(self) -> tuple[MergedRow, ...]:
        """The best case of each machine in each group, in the order of the tables."""
        return tuple(row for group in self.groups for row in group.best)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[MergedRun]:
        return iter(self.runs)

    def __getitem__(self, name: str) -> MergedRun:
        """Return a run by its name.

        Raises
        ------
        KeyError
            There is no such run.
        """
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"no run {name!r}; runs: {', '.join(run.name for run in self.runs)}")

    def __repr__(self) -> str:
        runs, machines = len(self.runs), len(self.machines)
        return f"<MergedRuns: {count_words(runs, 'run')} of {count_words(machines, 'machine')}>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return "".join(map(layout_to_html, self.layouts()))

    def layouts(self) -> tuple[Layout, ...]:
        """Return the texts of the tables: that of the machines, then one per group."""
        return (
            lay_out_machines(self.machines, self.notes, self.failed),
            *(lay_out_group(group) for group in self.groups),
        )

    def to_text(self, *, width: int | None = None) -> str:
        """Return the tables as they are printed on a terminal.

        Parameters
        ----------
        width
            Characters per line. Default: the width of the terminal, or 100.
        """
        return layouts_to_text(self.layouts(), width)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the tables as Markdown, and write them to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        layouts = (
            lay_out_machines(self.machines, self.notes, self.failed),
            *(lay_out_group(group, repeat_names=True) for group in self.groups),
        )
        return write_if_named("\n".join(map(layout_to_markdown, layouts)), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return one HTML page: the tables, plots per machine, and the sections of each run.

        Raises
        ------
        MissingPackageError
            The extra ``lexer-core[report]`` is not installed.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.merged.page import merged_page  # an extra

        page = merged_page(self.runs, self.machines, self.groups, self.notes, self.failed)
        return write_if_named(page, path)

    def to_dict(self) -> dict[str, Any]:
        """Return machines, runs and rows as JSON types (docs/many-machines.md)."""
        return merged_to_dict(self.runs, self.machines, self.groups, self.notes, self.failed)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return :meth:`to_dict` as JSON, and write it to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(merged_to_json(self.to_dict()), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return all rows as CSV, with columns for the machine, and write them if asked.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(merged_to_csv(self.runs, self.groups), path)

    def to_dataframe(self) -> pd.DataFrame:
        """Return all rows as a pandas DataFrame, with the columns of the CSV.

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        return merged_to_dataframe(self.runs, self.groups)

    def save(self, path: str | Path) -> Path:
        """Save all runs, whole, with the names and prices of the machines, to one file.

        ``lexer show`` prints the file, and :func:`lexer_core.load` reads it.

        Parameters
        ----------
        path
            The file, such as ``"fleet.lexer"``. An existing file is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        ArtifactError
            The file of a run was changed after it was read.
        """
        prices = {each.name: each.price.text for each in self.machines if each.price}
        stored = [
            StoredRun(
                name=run.name,
                machine=run.label,
                price=prices.get(run.machine, ""),
                plan=run.plan,
            )
            for run in self.runs
        ]
        kept = [run.kept for run in self.runs]
        write_merged(Path(path), list(zip(stored, kept, strict=True)), self.failed)
        return Path(path)
