"""How much do latencies differ from one process start to the next?

A process keeps its memory layout and thread placement, so the rounds of one
launch cannot show how much these matter. Without this variance, the interval of
a single launch would be too narrow.
"""

from __future__ import annotations

from lexer_core.errors import StatisticsError

__all__ = ["LAUNCH_SD", "SHORT_CALL_LAUNCH_SD", "launch_sd", "launch_variance"]

LAUNCH_SD = 0.0025
"""Standard deviation of the logarithm of a latency between launches.

Measured as the spread of A/A ratios, each from two new processes, that the spread
within the rounds does not explain: 0.0024 for EfficientNet-Lite0 (30 trials),
ONNXRuntime, November 2026 (docs/measuring.md).
"""

SHORT_CALL_LAUNCH_SD = 0.004
"""The same for calls of microseconds, where the memory layout matters more.

A 64→64 layer, 50 trials: many ratios are 0.6 % from 1, in either direction.
"""

_SHORT_CALL = 1e-4
"""Calls below this are short, in seconds. Layouts made no difference at 160 µs."""


def launch_sd(call_seconds: float) -> float:
    """Return the standard deviation between launches of a case's log latency.

    Parameters
    ----------
    call_seconds
        A typical call.
    """
    return SHORT_CALL_LAUNCH_SD if call_seconds < _SHORT_CALL else LAUNCH_SD


def launch_variance(launches: int, a: float, b: float) -> float:
    """Return the variance of a log ratio due to the launches of its two cases.

    Parameters
    ----------
    launches
        Launches of each case.
    a, b
        A typical call of each, in seconds.

    Raises
    ------
    StatisticsError
        Fewer than one launch.
    """
    if launches < 1:
        raise StatisticsError(
            f"at least 1 launch is needed, got {launches}", problem="too_few_launches"
        )
    return (launch_sd(a) ** 2 + launch_sd(b) ** 2) / launches
