"""Latencies as machines make them: seeded, vectorised, without a clock.

Each generator takes a numpy Generator and a shape ``(..., rounds, per_round)``
and returns seconds of that shape. The true centre is 1 ms unless said
otherwise; shifts and outliers are laid over it by the functions below.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, ...]

BASE = 1e-3


def lognormal(rng: np.random.Generator, shape: Shape, sigma: float = 0.1) -> FloatArray:
    return BASE * np.exp(sigma * rng.standard_normal(shape))


def autoregressive(
    rng: np.random.Generator, shape: Shape, rho: float, sigma: float = 0.1
) -> FloatArray:
    """Lognormal AR(1) within each round, started in its stationary state."""
    state = rng.standard_normal(shape)
    fresh = np.sqrt(1.0 - rho**2)
    for index in range(1, shape[-1]):
        state[..., index] = rho * state[..., index - 1] + fresh * state[..., index]
    return BASE * np.exp(sigma * state)


def continuing_autoregressive(
    rng: np.random.Generator, shape: Shape, rho: float, sigma: float = 0.1
) -> FloatArray:
    """The same, running on through all rounds."""
    flat = (*shape[:-2], shape[-2] * shape[-1])
    return autoregressive(rng, flat, rho, sigma).reshape(shape)


def with_outliers(
    rng: np.random.Generator, samples: FloatArray, share: float = 0.02, scale: float = 2.0
) -> FloatArray:
    """Two in a hundred calls take an exponential extra, on average twice the latency."""
    hit = rng.random(samples.shape) < share
    return samples + hit * rng.exponential(scale * BASE, samples.shape)


def with_stalls(
    rng: np.random.Generator, samples: FloatArray, share: float = 0.02, length: int = 10
) -> FloatArray:
    """Bursts of ten neighbouring calls that take three times as long.

    A burst starts anywhere in a round, or before it; ``share`` of the calls
    are hit.
    """
    starts = rng.random((*samples.shape[:-1], samples.shape[-1] + length - 1)) < share / length
    hit = np.zeros(samples.shape, dtype=bool)
    for offset in range(length):
        hit |= starts[..., offset : offset + samples.shape[-1]]
    return samples * np.where(hit, 3.0, 1.0)


def bimodal(
    rng: np.random.Generator, shape: Shape, share: float = 0.3, factor: float = 1.5
) -> FloatArray:
    """Two speeds, drawn anew for each call."""
    slow = rng.random(shape) < share
    return lognormal(rng, shape, 0.05) * np.where(slow, factor, 1.0)


def round_shifts(rng: np.random.Generator, shape: Shape, sigma: float) -> FloatArray:
    """Factors that all calls of a round share; shape ``(..., rounds, 1)`` from the samples'."""
    return np.exp(sigma * rng.standard_normal((*shape[:-1], 1)))


def drifting_shifts(rng: np.random.Generator, shape: Shape, sigma: float, rho: float) -> FloatArray:
    """Round shifts that resemble their neighbours: AR(1) over rounds."""
    return (autoregressive(rng, shape[:-1], rho, sigma) / BASE)[..., np.newaxis]


def launch_medians(
    rng: np.random.Generator,
    trials: int,
    launches: int,
    *,
    session_sigma: float = 0.027,
    launch_sigma: float = 0.01,
    canary_sigma: float = 0.005,
) -> tuple[FloatArray, FloatArray]:
    """Medians of one saved run's launches, and its canary's; shapes ``(trials, launches)``.

    The whole session is faster or slower by 2.7 %, as hosted runners are from
    one job to the next, and so is its canary; each launch has its own luck.
    """
    session = np.exp(session_sigma * rng.standard_normal((trials, 1)))
    case = BASE * session * np.exp(launch_sigma * rng.standard_normal((trials, launches)))
    canary = 3.0 * BASE * session * np.exp(canary_sigma * rng.standard_normal((trials, launches)))
    return case, canary


def round_ids(rounds: int, per_round: int) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(rounds), per_round)


WARM_UP_SHAPES = ("none", "step", "decay", "drift", "spikes", "late_step")


def warm_up_curve(shape: str, calls: int) -> FloatArray:
    """Factor on the steady latency of each call; ``calls`` is the window that is judged first.

    The curve is given for four windows, so that one that is doubled sees what
    comes next.

    step
        Half as slow again for the first eighth.
    decay
        Twice as slow at first, falling exponentially.
    drift
        Falling evenly, by a fifth across the first window, for ever.
    spikes
        The first eighth has every fourth call three times as slow.
    late_step
        A third slower until three quarters of the window have passed.
    none
        Steady from the first call.
    """
    index = np.arange(4 * calls)
    if shape == "step":
        return np.where(index < calls // 8, 1.5, 1.0)
    if shape == "decay":
        return 1.0 + np.exp(-index / (calls / 20.0))
    if shape == "drift":
        return 0.8 ** (index / calls)
    if shape == "spikes":
        return np.where((index < calls // 8) & (index % 4 == 0), 3.0, 1.0)
    if shape == "late_step":
        return np.where(index < 3 * calls // 4, 1.33, 1.0)
    return np.ones(4 * calls)
