"""Which machine and engine are the fastest, and the cheapest?

:func:`merge` puts saved runs from many machines into one table. Nothing is measured
again: each machine measured its run alone, and the table says what each one did.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from lexer_core.artifact import load as load_run
from lexer_core.artifact.manifest import LONGEST_NAME, is_name
from lexer_core.artifact.merged_file import is_merged_file
from lexer_core.errors import ArtifactError, UsageError
from lexer_core.merged.collecting import Candidate, collect, read_run
from lexer_core.merged.machines import hardware_text, name_machines
from lexer_core.merged.merged_runs import (
    FailedRun,
    Machine,
    MergedGroup,
    MergedRow,
    MergedRun,
    MergedRuns,
)
from lexer_core.merged.prices import Price, read_price
from lexer_core.report import BenchmarkReport
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.merged.collecting import Collected
    from lexer_core.merged.machines import NamedMachines

    _Source = BenchmarkReport | MergedRuns | str | os.PathLike[str]

__all__ = [
    "FailedRun",
    "Machine",
    "MergedGroup",
    "MergedRow",
    "MergedRun",
    "MergedRuns",
    "Price",
    "load_saved",
    "merge",
    "merge_found",
    "read_run",
]


def merge(
    runs: BenchmarkReport
    | MergedRuns
    | str
    | os.PathLike[str]
    | Iterable[BenchmarkReport | MergedRuns | str | os.PathLike[str]],
    *,
    names: Mapping[str, str] | None = None,
    prices: Mapping[str, str] | None = None,
    skip_damaged: bool = False,
) -> MergedRuns:
    """Put runs from several machines into one table.

    Parameters
    ----------
    runs
        One or several: reports, merged runs, or paths of ``.lexer`` files, of the JSON
        of runs, of files of merged runs, and of folders, in which all ``.lexer`` files
        are taken. They may come from anywhere: they are not trusted.
    names
        Names of machines: by the run's file name, with or without its folders and
        suffix, or by the machine's name so far. A machine without a name is called by
        its hardware; the name of its host is not recorded.
    prices
        Prices per hour, by the name of the machine: ``{"gpu-box": "$2.50/h"}``. They are
        added to those of the merged files.
    skip_damaged
        Whether to leave out what cannot be read, and list it in ``problems``.

    Returns
    -------
    MergedRuns
        The table, with each run complete.

    Raises
    ------
    UsageError
        No run was found, or a name or price is invalid.
    ArtifactError
        A run cannot be read, or none can.

    Examples
    --------
    ::

        fleet = lexer_core.merge(["laptop.lexer", "server.lexer"], prices={"server": "0.40/h"})
        print(fleet)
        fleet.save("fleet.lexer")
    """
    called = dict(names or {})
    for label in called.values():
        if not is_name(label):
            raise UsageError(
                f"{label!r} cannot name a machine.",
                hint=f"Use at most {LONGEST_NAME} printable characters.",
            )
    several = [runs] if isinstance(runs, str | os.PathLike | BenchmarkReport | MergedRuns) else runs
    return merge_found(several, called, prices or {}, skip_damaged=skip_damaged)


def merge_found(
    sources: Iterable[_Source | Candidate | FailedRun],
    called: Mapping[str, str] = MappingProxyType({}),
    priced: Mapping[str, str] = MappingProxyType({}),
    *,
    skip_damaged: bool = False,
) -> MergedRuns:
    """Do what :func:`merge` does, also with runs that were read and with failed ones."""
    collected = collect(_expanded(sources), called)
    if collected.problems and not (skip_damaged and collected.runs):
        raise _damaged(collected)
    if not collected.runs:
        raise UsageError(
            "there is no run to merge.", hint="lexer merge a.lexer b.lexer -o all.lexer"
        )
    unused = {text: label for text, label in called.items() if not collected.has(text)}
    named, labels = _named(collected, unused)
    for name in priced:
        # The machine of a run that could not be read has a price all the same.
        if name not in (*named.names, *called.values()):
            raise UsageError(f"no machine is called {name!r}.", hint=_choices(name, named.names))
    known = {name: read_price(text) for name, text in priced.items()}
    clashes = _add_stored_prices(known, collected, named)
    return MergedRuns(
        runs=tuple(
            MergedRun(
                name=run.name,
                machine=machine,
                report=run.report,
                label=label,
                kept=run.kept,
                plan=run.plan,
            )
            for run, machine, label in zip(collected.runs, named.names, labels, strict=True)
        ),
        machines=tuple(_machines(collected, named, known)),
        notes=(*collected.notes, *named.notes, *clashes),
        problems=tuple(collected.problems),
        failed=_still_failed(collected, labels),
    )


def _still_failed(collected: Collected, labels: Sequence[str]) -> tuple[FailedRun, ...]:
    """Return what failed, each once, without what was measured after all."""
    measured = {(label, run.plan) for run, label in zip(collected.runs, labels, strict=True)}
    last = {(each.machine, each.plan, each.run): each for each in collected.failed}
    return tuple(each for each in last.values() if (each.machine, each.plan) not in measured)


def _expanded(
    sources: Iterable[_Source | Candidate | FailedRun],
) -> Iterable[Candidate | BenchmarkReport | FailedRun | str | os.PathLike[str]]:
    for source in sources:
        if not isinstance(source, MergedRuns):
            yield source
            continue
        yield from source.failed
        prices = {each.name: each.price.text for each in source.machines if each.price}
        for run in source:
            yield Candidate(
                name=run.name,
                report=run.report,
                kept=run.kept,
                label=run.label,
                price=prices.get(run.machine, ""),
                plan=run.plan,
            )


def load_saved(path: str | os.PathLike[str]) -> BenchmarkReport | MergedRuns:
    """Load a run or merged runs, whichever the file contains.

    Raises
    ------
    ArtifactError
        The file cannot be read, is not a saved run, is damaged or malicious, or has a
        newer version.
    """
    if not is_merged_file(Path(path)):
        return load_run(path)
    merged = merge([path], skip_damaged=True)
    if merged.problems:
        problem = merged.problems[0]
        raise ArtifactError(
            problem.message,
            hint=f"To keep the runs that are intact: lexer merge {path} -o rescued.lexer",
        ) from problem
    return merged


def _named(collected: Collected, unused: Mapping[str, str]) -> tuple[NamedMachines, list[str]]:
    """Name the machines; ``unused`` are new names of machines, by their names so far."""
    environments = [run.report.environment for run in collected.runs]
    names = [run.name for run in collected.runs]
    labels = [run.label for run in collected.runs]
    named = name_machines(environments, labels, names)
    for text in unused:
        if text not in named.names:
            raise UsageError(
                f"no run and no machine is called {text!r}.",
                hint=_choices(text, [*names, *named.names]),
            )
    labels = [
        unused.get(machine, label) for machine, label in zip(named.names, labels, strict=True)
    ]
    return name_machines(environments, labels, names), labels


def _machines(
    collected: Collected, named: NamedMachines, prices: Mapping[str, Price]
) -> Iterable[Machine]:
    runs: dict[str, list[int]] = {}
    for at, name in enumerate(named.names):
        runs.setdefault(name, []).append(at)
    for name, numbers in runs.items():
        environment = collected.runs[numbers[0]].report.environment
        yield Machine(
            name=name,
            hardware=hardware_text(environment),
            environment=environment,
            runs=tuple(collected.runs[at].name for at in numbers),
            price=prices.get(name),
        )


def _add_stored_prices(
    known: dict[str, Price], collected: Collected, named: NamedMachines
) -> list[str]:
    """Add the prices of merged files, unless they were given again; returns notes."""
    given, notes = set(known), []
    for run, name in zip(collected.runs, named.names, strict=True):
        if not run.price or name in given:
            continue
        price = known.setdefault(name, read_price(run.price))
        if price.text != run.price:
            notes.append(
                f"{name} has two prices, {price.text} and {run.price}; the first is used, unless "
                f"you give one: --price '{name}={run.price}'"
            )
    return list(dict.fromkeys(notes))


def _damaged(collected: Collected) -> ArtifactError:
    first, *others = collected.problems
    if not others:
        return first
    return ArtifactError(
        f"{len(collected.problems)} runs cannot be read: "
        + "; ".join(error.message.rstrip(".") for error in collected.problems)
        + ".",
        hint=first.hint,
    )


def _choices(wanted: str, known: Iterable[str]) -> str:
    unique = list(dict.fromkeys(known))
    return f"Known: {', '.join(unique)}.{did_you_mean(wanted, unique)}"
