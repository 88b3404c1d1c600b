"""How far does one life of a process shift all its latencies?

Where memory came to lie, how threads were placed: a process keeps what it drew
at its start, so rounds within one launch say nothing about it. An interval from
one launch would cover too little without it.
"""

from __future__ import annotations

from lexer_core.errors import StatisticsError

__all__ = ["LAUNCH_SD", "launch_variance"]

LAUNCH_SD = 0.0025
"""Standard deviation of the logarithm of a latency between launches.

Measured as what is left of the spread of A/A ratios, each from two fresh
processes, when their spread within the rounds is taken away: 0.0011 for a
64→64 layer and 0.0024 for EfficientNet-Lite0, ONNXRuntime, 30 trials each
(docs/measuring.md). The larger one, rounded up.
"""


def launch_variance(launches: int) -> float:
    """Variance of a log ratio that comes from the launches of its two cases.

    Parameters
    ----------
    launches
        Launches of each case.

    Raises
    ------
    StatisticsError
        Fewer than one launch.
    """
    if launches < 1:
        raise StatisticsError(
            f"at least 1 launch is needed, got {launches}", problem="too_few_launches"
        )
    return 2.0 * LAUNCH_SD**2 / launches
