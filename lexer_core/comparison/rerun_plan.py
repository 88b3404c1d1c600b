"""Which rows of a base are measured again, and with which model?

The report of the base contains its exported models. Other models, such as a
Torch module, are created from the base's own TARGET, if that is given. Every row
runs twice: with the base's model and with the new one.
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

    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.engines.states import ReadyEngine
    from lexer_core.records import OptionValue
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.saved_model import SavedModel

__all__ = ["BASE_EXPORTS", "BASE_MODEL", "RerunPlan", "engine_options", "plan_rerun"]

BASE_EXPORTS = "base"
"""The key of the base's exported models in a run."""

BASE_MODEL = "base's TARGET"
"""The key of the base's own model in a run."""


@frozen(kw_only=True, eq=False)
class RerunPlan:
    """The cases to run, and why other rows of the base do not run.

    Parameters
    ----------
    selection
        The cases of the new model, each followed by that of the base's model.
    base_labels
        For each row of the base that runs again, the label of the case with the
        base's model.
    exports
        The base's exported models, by the label of the case that runs each.
    new_only
        Rows measured with the new model only, and why.
    skipped
        Rows measured with neither model, and why.
    """

    selection: CaseSelection
    base_labels: Mapping[str, str] = field(factory=dict)
    exports: Mapping[str, PreparedModel] = field(factory=dict)
    new_only: Mapping[str, str] = field(factory=dict)
    skipped: Mapping[str, str] = field(factory=dict)


def plan_rerun(
    base: BenchmarkReport, registry: EngineRegistry, *, with_model: bool, name: str
) -> RerunPlan:
    """Decide how to measure each row of a base again.

    Parameters
    ----------
    base
        The saved benchmark, with its exported models.
    registry
        The installed engines.
    with_model
        Whether the base's own model is available.
    name
        The base's name in messages.

    Raises
    ------
    UsageError
        No row of the base can be measured here.
    """
    several = list(dict.fromkeys(row.model for row in base.results if row.model))
    if several:
        raise UsageError(
            f"{name} has several models ({', '.join(several)}), and a rerun measures one.",
            hint="Save a benchmark of each model, or compare two saved runs.",
        )
    cases: list[Case] = []
    engines: dict[str, ReadyEngine] = {}
    failures: list[tuple[Case, LexerError]] = []
    base_labels, exports, new_only, skipped = {}, {}, {}, {}
    labels = {row.label for row in base}
    for row in base.results:
        if row.status != "ok":
            reason = "" if row.error is None else f": {row.error.reason}"
            skipped[row.label] = f"it has no results in the base{reason}"
            continue
        try:
            selection = _select(registry, row)
        except LexerError as error:
            failures.append((_case_of(row), error))
            skipped[row.label] = error.message
            continue
        case = selection.cases[0]
        cases.append(case)
        engines |= selection.engines
        saved = _saved_model(base.models, row)
        if saved is None and not with_model:
            new_only[row.label] = _why_no_model(row, name)
            continue
        base_label = _unused(f"{row.label} (base)", labels)
        labels.add(base_label)
        base_labels[row.label] = base_label
        if saved is not None:
            exports[base_label] = _prepared(saved)
        model = BASE_MODEL if saved is None else BASE_EXPORTS
        cases.append(attrs.evolve(case, label=base_label, model=model, paired_with=row.label))
    if not cases:
        raise UsageError(
            f"no row of {name} can be measured here.",
            hint="\n".join(f"{label}: {reason}" for label, reason in skipped.items()),
        )
    return RerunPlan(
        selection=CaseSelection(cases=tuple(cases), engines=engines, failures=tuple(failures)),
        base_labels=base_labels,
        exports=exports,
        new_only=new_only,
        skipped=skipped,
    )


def _select(registry: EngineRegistry, row: BenchmarkResult) -> CaseSelection:
    """Select the row's engine, and check that it still accepts the row's options.

    Raises
    ------
    LexerError
        The engine is not installed or not ready, or no longer accepts the options.
    """
    case = _case_of(row)
    python, _, _ = row.interpreter.rpartition(" (")
    choice = EngineChoice(row.engine_name, case.options, label=row.label, python=python)
    selection = select_cases(registry, [choice], row.device_name)
    for _, error in selection.failures:
        raise error
    case = attrs.evolve(selection.cases[0], precision=row.precision)
    return attrs.evolve(selection, cases=(case,))


def _case_of(row: BenchmarkResult) -> Case:
    return Case(
        label=row.label,
        engine=row.engine_name,
        display_name=row.engine,
        device=row.device_name,
        options=engine_options(row),
        precision=row.precision,
        requested=True,
    )


def engine_options(row: BenchmarkResult) -> dict[str, OptionValue]:
    """Return the engine options of a row; JSON keeps their types."""
    return {
        name: value
        for name, value in row.options.items()
        if isinstance(value, (bool, int, float, str))
    }


def _saved_model(models: Sequence[SavedModel], row: BenchmarkResult) -> SavedModel | None:
    return next((model for model in models if row.label in model.labels), None)


def _why_no_model(row: BenchmarkResult, name: str) -> str:
    if row.format == "torch":
        return f"{name} does not contain the Torch model; pass it as the base's TARGET"
    return f"{name} was saved without the model of this row"


def _prepared(saved: SavedModel) -> PreparedModel:
    """Wrap a saved model as if it had just been exported."""
    return PreparedModel(
        exported=ExportedModel(
            format=saved.format,
            path=saved.files[0],
            inputs=saved.inputs,
            outputs=saved.outputs,
            size_bytes=sum(file.stat().st_size for file in saved.files),
            exporter=saved.exporter,
            precision=saved.precision,
        )
    )


def _unused(label: str, taken: set[str]) -> str:
    while label in taken:
        label += "'"
    return label
