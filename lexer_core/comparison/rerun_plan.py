"""Which rows of a base are measured again, and from which model?

The base's exported models are in its report; what the report does not hold (a
live Torch module never is) is made from the base's own TARGET, where that is
given. Every row is run twice, the base's model beside the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.benchmark.cases import Case, CaseSelection, select_cases
from lexer_core.benchmark.outcome import PreparedModel
from lexer_core.engines.choice import EngineChoice
from lexer_core.errors import LexerError, UsageError
from lexer_core.records import ExportedModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.saved_model import SavedModel

__all__ = ["BASE_EXPORTS", "BASE_MODEL", "RerunPlan", "plan_rerun"]

BASE_EXPORTS = "base"
"""Key of the base's exported models in a run."""

BASE_MODEL = "base's TARGET"
"""Key of the base's own model in a run."""


@frozen(kw_only=True, eq=False)
class RerunPlan:
    """What is run, and what is said of the rows that are not.

    Parameters
    ----------
    selection
        The cases: those of the new model, each followed by its base's.
    partners
        Per row of the base: the label of the case that runs the base's model.
    exports
        The base's exported models by the label of the case that runs each.
    not_again
        Rows of which the new model is measured and the base's is not: why.
    not_at_all
        Rows of which neither can be measured: why.
    """

    selection: CaseSelection
    partners: Mapping[str, str] = field(factory=dict)
    exports: Mapping[str, PreparedModel] = field(factory=dict)
    not_again: Mapping[str, str] = field(factory=dict)
    not_at_all: Mapping[str, str] = field(factory=dict)


def plan_rerun(
    base: BenchmarkReport, registry: EngineRegistry, *, with_model: bool, name: str
) -> RerunPlan:
    """Decide for each row of a base how it is measured again.

    Parameters
    ----------
    base
        The saved benchmark, with its exported models.
    registry
        The engines that are here.
    with_model
        Whether the base's own model is at hand.
    name
        What the base is called in messages.

    Raises
    ------
    UsageError
        No row of the base can be measured here.
    """
    cases: list[Case] = []
    engines: dict[str, Engine] = {}
    failures: list[tuple[Case, LexerError]] = []
    partners, exports, not_again, not_at_all = {}, {}, {}, {}
    labels = {row.label for row in base}
    for row in base:
        if row.status != "ok":
            reason = "" if row.error is None else f": {row.error.reason}"
            not_at_all[row.label] = f"it has no numbers in the base{reason}"
            continue
        try:
            found = _find(registry, row)
        except LexerError as error:
            failures.append((_case_of(row), error))
            not_at_all[row.label] = error.message
            continue
        case = found.cases[0]
        cases.append(case)
        engines |= found.engines
        kept = _kept(base.models, row)
        if kept is None and not with_model:
            not_again[row.label] = _why_not(row, name)
            continue
        partner = _unused(f"{row.label} (base)", labels)
        labels.add(partner)
        partners[row.label] = partner
        if kept is not None:
            exports[partner] = _prepared(kept)
        model = BASE_MODEL if kept is None else BASE_EXPORTS
        cases.append(attrs.evolve(case, label=partner, model=model, beside=row.label))
    if not cases:
        raise UsageError(
            f"no row of {name} can be measured here.",
            hint="\n".join(f"{label}: {reason}" for label, reason in not_at_all.items()),
        )
    return RerunPlan(
        selection=CaseSelection(cases=tuple(cases), engines=engines, failures=tuple(failures)),
        partners=partners,
        exports=exports,
        not_again=not_again,
        not_at_all=not_at_all,
    )


def _find(registry: EngineRegistry, row: BenchmarkResult) -> CaseSelection:
    """Find the row's engine here, and check that it still takes the row's options.

    Raises
    ------
    LexerError
        It is not here, not ready, or takes other options now.
    """
    case = _case_of(row)
    python, _, _ = row.interpreter.rpartition(" (")
    choice = EngineChoice(row.engine_name, case.options, label=row.label, python=python)
    found = select_cases(registry, [choice], row.device_name)
    for _, error in found.failures:
        raise error
    return attrs.evolve(found, cases=(attrs.evolve(found.cases[0], precision=row.precision),))


def _case_of(row: BenchmarkResult) -> Case:
    return Case(
        label=row.label,
        engine=row.engine_name,
        display_name=row.engine,
        device=row.device_name,
        # A saved report holds options as JSON does, which are the types that they have.
        options={
            name: value
            for name, value in row.options.items()
            if isinstance(value, (bool, int, float, str))
        },
        precision=row.precision,
        requested=True,
    )


def _kept(models: Sequence[SavedModel], row: BenchmarkResult) -> SavedModel | None:
    return next((model for model in models if row.label in model.labels), None)


def _why_not(row: BenchmarkResult, name: str) -> str:
    if row.format == "torch":
        return f"{name} does not hold a Torch model; give the base's TARGET to measure it again"
    return f"{name} was saved without the model of this row"


def _prepared(kept: SavedModel) -> PreparedModel:
    """Take a model of the base for what an export would have made."""
    return PreparedModel(
        exported=ExportedModel(
            format=kept.format,
            path=kept.files[0],
            inputs=kept.inputs,
            outputs=kept.outputs,
            size_bytes=sum(file.stat().st_size for file in kept.files),
            exporter=kept.exporter,
        )
    )


def _unused(label: str, taken: set[str]) -> str:
    while label in taken:
        label += "'"
    return label
