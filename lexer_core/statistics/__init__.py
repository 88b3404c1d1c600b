"""What do the samples say?

Pure functions from arrays to frozen records: no file, no clock, no runtime.
They work in the unit of their input (Lexer gives seconds); ratios, shares and
autocorrelations are dimensionless. Input that cannot be analysed raises
:class:`~lexer_core.errors.StatisticsError`; a number that the samples do not
carry comes without its interval and with a note that says what is missing.

One case
    :func:`summarise`, :func:`percentile_intervals`, :func:`throughput`,
    :func:`round_medians`, :func:`round_means`, :func:`smallest_effective_count`
Several cases that took turns
    :func:`ratio_interval`, :func:`compare_cases`, :func:`holm_adjust`,
    :func:`holm_confidences`, :func:`align_rounds`
When to start and when to stop
    :func:`find_steady_state`, :func:`plan_warm_up`, :func:`check_stop`
Old and new
    :func:`compare_launches` of runs that were saved, :func:`find_slowdowns` of one run
Noise
    :func:`diagnose`, :func:`order_effect`
"""

from __future__ import annotations

from lexer_core.statistics.diagnosis import Diagnosis, OrderEffect, diagnose, order_effect
from lexer_core.statistics.launches import LaunchComparison, LaunchVerdict, compare_launches
from lexer_core.statistics.percentiles import (
    DEFAULT_PERCENTS,
    PercentileInterval,
    percentile_intervals,
    smallest_effective_count,
)
from lexer_core.statistics.ratios import RatioInterval, ratio_interval
from lexer_core.statistics.round_centres import (
    RoundCentres,
    align_rounds,
    round_means,
    round_medians,
)
from lexer_core.statistics.slowdowns import Slowdown, find_slowdowns
from lexer_core.statistics.steady_state import (
    SteadyState,
    WarmUpPlan,
    find_steady_state,
    plan_warm_up,
)
from lexer_core.statistics.stopping import StoppingRule, StoppingState, StopReason, check_stop
from lexer_core.statistics.summary import Summary, summarise, throughput
from lexer_core.statistics.verdicts import (
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
    "CaseComparison",
    "Comparisons",
    "Diagnosis",
    "LaunchComparison",
    "LaunchVerdict",
    "OrderEffect",
    "PercentileInterval",
    "RatioInterval",
    "RoundCentres",
    "Slowdown",
    "Standing",
    "SteadyState",
    "StopReason",
    "StoppingRule",
    "StoppingState",
    "Summary",
    "Verdict",
    "WarmUpPlan",
    "align_rounds",
    "check_stop",
    "compare_cases",
    "compare_launches",
    "diagnose",
    "find_slowdowns",
    "find_steady_state",
    "holm_adjust",
    "holm_confidences",
    "order_effect",
    "percentile_intervals",
    "plan_warm_up",
    "ratio_interval",
    "round_means",
    "round_medians",
    "smallest_effective_count",
    "summarise",
    "throughput",
]
