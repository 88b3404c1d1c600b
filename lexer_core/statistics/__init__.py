"""What do the samples say?

Pure functions from arrays to frozen records, without files, clocks or runtimes.
They work in the unit of their input (Lexer uses seconds); ratios, shares and
autocorrelations are dimensionless. Input that cannot be analysed raises
:class:`~lexer_core.errors.StatisticsError`; a number that the samples do not
support has no interval, and a note says what is missing.

One case
    :func:`summarise`, :func:`percentile_intervals`, :func:`throughput`,
    :func:`round_medians`, :func:`round_means`, :func:`smallest_effective_count`,
    :func:`share_interval`
Cases that took turns
    :func:`robust_centre`, :func:`ratio_interval`, :func:`compare_cases`,
    :func:`compared_by_means`, :func:`holm_adjust`, :func:`holm_confidences`,
    :func:`align_rounds`
When to start and when to stop
    :func:`judge_warm_up`, :func:`check_stop`, :func:`weigh_suspicions`,
    :func:`next_look_rounds`, :func:`look_index`, :func:`look_confidence`
Many configurations
    :func:`judge_race`, :func:`next_race_rounds`
Old and new
    :func:`compare_launches` for saved runs, :func:`find_slowdowns` within one run
Noise
    :func:`diagnose`, :func:`order_effect`, :func:`position_effect`
"""

from __future__ import annotations

from lexer_core.statistics.diagnosis import Diagnosis, OrderEffect, diagnose, order_effect
from lexer_core.statistics.launches import LaunchComparison, LaunchVerdict, compare_launches
from lexer_core.statistics.looks import look_confidence, look_index, next_look_rounds
from lexer_core.statistics.percentiles import (
    DEFAULT_PERCENTS,
    PercentileInterval,
    percentile_intervals,
    smallest_effective_count,
)
from lexer_core.statistics.position import position_effect
from lexer_core.statistics.race import (
    Beaten,
    Margin,
    RaceRule,
    RaceState,
    judge_race,
    next_race_rounds,
)
from lexer_core.statistics.ratios import RatioInterval, ratio_interval
from lexer_core.statistics.robust_centre import RobustCentre, robust_centre
from lexer_core.statistics.round_centres import (
    RoundCentres,
    align_rounds,
    compared_by_means,
    round_means,
    round_medians,
)
from lexer_core.statistics.round_warm_up import RoundWarmUp, judge_warm_up
from lexer_core.statistics.shares import ShareInterval, share_interval
from lexer_core.statistics.slowdowns import Slowdown, find_slowdowns
from lexer_core.statistics.stopping import StoppingRule, StoppingState, StopReason, check_stop
from lexer_core.statistics.summary import Summary, summarise, throughput
from lexer_core.statistics.suspicions import Suspicion, weigh_suspicions
from lexer_core.statistics.verdicts import (
    MIN_ROUNDS_FOR_VERDICT,
    CaseComparison,
    Comparisons,
    Standing,
    Verdict,
    compare_cases,
    holm_adjust,
    holm_confidences,
)

__all__ = [
    "DEFAULT_PERCENTS",
    "MIN_ROUNDS_FOR_VERDICT",
    "Beaten",
    "CaseComparison",
    "Comparisons",
    "Diagnosis",
    "LaunchComparison",
    "LaunchVerdict",
    "Margin",
    "OrderEffect",
    "PercentileInterval",
    "RaceRule",
    "RaceState",
    "RatioInterval",
    "RobustCentre",
    "RoundCentres",
    "RoundWarmUp",
    "ShareInterval",
    "Slowdown",
    "Standing",
    "StopReason",
    "StoppingRule",
    "StoppingState",
    "Summary",
    "Suspicion",
    "Verdict",
    "align_rounds",
    "check_stop",
    "compare_cases",
    "compare_launches",
    "compared_by_means",
    "diagnose",
    "find_slowdowns",
    "holm_adjust",
    "holm_confidences",
    "judge_race",
    "judge_warm_up",
    "look_confidence",
    "look_index",
    "next_look_rounds",
    "next_race_rounds",
    "order_effect",
    "percentile_intervals",
    "position_effect",
    "ratio_interval",
    "robust_centre",
    "round_means",
    "round_medians",
    "share_interval",
    "smallest_effective_count",
    "summarise",
    "throughput",
    "weigh_suspicions",
]
