"""Which cases does a benchmark have?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

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
    UnsupportedError,
    UsageError,
)
from lexer_core.precisions import PRECISIONS, precision_name
from lexer_core.settings.layers import EngineTable
from lexer_core.suggestions import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.engines.states import ReadyEngine
    from lexer_core.records import EngineInfo, OptionValue

__all__ = [
    "PRECISION",
    "Case",
    "CaseSelection",
    "cases_of_models",
    "check_tables",
    "select_cases",
    "suited_to_onnx",
]


PRECISION = "precision"
"""What a choice of an engine may have among its options, for its precision."""


@frozen(kw_only=True)
class Case:
    """Engine, device and options: one row of the table.

    ``precision`` is what the engine is asked to compute in, empty for the model's own.
    ``threads`` and ``items`` are the threads and the items of a call, if they are not the
    run's. ``requested`` says whether the engine was requested by name. ``model_name`` is
    the name of its model if the run has several. ``model`` is the key of the run's model
    that the case runs, empty for the first. ``paired_with`` is the label of a case to
    compare it with, which must share every round with it even if memory is short.
    ``remote_engine`` describes the engine if another interpreter runs it.
    """

    label: str
    engine: str
    display_name: str
    device: str
    model_name: str = ""
    options: Mapping[str, OptionValue] = field(factory=dict)
    engine_version: str | None = None
    engine_distribution: str = ""
    precision: str = ""
    threads: int | None = None
    items: int | None = None
    requested: bool = False
    model: str = ""
    paired_with: str = ""
    remote_engine: RemoteEngine | None = None

    @property
    def python(self) -> str:
        """The other interpreter that runs the case, and its version; empty for this one."""
        return "" if self.remote_engine is None else str(self.remote_engine)


@frozen(kw_only=True)
class CaseSelection:
    """The cases to run, those that cannot run, and notes about engines left out.

    ``not_run`` are ready engines that run only if they are named.
    """

    cases: tuple[Case, ...]
    engines: Mapping[str, ReadyEngine]
    failures: tuple[tuple[Case, LexerError], ...] = ()
    notes: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()


def select_cases(
    registry: EngineRegistry,
    engines: Sequence[str | EngineChoice] | None,
    device: str,
    interpreters: Mapping[str, str] | None = None,
    *,
    tables: Mapping[str, EngineTable] | None = None,
    named_in: str = "",
    precisions: Sequence[str] = (),
) -> CaseSelection:
    """Return the cases for the engines that the user chose.

    Parameters
    ----------
    registry
        The installed engines.
    engines
        Names, or choices with options and labels. ``None``: every ready engine
        that runs by default.
    device
        The device of all cases.
    interpreters
        Other interpreters that run engines, by the label of a row or the name of an
        engine. If ``engines`` is ``None``, an engine that only another interpreter
        has adds a row.
    tables
        The configuration of engines, by name: options that a choice does not set,
        whether an engine runs by default, and the interpreter that runs it if
        ``interpreters`` does not name one.
    named_in
        Where the engines were named, for errors.
    precisions
        What each engine is asked to compute in, for a row each; not for an engine whose
        choice or configuration has its own ``precision``. Default: the model's own.

    Raises
    ------
    UnknownEngineError
        No installed plugin provides an engine of that name.
    SettingError
        An option or a precision is unknown, or a value is not valid.
    UsageError
        Two rows have the same label, no engine is ready, or an interpreter is for
        an engine that was not chosen.
    """
    selection = _select(registry, engines, device, interpreters or {}, tables or {}, named_in)
    return _in_precisions(selection, precisions)


def _select(
    registry: EngineRegistry,
    engines: Sequence[str | EngineChoice] | None,
    device: str,
    interpreters: Mapping[str, str],
    tables: Mapping[str, EngineTable],
    named_in: str,
) -> CaseSelection:
    """Return the cases of the engines, in the precisions that they have themselves."""
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
            "the list of engines is empty.",
            hint="Omit it to run every engine that is ready.",
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
        table = tables.get(choice.name, _NO_TABLE)
        label = choice.label or (
            choice.name
            if names[choice.name] == 1 and PRECISION not in choice.options
            else str(attrs.evolve(choice, label=""))
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
                cases.append(_remote_case(case, choice.python, table))
                continue
            engine = registry.ready_listing(choice.name)
        except EngineError as error:
            failures.append((case, error))
            continue
        except UnknownEngineError as error:
            where = f"\nIt is named in {named_in}." if named_in else ""
            raise UnknownEngineError(error.message, hint=f"{error.hint}{where}") from error
        ready[choice.name] = engine
        cases.append(_complete(engine, case, table))
    _refuse_equal_labels([*cases, *(case for case, _ in failures)])
    return CaseSelection(
        cases=tuple(cases), engines=ready, failures=tuple(failures), notes=tuple(notes)
    )


def _in_precisions(selection: CaseSelection, precisions: Sequence[str]) -> CaseSelection:
    """Return a case for each precision; those that an engine does not have are failures."""
    engines = [_engine_of(selection, case) for case in selection.cases]
    known = {name for engine in engines for name in engine.info.precisions}
    cases, refused = [], []
    for asked in selection.cases:
        if asked.precision or not precisions:
            in_each = [asked]
        else:
            in_each = [
                attrs.evolve(asked, precision=name, label=f"{asked.label}[precision={name}]")
                for name in precisions
            ]
        for case in in_each:
            _check_known(case.precision, known)
            info = _engine_of(selection, case).info
            if case.precision and info.precisions and case.precision not in info.precisions:
                refused.append((case, _refused_precision(case, info)))
            else:
                cases.append(case)
    return attrs.evolve(selection, cases=tuple(cases), failures=(*selection.failures, *refused))


def _engine_of(selection: CaseSelection, case: Case) -> ReadyEngine | RemoteEngine:
    return case.remote_engine or selection.engines[case.engine]


def _check_known(precision: str, declared: Collection[str]) -> None:
    known = (*PRECISIONS, *sorted(set(declared) - set(PRECISIONS)))
    if precision and precision not in known:
        raise SettingError(
            f"no engine knows the precision {precision!r}.",
            hint=f"Precisions: {', '.join(known)}.{did_you_mean(precision, known)}",
        )


def _refused_precision(case: Case, info: EngineInfo) -> UnsupportedError:
    return UnsupportedError(
        f"{info.display_name} does not compute in {case.precision}.",
        engine=case.engine,
        hint=f"It computes in: {', '.join(info.precisions)}.",
    )


def cases_of_models(selection: CaseSelection, names: Sequence[str]) -> CaseSelection:
    """Return the cases of every model; a single model may have an empty name.

    Parameters
    ----------
    selection
        The cases of one model.
    names
        The models. The first is the run's first model, the others have their names as
        keys.
    """
    if list(names) == [""]:
        return selection

    def of(case: Case, name: str) -> Case:
        return attrs.evolve(
            case,
            label=f"{name}/{case.label}",
            model="" if name == names[0] else name,
            model_name=name,
        )

    return attrs.evolve(
        selection,
        cases=tuple(of(case, name) for name in names for case in selection.cases),
        failures=tuple(
            (of(case, name), error) for name in names for case, error in selection.failures
        ),
    )


def suited_to_onnx(selection: CaseSelection) -> CaseSelection:
    """Leave out the engines that nobody named and that cannot run an ``.onnx`` file.

    All stay if none of them can, because their rows then say why.
    """

    def is_suited(case: Case) -> bool:
        return case.requested or "onnx" in _engine_of(selection, case).info.formats

    suited = tuple(case for case in selection.cases if is_suited(case))
    left_out = [case.display_name for case in selection.cases if not is_suited(case)]
    if not suited or not left_out:
        return selection
    note = f"not measured, because they cannot run an .onnx file: {', '.join(left_out)}"
    return attrs.evolve(selection, cases=suited, notes=(*selection.notes, note))


def check_tables(registry: EngineRegistry, tables: Mapping[str, EngineTable]) -> list[str]:
    """Check the configuration of the installed engines; return notes about the others.

    Raises
    ------
    SettingError
        The name of an engine looks mistyped, or an option is unknown or its value is
        not valid.
    """
    notes = _unknown_tables(registry, tables, ())
    for name, table in tables.items():
        if table.python is not None:
            continue  # another interpreter runs it; its options are not known here
        try:
            engine = registry.ready_listing(name)
        except (EngineError, UnknownEngineError):
            continue  # its options are unknown; its listing says what is wrong
        _resolved(engine, {}, table)
    return notes


def _with_interpreters(
    choices: Sequence[EngineChoice], interpreters: Mapping[str, str]
) -> list[EngineChoice]:
    """Add its interpreter to each choice; one for its label comes before one for its name."""
    labels, names = {choice.label for choice in choices}, {choice.name for choice in choices}
    for key in interpreters:
        if key not in labels | names:
            raise UsageError(
                f"an interpreter is set for {key!r}, which is not one of the chosen engines.",
                hint=f"Chosen engines: {', '.join(map(str, choices))}.",
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


def _remote_case(case: Case, python: str, table: EngineTable) -> Case:
    """Complete a case that another interpreter runs."""
    engine = query_interpreter(python, case.engine)
    return _complete(engine, attrs.evolve(case, remote_engine=engine), table)


def _every_ready_engine(
    registry: EngineRegistry,
    device: str,
    interpreters: Mapping[str, str],
    tables: Mapping[str, EngineTable],
) -> CaseSelection:
    cases, ready, notes, failures = [], {}, [], []
    not_run: list[str] = []
    for name, python in interpreters.items():
        case = Case(label=name, engine=name, display_name=name, device=device, requested=True)
        try:
            cases.append(_remote_case(case, python, tables.get(name, _NO_TABLE)))
        except EngineError as error:
            failures.append((case, error))
    for listing in registry.listings():
        if listing.name in interpreters:
            continue
        table = tables.get(listing.name, _NO_TABLE)
        if not table.is_enabled(otherwise=True):
            notes.append(f"engine {listing.name!r} is turned off in {table.origin}")
            continue
        if not table.is_enabled(otherwise=listing.info is None or listing.info.runs_by_default):
            if listing.state is EngineState.READY:
                not_run.append(listing.name)
            continue
        if listing.state is not EngineState.READY:
            notes.append(f"engine {listing.name!r} is {listing.state}: {listing.reason}")
            continue
        engine = registry.ready_listing(listing.name)
        ready[engine.name] = engine
        case = Case(label=engine.name, engine=engine.name, display_name=engine.name, device=device)
        cases.append(_complete(engine, case, table))
    if not cases:
        raise UsageError(
            "no engine is ready.",
            hint="\n".join([*notes, "Install one: pip install lexer-torch lexer-ort"]),
        )
    # Engines that run the torch model come first: the others are compared with them.
    runs_the_model = {name for name, engine in ready.items() if "torch" in engine.info.formats}
    cases.sort(key=lambda case: case.engine not in runs_the_model)
    return CaseSelection(
        cases=tuple(cases),
        engines=ready,
        notes=tuple(notes),
        failures=tuple(failures),
        not_run=tuple(not_run),
    )


_NO_TABLE = EngineTable()


def _resolved(
    engine: ReadyEngine | RemoteEngine, chosen: Mapping[str, OptionValue], table: EngineTable
) -> tuple[str, dict[str, OptionValue]]:
    """Add the configured options to those of a choice; return the precision apart."""
    configured: dict[str, OptionValue] = {}
    for name, placed in table.options.items():
        # One by one, because each has its own origin for the error.
        precision, rest = _split(engine, {name: placed.value})
        checked = resolve_options(engine, rest, where=str(placed.origin))
        configured[name] = precision or checked[name]
    precision, options = _split(engine, {**configured, **chosen})
    return precision, resolve_options(engine, options)


def _split(
    engine: ReadyEngine | RemoteEngine, options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Take the precision out of options, unless it is an option of the engine's own."""
    rest = dict(options)
    if any(option.name == PRECISION for option in engine.info.options):
        return "", rest
    return precision_name(str(rest.pop(PRECISION, ""))), rest


def _unknown_tables(
    registry: EngineRegistry, tables: Mapping[str, EngineTable], elsewhere: Collection[str]
) -> list[str]:
    """Refuse a name that looks mistyped; return a note for any other that is not installed.

    A file in the home folder may configure an engine of other environments.
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
        notes.append(f"engine {name!r} in {table.origin} is not installed")
    return notes


_MISTYPED = 0.8


def _complete(engine: ReadyEngine | RemoteEngine, case: Case, table: EngineTable) -> Case:
    precision, options = _resolved(engine, case.options, table)
    return attrs.evolve(
        case,
        precision=precision,
        display_name=engine.info.display_name,
        options=options,
        engine_version=engine.version,
        engine_distribution=engine.distribution,
    )


def _refuse_equal_labels(cases: Sequence[Case]) -> None:
    for label, count in Counter(case.label for case in cases).items():
        if count > 1:
            raise UsageError(
                f"{count} rows have the same label {label!r}.",
                hint="Give each row its own label: "
                f"EngineChoice(…, label='…'), or --engine 'other={label}'.",
            )
