"""How do the base's models join the run of the new model?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.benchmark.hosted_models import hosted_model
from lexer_core.benchmark.saved_exports import SavedExports
from lexer_core.comparison.base_location import BaseLocation, remote_base_model
from lexer_core.comparison.rerun_plan import BASE_EXPORTS, BASE_MODEL, RerunPlan
from lexer_core.errors import UsageError
from lexer_core.model.model_input import adapt_model_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.outcome import RunOutcome
    from lexer_core.settings.table import Settings

__all__ = ["base_models", "split_run"]


def base_models(
    plan: RerunPlan,
    name: str,
    base_model: Any,
    input: object,
    settings: Settings,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> dict[str, ModelUnderTest]:
    """Return the models of the base that the plan needs, by the keys that its cases use.

    Parameters
    ----------
    plan
        Which case runs which model.
    name
        The base's name in messages.
    base_model
        The base's own model, or its location.
    input
        Example inputs.
    settings
        The effective settings.
    input_names, output_names
        Names that override those of the decorator or the model.

    Raises
    ------
    UsageError
        The base's model needs a separate process, but isolation is off; or it
        does not accept the inputs.
    """
    models: dict[str, ModelUnderTest] = {}
    if plan.exports:
        models[BASE_EXPORTS] = SavedExports(f"the models in {name}", plan.exports)
    if not any(case.model == BASE_MODEL for case in plan.selection.cases):
        return models
    if isinstance(base_model, BaseLocation):
        if settings.isolation != "process":
            raise UsageError(
                f"the base's TARGET {base_model.target!r} needs its own process, but isolation is "
                f"{settings.isolation!r}.",
                hint="Both models may have modules of the same name, which cannot share a process. "
                "Use isolation='process'.",
            )
        models[BASE_MODEL] = remote_base_model(
            base_model, input, input_names=input_names, output_names=output_names
        )
        return models
    adapted = adapt_model_input(
        base_model,
        input,
        input_names=input_names,
        output_names=output_names,
        dynamic_axes={},
    )
    models[BASE_MODEL] = hosted_model(adapted, input, title="base's model")
    return models


def split_run(run: RunOutcome, plan: RerunPlan) -> tuple[RunOutcome, RunOutcome]:
    """Split a run into that of the new model and that of the base's, with the base's labels."""
    labels = {base_label: label for label, base_label in plan.base_labels.items()}
    new = [outcome for outcome in run.cases if outcome.case.label not in labels]
    base = [
        attrs.evolve(outcome, case=attrs.evolve(outcome.case, label=labels[outcome.case.label]))
        for outcome in run.cases
        if outcome.case.label in labels
    ]
    orders = {
        number: tuple(label for label in order if label not in labels)
        for number, order in run.orders.items()
    }
    saved = tuple(model for model in run.models if not set(model.labels) & set(labels))
    # What is known of the base's model is the fingerprint of its TARGET, if that was built.
    target = run.other_fingerprints.get(BASE_MODEL, {})
    return (
        attrs.evolve(run, cases=tuple(new), orders=orders, models=saved),
        attrs.evolve(run, cases=tuple(base), orders={}, models=(), model_fingerprint=target),
    )
