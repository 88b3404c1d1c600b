"""Which cases became slower, if old and new took turns?

Both take part in the same rounds, so the machine cancels in each round's ratio,
and one launch is enough; a saved run would need a reference workload and
several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_positive
from lexer_core.statistics.launches import LaunchVerdict, judge_slowdown
from lexer_core.statistics.looks import look_confidence
from lexer_core.statistics.ratios import RatioInterval, interval_of_ratio, log_ratio_centre
from lexer_core.statistics.verdicts import MIN_ROUNDS_FOR_VERDICT, holm_confidences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.statistics.robust_centre import RobustCentre
    from lexer_core.statistics.round_centres import RoundCentres

__all__ = ["Slowdown", "find_slowdowns"]


@frozen(kw_only=True)
class Slowdown:
    """New over old for one case, both measured in the same rounds; above 1 is slower.

    Parameters
    ----------
    ratio
        Its interval is corrected for the number of cases and looks. ``None`` if
        the two never shared a round.
    verdict
        As in :class:`~lexer_core.statistics.LaunchComparison`.
    reason
        Why there is no verdict; otherwise empty.
    """

    ratio: RatioInterval | None
    verdict: LaunchVerdict
    reason: str = ""


def find_slowdowns(
    cases: Mapping[str, tuple[RoundCentres, RoundCentres]],
    *,
    delta: float = 0.02,
    confidence: float = 0.95,
    min_rounds: int = MIN_ROUNDS_FOR_VERDICT,
    launches: int | None = None,
    look: int | None = None,
) -> dict[str, Slowdown]:
    """Compare new with old for each case, over the rounds that they share.

    Parameters
    ----------
    cases
        New and old by label: medians of rounds, or means for both.
    delta
        Relative slowdown that matters.
    confidence
        1 minus the error rate of the whole family of verdicts.
    min_rounds
        Common rounds below which there is a ratio but no verdict.
    launches
        Launches that the rounds come from: what launches differ by is then part
        of every interval. ``None``: the cases do not run in processes of their
        own.
    look
        Which look at running data this is, from 1, if the data decided when to
        stop (as for :func:`compare_cases`).

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
    The median of the rounds' log ratios (:func:`robust_centre`), as in
    :func:`~lexer_core.statistics.compare_cases`, read at the confidence that
    Holm's step-down method (1979) requires; its p-values are those of a ratio
    of 1.
    """
    check_fraction(confidence, "confidence")
    if not delta >= 0.0:
        raise StatisticsError(f"delta must not be below 0, got {delta!r}", problem="out_of_range")
    centres = {label: _centre(label, new, old, launches) for label, (new, old) in cases.items()}
    family = {
        label: centre
        for label, centre in centres.items()
        if centre is not None and centre.rounds >= min_rounds
    }
    of_look = confidence if look is None else look_confidence(confidence, look)
    p_values = [centre.smallest_error(_excludes_one) for centre in family.values()]
    levels = dict(zip(family, holm_confidences(p_values, of_look), strict=True))
    slowdowns = {}
    for label, centre in centres.items():
        ratio = None
        if centre is not None:
            ratio = interval_of_ratio(centre, levels.get(label, confidence))
        slowdowns[label] = Slowdown(
            ratio=ratio,
            verdict=_verdict(ratio, delta) if label in family else "INCONCLUSIVE",
            reason="" if label in family else _refusal(centre, min_rounds),
        )
    return slowdowns


def _centre(
    label: str, new: RoundCentres, old: RoundCentres, launches: int | None
) -> RobustCentre | None:
    check_positive(new.values, f"medians of the new {label}")
    check_positive(old.values, f"medians of the old {label}")
    return log_ratio_centre(new, old, launches)


def _refusal(centre: RobustCentre | None, min_rounds: int) -> str:
    if centre is None:
        return "never measured in the same round"
    return f"{centre.rounds} round{'' if centre.rounds == 1 else 's'}, {min_rounds} needed"


def _excludes_one(low: float, high: float) -> bool:
    return low > 0.0 or high < 0.0


def _verdict(ratio: RatioInterval | None, delta: float) -> LaunchVerdict:
    if ratio is None or ratio.low is None or ratio.high is None:
        return "INCONCLUSIVE"
    return judge_slowdown(ratio.estimate, ratio.low, ratio.high, delta)
