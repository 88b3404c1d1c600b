"""Which texts of merged runs are shown?

One table of the machines, and one per model and input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.merged.notes import problem_lines
from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.numbers import MISSING, bytes_text, rate_text
from lexer_core.reporting.table_layout import lay_out_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lexer_core.artifact.manifest import FailedRun
    from lexer_core.merged.records import Machine, MergedGroup, MergedRow

__all__ = ["count_words", "lay_out_group", "lay_out_machines"]

_PER_CORE_NOTE = (
    "Per core: items per second divided by the cores that a call may use, which are its threads, "
    "at most the usable cores of the machine"
)
_COST_NOTE = (
    "Cost: a million items in sequential calls, on a machine that does nothing else and never waits"
)


def count_words(count: int, word: str) -> str:
    """Return a number with its noun: ``"1 run"``, ``"3 runs"``."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def lay_out_machines(
    machines: Sequence[Machine], notes: Sequence[str], failed: Sequence[FailedRun] = ()
) -> Layout:
    """Return the table of the machines, with notes on the runs as a whole and what failed."""
    runs = sum(len(machine.runs) for machine in machines)
    environments = [machine.environment for machine in machines]
    columns = (
        Column(
            heading="machine",
            cells=printable(machine.name for machine in machines),
            align="left",
        ),
        Column(
            heading="CPU",
            cells=printable(each.cpu_model or "unknown" for each in environments),
            align="left",
        ),
        Column(
            heading="cores",
            cells=tuple(
                MISSING if each.cores_usable is None else f"{each.cores_usable:g}"
                for each in environments
            ),
        ),
        Column(
            heading="memory", cells=tuple(bytes_text(each.memory_bytes) for each in environments)
        ),
        Column(
            heading="GPUs",
            cells=printable(", ".join(each.gpus) or MISSING for each in environments),
            align="left",
        ),
        Column(
            heading="price",
            cells=printable(
                machine.price.text if machine.price else MISSING for machine in machines
            ),
        ),
        Column(heading="runs", cells=tuple(str(len(machine.runs)) for machine in machines)),
    )
    kept = tuple(column for column in columns if any(cell != MISSING for cell in column.cells))
    title = f"{count_words(runs, 'run')} of {count_words(len(machines), 'machine')}"
    return Layout(
        heading=(title,),
        columns=kept,
        problems=printable(_failed_lines(failed)),
        warnings=printable(notes),
    )


def _failed_lines(failed: Sequence[FailedRun]) -> Iterator[str]:
    for each in failed:
        first, *others = each.reason.splitlines() or [""]
        yield f"{each.machine} did not measure {each.run}: {first}"
        yield from others


def lay_out_group(group: MergedGroup, *, repeat_names: bool = False) -> Layout:
    """Return the table of one model and input.

    Parameters
    ----------
    group
        The rows.
    repeat_names
        Whether each row has the name of its machine; otherwise only the first one of
        the machine.
    """
    rows = group.rows
    columns, footnotes = _measured(rows, not_best=MISSING if repeat_names else "")
    machine = Column(
        heading="machine",
        cells=printable(
            row.machine if repeat_names or at == 0 or rows[at - 1].machine != row.machine else ""
            for at, row in enumerate(rows)
        ),
        align="left",
    )
    case = Column(heading="case", cells=printable(row.case for row in rows), align="left")
    per_core = any(row.items_per_sec_per_core is not None for row in rows)
    costs = any(row.cost_per_million is not None for row in rows)
    return Layout(
        heading=printable([group.title]),
        columns=(machine, case, *columns),
        names=2,
        footnotes=footnotes,
        problems=printable(problem_lines(rows)),
        sentences=printable(group.sentences),
        warnings=printable(group.notes),
        facts=(*([_PER_CORE_NOTE] if per_core else []), *([_COST_NOTE] if costs else [])),
    )


def _measured(
    rows: Sequence[MergedRow], not_best: str
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns after the names, and the footnotes of their cells."""
    # Labels are unique within a run only.
    results = [
        attrs.evolve(row.result, label=f"{at}:{row.result.label}") for at, row in enumerate(rows)
    ]
    names = {
        result.label: f"{row.machine} {row.case}" for result, row in zip(results, rows, strict=True)
    }
    found, footnotes = lay_out_rows(results, names)
    by_heading = {column.heading: column for column in found}
    median = next((column for column in found if column.heading.startswith("p50")), None)

    def cells(text: Callable[[MergedRow], str]) -> tuple[str, ...]:
        return printable(map(text, rows))

    best = Column(
        heading="best",
        cells=cells(lambda row: ("✓=" if row.is_tied else "✓") if row.is_best else not_best),
        align="left",
        tones=tuple("good" if row.is_best else "" for row in rows),
    )
    items = "items/s" if any(row.result.batch_size for row in rows) else "calls/s"
    rate = Column(heading=items, cells=cells(lambda row: rate_text(row.items_per_sec)))
    per_core = Column(
        heading="per core", cells=cells(lambda row: rate_text(row.items_per_sec_per_core))
    )
    cost = Column(heading="cost per million", cells=cells(lambda row: row.cost_text or MISSING))
    precision = Column(
        heading="precision",
        cells=cells(lambda row: row.result.precision or row.result.dtype or MISSING),
        align="left",
    )
    several = len(set(precision.cells) - {MISSING}) > 1
    devices = by_heading.get("device")
    columns = (
        best,
        devices if devices and len(set(devices.cells)) > 1 else None,
        precision if several else None,
        rate,
        per_core,
        cost,
        _optional(median),
        _optional(by_heading.get("p99")),
        _if_wrong(by_heading.get("outputs")),
    )
    shown = (
        column
        for column in columns
        if column is not None and any(cell != MISSING for cell in column.cells)
    )
    return tuple(shown), footnotes


def _optional(column: Column | None) -> Column | None:
    return None if column is None else attrs.evolve(column, optional=True)


def _if_wrong(column: Column | None) -> Column | None:
    """Show whether outputs agree; without room for it, only if one does not."""
    if column is None:
        return None
    return column if "bad" in column.tones else attrs.evolve(column, optional=True)
