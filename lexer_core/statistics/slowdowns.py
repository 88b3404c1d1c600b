"""Which cases have become slower, where old and new took turns?

Both met the same rounds, so the machine cancels in each round's ratio, and one
launch is enough: a saved run would need a canary and several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_positive
from lexer_core.statistics.distributions import t_two_sided_p
from lexer_core.statistics.estimates import MeanEstimate, estimate_mean
from lexer_core.statistics.launch_effect import launch_variance
from lexer_core.statistics.launches import judge_slowdown
from lexer_core.statistics.ratios import RatioInterval, interval_of_log_mean
from lexer_core.statistics.round_centres import align_rounds
from lexer_core.statistics.verdicts import MIN_ROUNDS_FOR_VERDICT, holm_confidences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.statistics.round_centres import RoundCentres

__all__ = ["Slowdown", "find_slowdowns"]


@frozen(kw_only=True)
class Slowdown:
    """New over old for one case, both measured in the same rounds; above 1 is slower.

    Parameters
    ----------
    ratio
        Its interval is corrected for the number of cases. ``None`` where the
        two never shared a round.
    verdict
        As in :class:`~lexer_core.statistics.LaunchComparison`.
    reason
        Why the verdict is withheld; otherwise empty.
    """

    ratio: RatioInterval | None
    verdict: Literal["REGRESSION", "IMPROVED", "OK", "INCONCLUSIVE"]
    reason: str = ""


def find_slowdowns(
    cases: Mapping[str, tuple[RoundCentres, RoundCentres]],
    *,
    delta: float = 0.02,
    confidence: float = 0.95,
    min_rounds: int = MIN_ROUNDS_FOR_VERDICT,
    launches: int | None = None,
) -> dict[str, Slowdown]:
    """Compare the new with the old of each case over the rounds that they share.

    Parameters
    ----------
    cases
        Per label the new and the old: medians of rounds, or means for both.
    delta
        Relative slowdown that matters.
    confidence
        1 minus the error rate of the whole family of verdicts.
    min_rounds
        Common rounds below which there is a ratio but no verdict.
    launches
        Launches that the rounds come from: what launches differ by is then part
        of every interval. ``None``: the cases do not live in processes.

    Returns
    -------
    dict
        In the order of ``cases``.

    Raises
    ------
    StatisticsError
        Medians that are empty, NaN, infinite or not above zero; a delta below
        0; a confidence out of range.

    Notes
    -----
    A paired t interval on the logarithms, as in
    :func:`~lexer_core.statistics.compare_cases`, read at the confidence that
    Holm's step-down method (1979) asks for: its probabilities are those of a
    ratio of 1.
    """
    check_fraction(confidence, "confidence")
    if not delta >= 0.0:
        raise StatisticsError(f"delta must not be below 0, got {delta!r}", problem="out_of_range")
    unseen = 0.0 if launches is None else launch_variance(launches)
    means = {label: _log_mean(label, new, old, unseen) for label, (new, old) in cases.items()}
    refusals = {label: _refusal(mean, min_rounds) for label, mean in means.items()}
    judged = [label for label, refusal in refusals.items() if not refusal]
    levels = dict(
        zip(
            judged,
            holm_confidences([_p(means[label]) for label in judged], confidence),
            strict=True,
        )
    )
    found = {}
    for label, mean in means.items():
        ratio = None
        if mean is not None:
            ratio = interval_of_log_mean(mean, levels.get(label, confidence))
        if label not in levels:
            found[label] = Slowdown(ratio=ratio, verdict="INCONCLUSIVE", reason=refusals[label])
            continue
        assert ratio is not None
        assert ratio.low is not None
        assert ratio.high is not None
        found[label] = Slowdown(
            ratio=ratio, verdict=judge_slowdown(ratio.estimate, ratio.low, ratio.high, delta)
        )
    return found


def _log_mean(
    label: str, new: RoundCentres, old: RoundCentres, unseen: float
) -> MeanEstimate | None:
    check_positive(new.values, f"medians of the new {label}")
    check_positive(old.values, f"medians of the old {label}")
    try:
        first, second = align_rounds(new, old)
    except StatisticsError as error:
        if error.problem != "no_common_rounds":
            raise
        return None
    return estimate_mean(np.log(first / second)).with_variance(unseen)


def _refusal(mean: MeanEstimate | None, min_rounds: int) -> str:
    if mean is None:
        return "never measured in the same round"
    needed = max(min_rounds, 2)
    if mean.rounds < needed:
        return f"{mean.rounds} round{'' if mean.rounds == 1 else 's'}, {needed} needed"
    return ""


def _p(mean: MeanEstimate | None) -> float:
    """Probability of a ratio that far from 1, or farther, if it were 1."""
    assert mean is not None
    assert mean.standard_error is not None
    if mean.standard_error == 0.0:
        return float(mean.mean == 0.0)
    return t_two_sided_p(mean.mean / mean.standard_error, mean.degrees)
