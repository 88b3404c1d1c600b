"""Is the latency steady, and from which call on?

The start of a window is truncated where the mean of the rest is most precise
(MSER-5: White 1997, made robust here); then the two halves of the rest have to
agree. A latency that never settles is a valid result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_positive
from lexer_core.statistics.robust import local_spread, upper_fence

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["SteadyState", "WarmUpPlan", "find_steady_state", "plan_warm_up"]

_BATCH = 5
_FEW_CALLS = 60
_FEWEST_CALLS = 12
_BLOCKS = 20
_LEAST_DRIFT = 0.02
_LEAST_ERRORS = 3.0
_GROWTH = 4
_SPENT = 0.95
_FIRST_WINDOW = 1.5


@frozen(kw_only=True)
class SteadyState:
    """Whether a window of warm-up calls is steady.

    Parameters
    ----------
    calls
        Calls in the window.
    seconds
        Their sum.
    drop
        Calls to drop at the start of the window: 5 or more, but never more
        than there are.
    needs_more
        The truncation point is as late as the rule allows: use a window twice
        as long, if there is time.
    steady
        Whether the rest is steady; ``None`` if it is too short to tell.
    drift
        Second half of the rest over its first half, minus 1; dimensionless.
    reason
        Why ``steady`` is not ``True``; otherwise empty.
    """

    calls: int
    seconds: float
    drop: int
    needs_more: bool
    steady: bool | None
    drift: float
    reason: str = ""


@frozen(kw_only=True)
class WarmUpPlan:
    """The next step of the warm-up.

    Parameters
    ----------
    calls
        Calls to make before asking again; 0 when warm-up is over.
    state
        The state of the window, once it is long enough; always present when
        ``calls`` is 0.
    few_calls
        The time limit allowed fewer calls than usual; the result should say so.
    """

    calls: int
    state: SteadyState | None
    few_calls: bool = False


def find_steady_state(latencies: npt.ArrayLike, *, min_drop: int = 5) -> SteadyState:
    """Judge one window of calls.

    Parameters
    ----------
    latencies
        Seconds per call, shape ``(n,)``, in the order in which they were taken.
    min_drop
        Calls that are always dropped.

    Returns
    -------
    SteadyState
        ``steady`` is ``None`` for fewer than 12 calls.

    Raises
    ------
    StatisticsError
        Latencies that are empty, NaN, infinite or not above zero; a negative
        ``min_drop``.

    Notes
    -----
    MSER-5 minimises Var(rest) / len(rest) over batches of 5 calls, truncating
    half of them at most. A single stall would dominate means of raw latencies,
    so the logarithms are clipped at the median of the second half plus five
    median absolute deviations before they are batched, and the share of
    clipped calls goes through the same rule: a start with frequent
    spikes has a steady centre, but not a steady tail. The later of the two
    points counts.

    The halves disagree when they differ by more than 2 % and by more than 3
    standard errors. That error comes from the differences of neighbouring
    blocks, because a step or a drift would inflate any other measure of spread
    and so hide itself.
    """
    if min_drop < 0:
        raise StatisticsError(
            f"min_drop must not be below 0, got {min_drop}", problem="out_of_range"
        )
    array = check_positive(latencies, "warm-up latencies")
    count = array.size
    seconds = float(array.sum())
    if count < _FEWEST_CALLS:
        return SteadyState(
            calls=count,
            seconds=seconds,
            drop=min(min_drop, count),
            needs_more=False,
            steady=None,
            drift=0.0,
            reason="too few calls to tell whether the latency is steady: "
            f"{count}, {_FEWEST_CALLS} needed",
        )
    # Long calls leave few of them: smaller batches, so that there are still twelve.
    batch = _BATCH if count >= _FEW_CALLS else count // _FEWEST_CALLS
    logs = np.log(array)
    fence = upper_fence(logs[count // 2 :])
    clipped = np.minimum(logs, fence)
    limit = count // batch // 2
    truncation = max(
        mser(batch_means(clipped, batch), limit),
        mser(batch_means((logs > fence).astype(np.float64), batch), limit),
    )
    drift, error = _compare_halves(logs[truncation * batch :], batch)
    relative = math.expm1(drift)
    moved = abs(relative) > _LEAST_DRIFT and abs(drift) > _LEAST_ERRORS * error
    return SteadyState(
        calls=count,
        seconds=seconds,
        drop=min(count, max(min_drop, truncation * batch)),
        needs_more=truncation >= limit,
        steady=not moved,
        drift=relative,
        reason=f"latency moved by {relative:+.1%} between the halves of the warm-up"
        if moved
        else "",
    )


def plan_warm_up(
    latencies: npt.ArrayLike,
    *,
    min_drop: int = 5,
    min_calls: int = 60,
    min_seconds: float = 1.0,
    max_seconds: float = 30.0,
) -> WarmUpPlan:
    """Return how many more warm-up calls to make, given those already made.

    Call it without latencies first, make as many calls as the plan says, append
    their latencies, and call it again until the plan says 0.

    Parameters
    ----------
    latencies
        Seconds per call of all warm-up calls so far, shape ``(n,)``; may be
        empty.
    min_drop
        Calls that are always dropped.
    min_calls, min_seconds
        The minimum window; both have to be reached.
    max_seconds
        The window stops growing here. Calls so long that this leaves fewer
        than ``min_calls`` of them are warmed up with fewer.

    Returns
    -------
    WarmUpPlan
        With the state of the last window when warm-up is over. A window is
        doubled while its truncation point is too late, and once if its halves
        disagree.

    Raises
    ------
    StatisticsError
        Latencies that are NaN, infinite or not above zero; limits out of
        range.
    """
    if not (min_calls >= 1 and 0.0 <= min_seconds <= max_seconds and max_seconds > 0.0):
        raise StatisticsError(
            "warm-up limits: at least 1 call, and 0 <= min_seconds <= max_seconds; got "
            f"{min_calls} calls, {min_seconds} s to {max_seconds} s",
            problem="out_of_range",
        )
    if np.size(latencies) == 0:
        # One call first: it may take a microsecond or a minute.
        return WarmUpPlan(calls=1, state=None)
    array = check_positive(latencies, "warm-up latencies")
    count = array.size
    seconds = float(array.sum())
    typical = float(np.median(array[count // 2 :]))
    affordable = math.floor((max_seconds - seconds) / typical)
    spent = seconds >= _SPENT * max_seconds or affordable < 1
    missing = max(min_calls - count, math.ceil((min_seconds - seconds) / typical))
    if missing > 0 and not spent:
        # The first calls say little about the next: approach the window in steps.
        return WarmUpPlan(calls=min(missing, affordable, _GROWTH * count), state=None)
    state = find_steady_state(array, min_drop=min_drop)
    # If halves disagree, warm-up may just have ended late; but a machine that
    # never settles must not use up the limit for every case.
    first = seconds < _FIRST_WINDOW * max(min_seconds, min_calls * typical)
    if (state.needs_more or (state.steady is False and first)) and not spent:
        return WarmUpPlan(calls=min(count, affordable), state=state)
    return WarmUpPlan(calls=0, state=state, few_calls=count < min_calls)


def batch_means(values: FloatArray, batch: int) -> FloatArray:
    """Return the mean of each full batch."""
    batches = values.size // batch
    means: FloatArray = values[: batches * batch].reshape(batches, batch).mean(axis=1)
    return means


def mser(batches: FloatArray, limit: int) -> int:
    """Return how many batches to truncate, at most ``limit``, to minimise Var(rest) / len(rest)."""
    centred = batches - batches.mean()
    remaining = np.arange(batches.size, 0, -1)
    sums = np.cumsum(centred[::-1])[::-1]
    squares = np.cumsum((centred * centred)[::-1])[::-1]
    criterion = (squares / remaining - (sums / remaining) ** 2) / remaining
    return int(np.argmin(criterion[: limit + 1]))


def _compare_halves(logs: FloatArray, batch: int) -> tuple[float, float]:
    """Return second half minus first half, and the standard error of the difference."""
    half = logs.size // 2
    # Each half has its own fence: a common one would pull a slow half down to
    # the level of a fast one, and they would agree.
    first, second = (np.minimum(part, upper_fence(part)) for part in (logs[:half], logs[-half:]))
    # Blocks long enough that correlation between calls matters little.
    block = max(batch, half // _BLOCKS)
    spread = local_spread(np.concatenate((first, second)), block)
    error = spread * math.sqrt(2.0 * block / half)
    return float(second.mean() - first.mean()), error
