"""How do the base's models come into the new one's run, and out of it again?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.benchmark.model_under_test import SavedExports, Subject
from lexer_core.comparison.rerun_plan import BASE_EXPORTS, BASE_MODEL, RerunPlan
from lexer_core.comparison.rerun_target import BaseTarget, model_of_base
from lexer_core.errors import UsageError
from lexer_core.model.lexer_metadata import metadata_of
from lexer_core.model.model_input import adapt_model_input, unwrap_compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.settings.table import Settings

__all__ = ["models_of_base", "part_run"]


def models_of_base(
    plan: RerunPlan,
    name: str,
    base_model: Any,
    input: object,
    settings: Settings,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> dict[str, Subject]:
    """Give the models of the base that the plan has use for, by the keys of its cases.

    Parameters
    ----------
    plan
        Which case runs which of them.
    name
        What the base is called in messages.
    base_model
        The base's own model, or where it is.
    input
        Example inputs.
    settings
        Those that hold.
    input_names, output_names
        Names in place of the decorator's or the model's own.

    Raises
    ------
    UsageError
        The base's model needs a process of its own, and may not have one; or it
        does not take the inputs.
    """
    others = {}
    if plan.exports:
        kept = SavedExports(name=f"the models in {name}", exports=plan.exports)
        others[BASE_EXPORTS] = Subject(kept, title="base")
    if not any(case.model == BASE_MODEL for case in plan.selection.cases):
        return others
    if isinstance(base_model, BaseTarget):
        if settings.isolation != "process":
            raise UsageError(
                f"the base's TARGET {base_model.text!r} needs a process of its own, and "
                f"isolation is {settings.isolation!r}.",
                hint="In one process, two modules of the same name would be one. "
                "Leave isolation out.",
            )
        made = model_of_base(base_model, input, input_names=input_names, output_names=output_names)
        others[BASE_MODEL] = Subject(made, title="base's TARGET")
        return others
    adapted = adapt_model_input(
        base_model,
        input,
        metadata_of(unwrap_compiled(base_model)),
        input_names=input_names,
        output_names=output_names,
        dynamic_axes={},
    )
    others[BASE_MODEL] = Subject(adapted, input, title="base's model")
    return others


def part_run(run: RunOutcome, plan: RerunPlan) -> tuple[RunOutcome, RunOutcome]:
    """Part a run into that of the new model and that of the base's, under the base's labels."""
    labels = {partner: label for label, partner in plan.partners.items()}
    new = [outcome for outcome in run.cases if outcome.case.label not in labels]
    again = [
        attrs.evolve(outcome, case=attrs.evolve(outcome.case, label=labels[outcome.case.label]))
        for outcome in run.cases
        if outcome.case.label in labels
    ]
    orders = {
        number: tuple(label for label in order if label not in labels)
        for number, order in run.orders.items()
    }
    kept = tuple(model for model in run.models if not set(model.labels) & set(labels))
    return (
        attrs.evolve(run, cases=tuple(new), orders=orders, models=kept),
        attrs.evolve(run, cases=tuple(again), orders={}, models=(), model_fingerprint={}),
    )
