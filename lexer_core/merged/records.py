"""Of which records do merged runs consist?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.merged.prices import cost_text

if TYPE_CHECKING:
    from lexer_core.artifact.merged_file import KeptFile
    from lexer_core.merged.prices import Price
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult, Environment

__all__ = ["Machine", "MergedGroup", "MergedRow", "MergedRun"]


@frozen(kw_only=True, eq=False)
class MergedRun:
    """One of the merged runs, complete.

    Parameters
    ----------
    name
        Its name, that of its file; unique among the runs.
    machine
        The name of its machine.
    report
        The run itself: a :class:`~lexer_core.report.BenchmarkReport`, or a
        :class:`~lexer_core.tuning_report.TuningReport`.
    label
        The name that the user gave the machine; empty if it is named by its hardware.
    kept
        The bytes of its file.
    plan
        A digest of what a fleet was asked to measure; empty for other runs.
    """

    name: str
    machine: str
    report: BenchmarkReport
    label: str
    kept: KeptFile
    plan: str = ""


@frozen(kw_only=True, eq=False)
class Machine:
    """A machine, with all of its runs.

    Parameters
    ----------
    name
        The user's name for it, or its hardware; unique among the machines.
    hardware
        The hardware in words: ``"AMD EPYC 7R13, 4 cores, 15 GiB"``.
    environment
        The machine and software, as its first run recorded them.
    runs
        The names of its runs.
    price
        What the user said that it costs; ``None`` if unknown.
    """

    name: str
    hardware: str
    environment: Environment
    runs: tuple[str, ...]
    price: Price | None = None


@frozen(kw_only=True, eq=False)
class MergedRow:
    """One case on one machine.

    Parameters
    ----------
    machine, run
        The names of its machine and of its run.
    case
        What the table calls the case: its label, or the engine's display name. If the
        machine measured it in several runs, with the name of the run.
    result
        The row of the run.
    is_best
        Whether it is the best case of the machine in its group: the first of its run by
        rank; of several runs that a case won, the one in the middle; of several such
        cases, the one with the most items per second. A case whose outputs are wrong, or
        whose run withholds a verdict, is never the best.
    is_tied
        Whether it is best together with another one, from which its run could not tell
        it.
    cores
        The cores that a call may use: its threads, at most the machine's usable cores.
        ``None`` if unknown, or if the work is not on the CPU.
    items_per_sec
        Items per second in sequential calls; a call without a batch size is one item.
    items_per_sec_per_core
        The same, divided by ``cores``.
    cost_per_million
        The price of a million items, if the machine does nothing else and always has
        the next item; ``None`` without a price.
    price
        The price of the machine, with its currency.
    """

    machine: str
    run: str
    case: str
    result: BenchmarkResult
    is_best: bool = False
    is_tied: bool = False
    cores: float | None = None
    items_per_sec: float | None = None
    items_per_sec_per_core: float | None = None
    cost_per_million: float | None = None
    price: Price | None = None

    @property
    def cost_text(self) -> str:
        """The cost of a million items in its currency, ``"$0.136"``; empty if unknown."""
        if self.cost_per_million is None or self.price is None:
            return ""
        return cost_text(self.cost_per_million, self.price)


@frozen(kw_only=True, eq=False)
class MergedGroup:
    """The rows that measured one model with the same inputs: one table.

    Parameters
    ----------
    model
        The model's name.
    inputs
        Names, dtypes and shapes of the example inputs.
    code
        A part of the digest of the model's code, if another group differs from this one
        in it alone; otherwise empty.
    machines
        Names of the machines, the one with the most items per second first.
    rows
        Grouped by machine in that order, the best first, then by items per second.
    sentences
        What was found.
    notes
        What differs between the machines, apart from their hardware.
    """

    model: str
    inputs: str
    code: str
    machines: tuple[str, ...]
    rows: tuple[MergedRow, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Model, inputs, and what tells it from another group."""
        code = f"code {self.code}" if self.code else ""
        return " · ".join(part for part in (self.model or "a model", self.inputs, code) if part)

    @property
    def best(self) -> tuple[MergedRow, ...]:
        """The best row of each machine, in their order; the first of tied ones."""
        first: dict[str, MergedRow] = {}
        for row in self.rows:
            if row.is_best:
                first.setdefault(row.machine, row)
        return tuple(first.values())
