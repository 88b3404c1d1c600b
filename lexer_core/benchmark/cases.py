"""Which cases does a benchmark have?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.engines.choice import EngineChoice, parse_engine_choice, resolve_options
from lexer_core.engines.remote_interpreter import query_interpreter
from lexer_core.engines.states import EngineState
from lexer_core.errors import (
    EngineError,
    LexerError,
    SettingError,
    UnknownEngineError,
    UsageError,
)
from lexer_core.settings.layers import EngineTable
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.records import OptionValue

__all__ = ["Case", "CaseSelection", "check_tables", "select_cases"]


@frozen(kw_only=True)
class Case:
    """Engine, device and options: one row of the table, as a plain value.

    ``precision`` is a dtype's name, empty for the model's own. ``requested``
    says whether the engine was asked for by name. ``model`` is the key of the
    run's model that the case runs, empty for its first. ``beside`` is the label
    of a case that it is to be compared with, and so has to share every round
    with, whatever the memory allows. ``elsewhere`` is the engine, where it lives
    in another interpreter.
    """

    label: str
    engine: str
    display_name: str
    device: str
    options: Mapping[str, OptionValue] = field(factory=dict)
    engine_version: str | None = None
    engine_distribution: str = ""
    precision: str = ""
    requested: bool = False
    model: str = ""
    beside: str = ""
    elsewhere: RemoteEngine | None = None

    @property
    def python(self) -> str:
        """The other interpreter that runs it, and its version; empty for this one."""
        return "" if self.elsewhere is None else str(self.elsewhere)


@frozen(kw_only=True)
class CaseSelection:
    """The cases to run, those that cannot be, and what to say about the rest."""

    cases: tuple[Case, ...]
    engines: Mapping[str, Engine]
    failures: tuple[tuple[Case, LexerError], ...] = ()
    notes: tuple[str, ...] = ()


def select_cases(
    registry: EngineRegistry,
    engines: Sequence[str | EngineChoice] | None,
    device: str,
    interpreters: Mapping[str, str] | None = None,
    *,
    tables: Mapping[str, EngineTable] | None = None,
    named_in: str = "",
) -> CaseSelection:
    """Turn what the user asked for into cases.

    Parameters
    ----------
    registry
        Knows the installed engines.
    engines
        Names, or choices with options and labels; ``None`` for every engine
        that is ready and runs by default.
    device
        Where all of them are to execute.
    interpreters
        Interpreters that run engines in place of this one, by the label of a
        row or the name of an engine. Without ``engines``, one that names no
        engine of this interpreter adds a row.
    tables
        What configuration says of engines, by name: options that hold where the
        choice sets no other, whether an engine runs when none is named, and
        the interpreter that runs it where none is given here.
    named_in
        Where the engines were named, for an error.

    Raises
    ------
    UnknownEngineError
        No installed plugin provides an engine of that name.
    SettingError
        An option is unknown or has a wrong value.
    UsageError
        Two rows would have the same label, there is no engine at all, or an
        interpreter is given for none of them.
    """
    interpreters = interpreters or {}
    tables = tables or {}
    notes = _unknown_tables(registry, tables, interpreters)
    configured = {
        name: str(table.python.value) for name, table in tables.items() if table.python is not None
    }
    if engines is None:
        on = {name: path for name, path in configured.items() if tables[name].is_enabled(True)}
        selection = _every_ready_engine(registry, device, {**on, **interpreters}, tables)
        return attrs.evolve(selection, notes=(*notes, *selection.notes))
    if isinstance(engines, (str, EngineChoice)):
        engines = [engines]
    if not engines:
        raise UsageError(
            "no engine was chosen: the list of engines is empty.",
            hint="Leave it out to run every engine that is ready.",
        )
    choices = [
        parse_engine_choice(choice) if isinstance(choice, str) else choice for choice in engines
    ]
    choices = [
        attrs.evolve(choice, python=choice.python or configured.get(choice.name, ""))
        for choice in _with_interpreters(choices, interpreters)
    ]
    names = Counter(choice.name for choice in choices)
    cases, ready, failures = [], {}, []
    for choice in choices:
        table = tables.get(choice.name, _NOTHING_SAID)
        label = choice.label or (
            choice.name if names[choice.name] == 1 else str(attrs.evolve(choice, label=""))
        )
        case = Case(
            label=label,
            engine=choice.name,
            display_name=choice.name,
            device=device,
            options=choice.options,
            requested=True,
        )
        try:
            if choice.python:
                cases.append(_elsewhere(case, choice.python, table))
                continue
            engine = registry.get(choice.name)
        except EngineError as error:
            failures.append((case, error))
            continue
        except UnknownEngineError as error:
            where = f"\nIt is named in {named_in}." if named_in else ""
            raise UnknownEngineError(error.message, hint=f"{error.hint}{where}") from error
        ready[choice.name] = engine
        cases.append(_of(engine, case, _options(engine, choice.options, table)))
    _refuse_equal_labels([*cases, *(case for case, _ in failures)])
    return CaseSelection(
        cases=tuple(cases), engines=ready, failures=tuple(failures), notes=tuple(notes)
    )


def check_tables(registry: EngineRegistry, tables: Mapping[str, EngineTable]) -> list[str]:
    """Check what configuration says of engines, as far as they are there; returns notes.

    Raises
    ------
    SettingError
        An engine's name looks mistyped, or an option is unknown or has a wrong
        value.
    """
    notes = _unknown_tables(registry, tables, ())
    for name, table in tables.items():
        if table.python is not None:
            continue  # the engine of this interpreter, if there is one, is not the one meant
        try:
            engine = registry.get(name)
        except (EngineError, UnknownEngineError):
            continue  # nothing is known of its options; what is wrong with it, its listing says
        _options(engine, {}, table)
    return notes


def _with_interpreters(
    choices: Sequence[EngineChoice], interpreters: Mapping[str, str]
) -> list[EngineChoice]:
    """Give each choice the interpreter that is meant for it: by its label before by its name."""
    labels, names = {choice.label for choice in choices}, {choice.name for choice in choices}
    for whom in interpreters:
        if whom not in labels | names:
            raise UsageError(
                f"an interpreter is given for {whom!r}, which is none of the engines chosen.",
                hint=f"Chosen: {', '.join(map(str, choices))}.",
            )
    return [
        attrs.evolve(
            choice,
            python=choice.python
            or interpreters.get(choice.label or choice.name, "")
            or interpreters.get(choice.name, ""),
        )
        for choice in choices
    ]


def _elsewhere(case: Case, python: str, table: EngineTable) -> Case:
    """Complete a case with what its interpreter says of the engine."""
    there = query_interpreter(python, case.engine)
    case = attrs.evolve(case, elsewhere=there)
    return _of(there, case, _options(there, case.options, table))


def _every_ready_engine(
    registry: EngineRegistry,
    device: str,
    interpreters: Mapping[str, str],
    tables: Mapping[str, EngineTable],
) -> CaseSelection:
    cases, ready, notes, failures = [], {}, [], []
    for name, python in interpreters.items():
        case = Case(label=name, engine=name, display_name=name, device=device, requested=True)
        try:
            cases.append(_elsewhere(case, python, tables.get(name, _NOTHING_SAID)))
        except EngineError as error:
            failures.append((case, error))
    for listing in registry.listings():
        if listing.name in interpreters:
            continue
        table = tables.get(listing.name, _NOTHING_SAID)
        if not table.is_enabled(otherwise=True):
            notes.append(f"engine {listing.name!r} is turned off in {table.origin}")
            continue
        if not table.is_enabled(otherwise=listing.info is None or listing.info.runs_by_default):
            continue  # nor is it missed where it is not ready
        if listing.state is not EngineState.READY:
            notes.append(f"engine {listing.name!r} is {listing.state}: {listing.reason}")
            continue
        engine = registry.get(listing.name)
        ready[engine.name] = engine
        case = Case(label=engine.name, engine=engine.name, display_name=engine.name, device=device)
        cases.append(_of(engine, case, _options(engine, {}, table)))
    if not cases:
        raise UsageError(
            "no engine is ready.",
            hint="\n".join([*notes, "Install one: pip install lexer-torch lexer-ort"]),
        )
    # What runs the model itself comes first: the others are compared with it.
    runs_the_model = {name for name, engine in ready.items() if "torch" in engine.info.formats}
    cases.sort(key=lambda case: case.engine not in runs_the_model)
    return CaseSelection(
        cases=tuple(cases), engines=ready, notes=tuple(notes), failures=tuple(failures)
    )


_NOTHING_SAID = EngineTable()


def _options(
    engine: Engine | RemoteEngine, chosen: Mapping[str, OptionValue], table: EngineTable
) -> dict[str, OptionValue]:
    """Complete the options of a choice with those that configuration sets."""
    configured: dict[str, OptionValue] = {}
    for name, placed in table.options.items():
        # One by one, since each has a place of its own for the error.
        checked = resolve_options(engine, {name: placed.value}, where=str(placed.origin))
        configured[name] = checked[name]
    return resolve_options(engine, {**configured, **chosen})


def _unknown_tables(
    registry: EngineRegistry, tables: Mapping[str, EngineTable], elsewhere: Collection[str]
) -> list[str]:
    """Refuse a name that looks mistyped; one that is not installed here is a note.

    A file in the home folder may speak of an engine that only other environments
    have.
    """
    notes = []
    names = registry.names() if tables else ()
    for name, table in tables.items():
        if name in names or name in elsewhere or table.python is not None:
            continue
        near = nearest(name, names, cutoff=_MISTYPED)
        if near is not None:
            raise SettingError(
                f"engine {name!r} in {table.origin} is not installed.",
                hint=f"Did you mean {near!r}?",
            )
        notes.append(f"engine {name!r} in {table.origin} is not installed here")
    return notes


_MISTYPED = 0.8


def _of(engine: Engine | RemoteEngine, case: Case, options: Mapping[str, OptionValue]) -> Case:
    return attrs.evolve(
        case,
        display_name=engine.info.display_name,
        options=options,
        engine_version=engine.version,
        engine_distribution=engine.distribution,
    )


def _refuse_equal_labels(cases: Sequence[Case]) -> None:
    for label, count in Counter(case.label for case in cases).items():
        if count > 1:
            raise UsageError(
                f"{count} rows would be called {label!r}.",
                hint="Give each a label of its own: "
                f"EngineChoice(…, label='…'), or --engine 'other={label}'.",
            )
