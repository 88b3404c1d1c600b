"""How much do latencies differ from one process start to the next?

A process keeps its memory layout and thread placement, so the rounds of one
launch cannot show how much these matter. Without this variance, the interval of
a single launch would be too narrow.
"""

from __future__ import annotations

from lexer_core.errors import StatisticsError

__all__ = ["LAUNCH_SD", "launch_variance"]

LAUNCH_SD = 0.0025
"""Standard deviation of the logarithm of a latency between launches.

Measured as the spread of A/A ratios, each from two new processes, that the
spread within the rounds does not explain: 0.0011 for a
64→64 layer and 0.0024 for EfficientNet-Lite0, ONNXRuntime, 30 trials each
(docs/measuring.md). The larger one, rounded up.
"""


def launch_variance(launches: int) -> float:
    """Return the variance of a log ratio due to the launches of its two cases.

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
