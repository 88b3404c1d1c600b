"""What did an earlier run of the same tuning decide?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results.report_data import ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration
    from lexer_core.tuning.plan import Plan

__all__ = ["check_same_model", "check_same_weights", "finished_before"]

_HOW_TO_RESUME = "Resume with the command that it was started with."

_FINAL = ("slower", "over_limit", "failed", "unsupported")
"""Fates that a resumed tuning does not look at again."""


def check_same_model(resumed: ReportData, model_name: str, input_options: Sequence[str]) -> None:
    """Refuse to go on with the tuning of another model, whose results would be mixed with it.

    Parameters
    ----------
    resumed
        The earlier run.
    model_name
        The name of the model.
    input_options
        Its inputs as on the command line; empty if they are not known.

    Raises
    ------
    UsageError
        The earlier run measured another model, or other inputs.
    """
    if resumed.model_name != model_name:
        raise UsageError(
            f"the run to resume measured the model {resumed.model_name!r}, not {model_name!r}.",
            hint=_HOW_TO_RESUME,
        )
    earlier, now = (" ".join(each) for each in (resumed.input_options, input_options))
    if earlier and now and earlier != now:
        raise UsageError(
            f"the run to resume has other inputs: {earlier}, not {now}.",
            hint=_HOW_TO_RESUME,
        )


def check_same_weights(resumed: ReportData, fingerprint: Mapping[str, str]) -> None:
    """Refuse to go on with a tuning whose model had other weights.

    Parameters
    ----------
    resumed
        The earlier run.
    fingerprint
        Digests of the model: of its weights or its file; others depend on the inputs.

    Raises
    ------
    UsageError
        The weights, or the contents of the file, are not the same.
    """
    for part, what in (("weights", "weights"), ("file", "contents")):
        earlier, now = resumed.model_fingerprint.get(part), fingerprint.get(part)
        if earlier and now and earlier != now:
            raise UsageError(
                f"the run to resume measured {resumed.model_name!r} with other {what}.",
                hint=f"Start a new tuning, or give the model the {what} that it had.",
            )


def finished_before(
    resumed: ReportData | None, plan: Plan, asked: Tuning
) -> dict[str, TuningConfiguration]:
    """Return the configurations that an earlier run has decided, by label.

    Those that it tried become part of the plan.

    Parameters
    ----------
    resumed
        Its report, if there is one.
    plan
        The configurations of this tuning.
    asked
        Goals, limits and axes of this tuning.

    Raises
    ------
    UsageError
        It was not the same tuning.
    """
    if resumed is None:
        return {}
    tuning = resumed.tuning
    if tuning is None:
        raise UsageError("the run to resume is not a tuning.")
    for what, mine, other in (
        ("goals", asked.goals, tuning.goals),
        ("limits", asked.limits, tuning.limits),
        ("axes", dict(asked.vary), dict(tuning.vary)),
    ):
        if mine != other:
            raise UsageError(
                f"the run to resume has other {what}: {other}, not {mine}.",
                hint=_HOW_TO_RESUME,
            )
    _take_over(tuning, plan)
    tried = tuning.configurations
    is_complete = len(tried) >= min(plan.size, plan.most) and not any(
        each.fate == "not_reached" for each in tried
    )
    return {each.label: each for each in tried if is_complete or each.fate in _FINAL}


def _take_over(tuning: Tuning, plan: Plan) -> None:
    """Add the configurations that were tried to the plan."""
    numbers = [each.number for each in tuning.configurations]
    if None in numbers and not plan.is_sampled:  # written before they had numbers
        numbers = list(range(plan.size))
    known = [number for number in numbers if number is not None and number < plan.size]
    labels = {each.label for each in tuning.configurations}
    is_missing_some = not plan.is_sampled and len(known) < plan.size
    if {plan.label(number) for number in known} != labels or is_missing_some:
        raise UsageError("the run to resume has other engines.", hint="Name the same engines.")
    plan.select(known)
