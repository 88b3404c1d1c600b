"""Which cases belong in one table, and which is the best of each machine?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
from attrs import define, field

from lexer_core.merged.notes import group_notes, group_sentences
from lexer_core.merged.records import MergedGroup, MergedRow
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.merged.records import Machine, MergedRun
    from lexer_core.results import BenchmarkResult

__all__ = ["group_rows"]

_DIGITS = 8
_SHOWN_FATES = ("winner", "tie", "front")


@define(eq=False)
class _Group:
    """Runs with the same model and inputs, while they are collected."""

    model: str
    inputs: str
    members: list[tuple[MergedRun, list[BenchmarkResult]]] = field(factory=list)

    def accepts(self, run: MergedRun, model: str, inputs: str) -> bool:
        return (model, inputs) == (self.model, self.inputs) and not any(
            _is_other_code(run, member) for member, _ in self.members
        )


def group_rows(
    runs: Sequence[MergedRun], machines: Mapping[str, Machine]
) -> tuple[MergedGroup, ...]:
    """Return one group per model and inputs.

    Models of one name are in different groups if their code is known to differ. Of a
    tuning, only the best configurations are listed, or all if none is.
    """
    groups: list[_Group] = []
    for run in runs:
        inputs = ", ".join(map(str, run.report.input_specs))
        for model, rows in _by_model(run).items():
            group = next((each for each in groups if each.accepts(run, model, inputs)), None)
            if group is None:
                group = _Group(model, inputs)
                groups.append(group)
            group.members.append((run, rows))
    titles_of = [(group.model, group.inputs) for group in groups]
    return tuple(
        _finished(group, machines, titles_of.count((group.model, group.inputs)) > 1)
        for group in groups
    )


def _by_model(run: MergedRun) -> dict[str, list[BenchmarkResult]]:
    found: dict[str, list[BenchmarkResult]] = {}
    for row in _listed(run):
        found.setdefault(row.model or run.report.model_name, []).append(row)
    return found


def _listed(run: MergedRun) -> Iterable[BenchmarkResult]:
    tuning = run.report.tuning
    if tuning is None:
        return run.report.results
    best = {each.label for each in tuning.configurations if each.fate in _SHOWN_FATES}
    return [row for row in run.report.results if row.label in best] or run.report.results


def _is_other_code(one: MergedRun, other: MergedRun) -> bool:
    """Return whether the models' code is known to differ.

    The digest of code depends on the versions of Python and of the engines, so with
    other versions, other digests say nothing; that of a file does not.
    """
    a, b = one.report.model_fingerprint, other.report.model_fingerprint
    if "file" in a and "file" in b:
        return a["file"] != b["file"]
    part = next((part for part in ("graph", "modules") if part in a and part in b), None)
    if part is None:
        return False
    here, there = one.report.environment, other.report.environment
    same_versions = (here.python, here.engines) == (there.python, there.engines)
    return same_versions and a[part] != b[part]


def _finished(group: _Group, machines: Mapping[str, Machine], needs_code: bool) -> MergedGroup:
    rows: list[MergedRow] = []
    for name in dict.fromkeys(run.machine for run, _ in group.members):
        members = [(run, found) for run, found in group.members if run.machine == name]
        rows += _of_machine(machines[name], members)
    rates: dict[str, float] = {}
    for row in rows:
        rate = row.items_per_sec if row.is_best and row.items_per_sec else 0.0
        rates[row.machine] = max(rate, rates.get(row.machine, 0.0))
    order = sorted(rates, key=lambda name: -rates[name])
    place = {name: at for at, name in enumerate(order)}
    rows.sort(key=lambda row: (place[row.machine], not row.is_best, *_row_key(row)))
    runs = [run for run, _ in group.members]
    finished = MergedGroup(
        model=group.model,
        inputs=group.inputs,
        code=_code(runs[0]) if needs_code else "",
        machines=tuple(order),
        rows=tuple(rows),
        sentences=(),
        notes=(),
    )
    shown = [machines[name] for name in order]
    return attrs.evolve(
        finished,
        sentences=group_sentences(finished, shown),
        notes=group_notes(finished, shown, runs),
    )


def _code(run: MergedRun) -> str:
    prints = run.report.model_fingerprint
    digest = next((prints[part] for part in ("file", "graph", "modules") if part in prints), "")
    return digest[:_DIGITS]


def _of_machine(
    machine: Machine, members: Sequence[tuple[MergedRun, Sequence[BenchmarkResult]]]
) -> list[MergedRow]:
    rows = [
        _row(machine, run, titles(run.report.results)[result.label], result, len(members) > 1)
        for run, results in members
        for result in results
    ]
    leaders = [
        _leaders(run, [row for row in rows if row.run == run.name and _counts(row)])
        for run, _ in members
    ]
    best = _best([each for each in leaders if each])
    return [
        attrs.evolve(row, is_best=True, is_tied=len(best) > 1) if row in best else row
        for row in rows
    ]


def _best(leaders: Sequence[list[MergedRow]]) -> list[MergedRow]:
    """Return the leaders of the run that counts; each has the fastest case of its run first.

    The fastest of several runs of one case would be the luckiest one, and better the more
    runs there are. So the run in the middle counts, the slower of two.
    """
    by_case: dict[str, list[list[MergedRow]]] = {}
    for each in leaders:
        by_case.setdefault(each[0].result.label, []).append(each)

    def rate(each: list[MergedRow]) -> float:
        return each[0].items_per_sec or 0.0

    middle = [sorted(runs, key=rate)[(len(runs) - 1) // 2] for runs in by_case.values()]
    return max(middle, key=rate, default=[])


def _counts(row: MergedRow) -> bool:
    """Return whether a case may be the best: measured, and nothing speaks against it."""
    wrong = row.result.parity is not None and row.result.parity.status == "fail"
    return row.items_per_sec is not None and not wrong and not row.result.withheld


def _leaders(run: MergedRun, rows: Sequence[MergedRow]) -> list[MergedRow]:
    """Return the best case of a run, then those that the run could not tell from it."""
    by_rate = sorted(rows, key=_row_key)
    if run.report.tuning is not None:
        fates = {each.label: each.fate for each in run.report.tuning.configurations}
        won = [row for row in by_rate if fates.get(row.result.label) in ("winner", "tie")]
        return won or [row for row in by_rate if fates.get(row.result.label) == "front"][:1]
    ranks = [row.result.rank for row in rows if row.result.rank is not None]
    if not ranks:
        return by_rate[:1]
    return [row for row in by_rate if row.result.rank == min(ranks)]


def _row(
    machine: Machine, run: MergedRun, case: str, result: BenchmarkResult, several: bool
) -> MergedRow:
    rate = result.throughput_per_sec if result.status == "ok" else None
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        rate = None
    cores = _cores(result, run.report.environment.cores_usable)
    price = machine.price
    return MergedRow(
        machine=machine.name,
        run=run.name,
        case=f"{case} ({run.name})" if several else case,
        result=result,
        cores=cores,
        items_per_sec=rate,
        items_per_sec_per_core=rate / cores if rate and cores else None,
        cost_per_million=price.of_a_million(rate) if price and rate else None,
        price=price,
    )


def _cores(result: BenchmarkResult, usable: float | None) -> float | None:
    if not result.device_name.startswith("cpu"):
        return None
    known = [float(value) for value in (result.threads, usable) if value]
    return min(known, default=None)


def _row_key(row: MergedRow) -> tuple[bool, bool, float]:
    wrong = row.result.parity is not None and row.result.parity.status == "fail"
    return row.items_per_sec is None, wrong, -(row.items_per_sec or 0.0)
