"""What should a reader know before comparing machines in one table?

Between machines with different hardware there is no verdict: a table says what each
one did. What else differs is said, so that it is not taken for the machine's doing.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from lexer_core.merged.machines import same_hardware
from lexer_core.reporting.caveats import condition_of
from lexer_core.reporting.numbers import percent_text, rate_text
from lexer_core.reporting.sentences import same_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lexer_core.merged.records import Machine, MergedGroup, MergedRow, MergedRun

__all__ = ["group_notes", "group_sentences", "problem_lines"]

_CLOSE = 0.05
"""Runs at different times differ by this much, so that the first of two is not named alone."""

_MOST_NOTES = 3
"""More machines than this are not listed one by one."""


def group_sentences(group: MergedGroup, machines: Sequence[Machine]) -> tuple[str, ...]:
    """Return what the table of a group shows, without a verdict between machines."""
    best = group.best
    if not best:
        return ()
    sentences = []
    if len(best) > 1:
        most = best[0].items_per_sec or 0.0
        close = [row for row in best if (row.items_per_sec or 0.0) > most / (1 + _CLOSE)]
        found = [f"{row.machine} with {row.case}, {rate_text(row.items_per_sec)}" for row in close]
        sentences.append(f"Most items per second{_apart(found)}: {'; '.join(found)}.")
    sentences += _cheapest(group)
    measured = [machine for machine in machines if any(row.machine == machine.name for row in best)]
    pairs = list(combinations(measured, 2))
    equal = [pair for pair in pairs if same_hardware(pair[0].environment, pair[1].environment)]
    if len(equal) < len(pairs):
        sentences.append(
            "The machines differ in hardware: the table says what each one did, and there is no "
            "verdict between them."
        )
    return tuple(sentences)


def _cheapest(group: MergedGroup) -> list[str]:
    eligible = [row for row in group.best if row.cost_per_million is not None and row.price]
    currencies = {row.price.currency for row in eligible if row.price}
    if len(eligible) < 2 or len(currencies) > 1:  # noqa: PLR2004
        return []
    least = min(row.cost_per_million or 0.0 for row in eligible)
    close = [row for row in eligible if (row.cost_per_million or 0.0) <= least * (1 + _CLOSE)]
    found = [f"{row.machine} with {row.case}, {row.cost_text}" for row in close]
    return [f"Lowest cost per million items{_apart(found)}: {'; '.join(found)}."]


def _apart(found: Sequence[str]) -> str:
    return f", less than {percent_text(_CLOSE)} apart" if len(found) > 1 else ""


def group_notes(
    group: MergedGroup, machines: Sequence[Machine], runs: Sequence[MergedRun]
) -> tuple[str, ...]:
    """Return what differs between the runs of a group, and how to compare equal machines."""
    return (
        *_other_models(runs),
        *_versions(group, runs),
        *_of_rows(group, "precisions", lambda row: row.result.precision or row.result.dtype),
        *_of_rows(group, "isolation", lambda row: row.result.isolation),
        *_of_rows(group, "items per call", lambda row: str(row.result.batch_size or 1)),
        *_differing("versions of Lexer", {r: r.report.environment.lexer_version for r in runs}),
        *_unranked(group, runs),
        *_noisy(runs),
        *_prices(machines),
        *_comparable(machines, runs),
    )


def problem_lines(rows: Sequence[MergedRow]) -> list[str]:
    """Return why rows have no numbers."""
    lines = []
    for machine in dict.fromkeys(row.machine for row in rows):
        own = [row for row in rows if row.machine == machine]
        for run in dict.fromkeys(row.run for row in own):
            names = {row.result.label: row.case for row in own if row.run == run}
            results = [row.result for row in own if row.run == run]
            for sentence, row in same_problems(results, names):
                lines.append(f"{machine}: {sentence}.")
                if row.error is not None:
                    lines += [f"  {line}" for line in row.error.hint.splitlines()]
    return lines


def _differing(what: str, values: Mapping[MergedRun, str]) -> list[str]:
    """Return a note if a value is not the same in all runs, with who has which."""
    who: dict[str, list[str]] = {}
    for run, value in values.items():
        if value and run.machine not in who.setdefault(value, []):
            who[value].append(run.machine)
    if len(who) < 2:  # noqa: PLR2004
        return []
    return [f"different {what}: {_listed(who)}"]


def _listed(who: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} on {_first(machines)}" for value, machines in who.items())


def _versions(group: MergedGroup, runs: Sequence[MergedRun]) -> Iterable[str]:
    by_name = {run.name: run for run in runs}
    versions: dict[str, dict[MergedRun, str]] = {}
    for row in group.rows:
        version = row.result.engine_version
        if row.result.status == "ok" and version:
            versions.setdefault(row.result.engine, {})[by_name[row.run]] = version
    for engine, found in versions.items():
        yield from _differing(f"versions of {engine}", found)


def _of_rows(group: MergedGroup, what: str, value: Callable[[MergedRow], str]) -> list[str]:
    """Return a note if the machines do not have the same values in their measured rows."""
    who: dict[str, list[str]] = {}
    for row in group.rows:
        if row.items_per_sec is not None and row.machine not in who.setdefault(value(row), []):
            who[value(row)].append(row.machine)
    who.pop("", None)
    if len(who) < 2:  # noqa: PLR2004
        return []
    return [f"different {what}, as their columns and runs say: {_listed(who)}"]


def _other_models(runs: Sequence[MergedRun]) -> Iterable[str]:
    if len(runs) < 2:  # noqa: PLR2004
        return
    prints = [run.report.model_fingerprint for run in runs]
    if not all(prints):
        yield (
            "it is not known whether all runs measured the same model: some have no fingerprint "
            "of it"
        )
        return
    if not all("file" in each for each in prints):
        for part in ("weights", "constants"):
            found = {run: run.report.model_fingerprint.get(part, "")[:8] for run in runs}
            yield from _differing(f"{part} of the model", found)
        code = {each.get("graph") or each.get("modules") for each in prints}
        if len(code) > 1:
            yield (
                "it is not known whether the code of the model is the same: its digests depend on "
                "the versions of Python and Torch, which differ"
            )


def _unranked(group: MergedGroup, runs: Sequence[MergedRun]) -> Iterable[str]:
    ranked = {row.machine for row in group.rows if row.is_best}
    for name in group.machines:
        if name not in ranked:
            reasons = [row.result.withheld for row in group.rows if row.machine == name]
            reasons += [
                run.report.sentences[0].removesuffix(".")
                for run in runs
                if run.machine == name and run.report.tuning is not None and run.report.sentences
            ]
            reason = next((text for text in reasons if text), "")
            yield f"no case is marked as the best of {name}: {reason or 'none is valid'}"


def _noisy(runs: Sequence[MergedRun]) -> Iterable[str]:
    machines = [run.machine for run in runs]
    noisy: dict[str, str] = {}
    for run in runs:
        condition = condition_of(run.report)
        if condition is not None and condition.is_noisy:
            which = f" ({run.name})" if machines.count(run.machine) > 1 else ""
            noisy[f"{run.machine}{which}"] = condition.text
    if len(noisy) <= _MOST_NOTES:
        return [f"{name}: {text}" for name, text in noisy.items()]
    return [f"{len(noisy)} runs were on noisy machines: {_first(list(noisy))}"]


def _prices(machines: Sequence[Machine]) -> Iterable[str]:
    priced = [machine for machine in machines if machine.price]
    if not priced:
        return
    if missing := [machine.name for machine in machines if not machine.price]:
        yield f"no price is known for {_first(missing)}: --price '{missing[0]}=2.50/h'"
    currencies = dict.fromkeys(machine.price.currency for machine in priced if machine.price)
    if len(currencies) > 1:
        listed = ", ".join(currency or "none" for currency in currencies)
        yield f"prices are in different currencies, so costs are not compared: {listed}"


def _comparable(machines: Sequence[Machine], runs: Sequence[MergedRun]) -> Iterable[str]:
    """Say which runs `lexer compare` can give a verdict on."""
    equal: list[list[Machine]] = []
    for machine in machines:
        known = (each for each in equal if same_hardware(each[0].environment, machine.environment))
        found = next(known, None)
        if found is None:
            equal.append([machine])
        else:
            found.append(machine)
    notes = []
    for together in equal:
        equals = {machine.name for machine in together}
        alike = _with_a_common_case([run for run in runs if run.machine in equals])
        names = list(dict.fromkeys(run.machine for run in alike))
        files = [run.name for run in alike]
        if len(files) > 1:
            who = (
                f"{_first(names)} have equal hardware"
                if len(names) > 1
                else f"{names[0]} has {len(files)} runs"
            )
            notes.append(f"{who}; for a verdict, compare the runs: {_command(files)}")
    if len(notes) > _MOST_NOTES:
        more = len(notes) - 1
        notes = [f"{notes[0]}; {more} more machines have runs that can be compared like this"]
    return notes


def _with_a_common_case(runs: Sequence[MergedRun]) -> list[MergedRun]:
    cases = {
        run.name: {
            (row.label, row.device_name, row.threads, row.precision)
            for row in run.report.results
            if row.status == "ok"
        }
        for run in runs
    }
    return [
        run
        for run in runs
        if any(cases[run.name] & cases[other.name] for other in runs if other is not run)
    ]


def _command(files: Sequence[str]) -> str:
    shown = [f"'{name}.lexer'" if " " in name else f"{name}.lexer" for name in files[:4]]
    return f"lexer compare {' '.join(shown)}{' …' if len(files) > len(shown) else ''}"


def _first(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NOTES
    return f"{', '.join(names[:_MOST_NOTES])}{f' and {more} more' if more > 0 else ''}"
