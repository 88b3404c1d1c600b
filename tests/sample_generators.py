"""Latencies as machines produce them: seeded, vectorised, without a clock.

Each generator of samples takes a numpy Generator and a shape
``(..., rounds, per_round)`` and returns seconds of that shape. The true centre
is 1 ms unless stated otherwise; shifts and outliers are applied by the
functions below. Generators of rounds take ``(trials, rounds)`` and return the
log ratios of two cases, whose true ratio is 1. ``tests/data`` has rounds
recorded on ordinary 2-core virtual machines in November 2026, resampled by
``recorded_rounds``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Two speeds, drawn for each call."""
    slow = rng.random(shape) < share
    return lognormal(rng, shape, 0.05) * np.where(slow, factor, 1.0)


def round_shifts(rng: np.random.Generator, shape: Shape, sigma: float) -> FloatArray:
    """Factors that all calls of a round share; shape ``(..., rounds, 1)`` from the samples'."""
    return np.exp(sigma * rng.standard_normal((*shape[:-1], 1)))


def drifting_shifts(rng: np.random.Generator, shape: Shape, sigma: float, rho: float) -> FloatArray:
    """Autocorrelated round shifts: AR(1) over rounds."""
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
    one job to the next, and so is its canary; each launch varies on its own.
    """
    session = np.exp(session_sigma * rng.standard_normal((trials, 1)))
    case = BASE * session * np.exp(launch_sigma * rng.standard_normal((trials, launches)))
    canary = 3.0 * BASE * session * np.exp(canary_sigma * rng.standard_normal((trials, launches)))
    return case, canary


def round_ids(rounds: int, per_round: int) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(rounds), per_round)


def markov_states(
    rng: np.random.Generator, shape: Shape, mean_on: float, mean_off: float
) -> npt.NDArray[np.bool_]:
    """A machine that switches between two states; mean lengths of stay in rounds."""
    on = np.empty(shape, dtype=bool)
    on[..., 0] = rng.random(shape[:-1]) < mean_on / (mean_on + mean_off)
    for index in range(1, shape[-1]):
        luck = rng.random(shape[:-1])
        on[..., index] = np.where(on[..., index - 1], luck >= 1 / mean_on, luck < 1 / mean_off)
    return on


def third_off(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Two thirds of the rounds within a percent or two, a third off by half either way."""
    off = rng.random(shape) < 1 / 3
    size = np.log(1.5) * (1.0 + 0.1 * rng.standard_normal(shape))
    side = np.where(rng.random(shape) < 0.5, 1.0, -1.0)
    return 0.01 * rng.standard_normal(shape) + off * side * size


def two_states(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """A slow, noisy state that lasts 15 rounds, a fast, quiet one that lasts 25; for both cases."""
    slow = markov_states(rng, shape, 15, 25)
    factor, sigma = np.where(slow, 1.6, 1.0), np.where(slow, 0.06, 0.015)
    a, b = (factor * np.exp(sigma * rng.standard_normal(shape)) for _ in range(2))
    return np.log(a / b)


def sensitive_case(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """A neighbour, active in a fifth of the rounds, slows one case by half, the other by 15 %."""
    busy = markov_states(rng, shape, 2, 8)
    a = np.where(busy, 1.5, 1.0) * np.exp(0.02 * rng.standard_normal(shape))
    b = np.where(busy, 1.15, 1.0) * np.exp(0.02 * rng.standard_normal(shape))
    return np.log(a / b)


ROUND_GENERATORS: dict[str, Callable[[np.random.Generator, Shape], FloatArray]] = {
    "third_off": third_off,
    "two_states": two_states,
    "sensitive_case": sensitive_case,
}

_DATA = Path(__file__).parent / "data"
# File, and which of a block's calls after the switch its median is taken over.
RECORDINGS: dict[str, tuple[str, slice | None]] = {
    "linear": ("linear_same_engine_5ms_blocks", None),
    "busy": ("efficientnet_same_engine_1_call_busy", slice(0, 1)),
    "long_blocks": ("efficientnet_torch_ort_long_blocks", None),
    "1_thread_first": ("efficientnet_torch_ort_8_calls_1_threads", slice(0, 1)),
    "1_thread_second": ("efficientnet_torch_ort_8_calls_1_threads", slice(1, 2)),
    "1_thread_seven": ("efficientnet_torch_ort_8_calls_1_threads", slice(1, 8)),
    "2_threads_first": ("efficientnet_torch_ort_8_calls_2_threads", slice(0, 1)),
    "2_threads_second": ("efficientnet_torch_ort_8_calls_2_threads", slice(1, 2)),
    "2_threads_seven": ("efficientnet_torch_ort_8_calls_2_threads", slice(1, 8)),
}


def recording(name: str) -> tuple[FloatArray, FloatArray]:
    """Recorded round medians of two cases, in seconds."""
    file, calls = RECORDINGS[name]
    with np.load(_DATA / f"{file}.npz") as arrays:
        a, b = arrays["a"], arrays["b"]
    if calls is None:
        return a, b
    return np.median(a[:, calls], axis=1), np.median(b[:, calls], axis=1)


def recorded_rounds(
    name: str, rng: np.random.Generator, shape: Shape, mean_block: float = 5.0
) -> FloatArray:
    """Log ratios resampled from a recording, whose median they are centred at.

    The stationary bootstrap (Politis and Romano 1994): blocks of random length
    keep the autocorrelation between rounds.
    """
    a, b = recording(name)
    ratios = np.log(a / b)
    starts = rng.integers(0, ratios.size, shape)
    fresh = rng.random(shape) < 1 / mean_block
    index = starts.copy()
    for at in range(1, shape[-1]):
        index[..., at] = np.where(
            fresh[..., at], starts[..., at], (index[..., at - 1] + 1) % ratios.size
        )
    return ratios[index] - np.median(ratios)
