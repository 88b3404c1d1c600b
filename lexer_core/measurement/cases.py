"""Which cases does a benchmark have?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.engines.choice import EngineChoice, parse_engine_choice, resolve_options
from lexer_core.engines.states import EngineState
from lexer_core.errors import EngineError, LexerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.records import OptionValue

__all__ = ["Case", "CaseSelection", "select_cases"]


@frozen(kw_only=True)
class Case:
    """Engine, device and options: one row of the table, as a plain value.

    ``requested`` says whether the engine was asked for by name.
    """

    label: str
    engine: str
    display_name: str
    device: str
    options: Mapping[str, OptionValue] = field(factory=dict)
    engine_version: str | None = None
    engine_distribution: str = ""
    requested: bool = False


@frozen(kw_only=True)
class CaseSelection:
    """The cases to run, those that cannot be, and what to say about the rest."""

    cases: tuple[Case, ...]
    engines: Mapping[str, Engine]
    failures: tuple[tuple[Case, LexerError], ...] = ()
    notes: tuple[str, ...] = ()


def select_cases(
    registry: EngineRegistry, engines: Sequence[str | EngineChoice] | None, device: str
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

    Raises
    ------
    UnknownEngineError
        No installed plugin provides an engine of that name.
    SettingError
        An option is unknown or has a wrong value.
    UsageError
        Two rows would have the same label, or there is no engine at all.
    """
    if engines is None:
        return _every_ready_engine(registry, device)
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
    names = Counter(choice.name for choice in choices)
    cases, ready, failures = [], {}, []
    for choice in choices:
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
            engine = registry.get(choice.name)
        except EngineError as error:
            failures.append((case, error))
            continue
        ready[choice.name] = engine
        cases.append(_of(engine, case, resolve_options(engine, choice.options)))
    _refuse_equal_labels([*cases, *(case for case, _ in failures)])
    return CaseSelection(cases=tuple(cases), engines=ready, failures=tuple(failures))


def _every_ready_engine(registry: EngineRegistry, device: str) -> CaseSelection:
    cases, ready, notes = [], {}, []
    for listing in registry.listings():
        if listing.state is not EngineState.READY:
            notes.append(f"engine {listing.name!r} is {listing.state}: {listing.reason}")
            continue
        engine = registry.get(listing.name)
        if not engine.info.runs_by_default:
            continue
        ready[engine.name] = engine
        case = Case(label=engine.name, engine=engine.name, display_name=engine.name, device=device)
        cases.append(_of(engine, case, resolve_options(engine, {})))
    if not cases:
        raise UsageError(
            "no engine is ready.",
            hint="\n".join([*notes, "Install one: pip install lexer-torch lexer-ort"]),
        )
    # What runs the model itself comes first: the others are compared with it.
    cases.sort(key=lambda case: "torch" not in ready[case.engine].info.formats)
    return CaseSelection(cases=tuple(cases), engines=ready, notes=tuple(notes))


def _of(engine: Engine, case: Case, options: Mapping[str, OptionValue]) -> Case:
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
