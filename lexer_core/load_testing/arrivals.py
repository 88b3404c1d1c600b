"""When do the requests of a block arrive?

The times are drawn before the block, so that a slow answer cannot delay the next
request: a client that waits for its answer would not send one then, and the wait of all
others would be missing from the results ("coordinated omission").

The same seed and block have the same gaps at every rate, in units of the mean gap, so
that two rates, or two engines, differ by nothing else.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from lexer_core.call_arguments import text_of
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["Arrivals", "read_arrivals"]

_FEWEST_TIMES = 10
_NAMES = ("poisson", "constant")


@frozen(kw_only=True, eq=False)
class Arrivals:
    """A process of arrivals that can be had at any rate.

    Parameters
    ----------
    name
        ``"poisson"``, ``"constant"``, or the name of a file.
    seed
        Of Poisson arrivals.
    gaps
        Those of a file, in units of their mean.
    rate
        That of a file, in requests per second.
    """

    name: str
    seed: int = 0
    gaps: FloatArray | None = field(default=None, repr=False)
    rate: float | None = None

    def times(self, rate: float, seconds: float, block: int) -> FloatArray:
        """Return the arrivals of a block, in seconds from its start; at least one.

        Parameters
        ----------
        rate
            Requests per second.
        seconds
            The length of the block.
        block
            Its number: blocks have other gaps, but the same ones at every rate.
        """
        mean = max(1, math.ceil(rate * seconds))
        if self.gaps is not None:
            # Each block goes on where the one before it would have ended at this rate.
            places = (np.arange(mean * 4) + mean * block) % len(self.gaps)
            gaps = self.gaps[places]
        elif self.name == "constant":
            gaps = np.ones(mean)
        else:
            count = mean + 10 + int(6.0 * math.sqrt(mean))
            gaps = np.random.default_rng([self.seed, block]).exponential(size=count)
        times = np.cumsum(gaps) / rate
        within = times[times <= seconds]
        return within if within.size else np.minimum(times[:1], seconds)


def read_arrivals(text: str, seed: int = 0) -> Arrivals:
    """Return the arrivals that a user named.

    Parameters
    ----------
    text
        ``"poisson"``, ``"constant"``, or a file with the times of requests: one number
        a line, in seconds, not decreasing.
    seed
        Of Poisson arrivals.

    Raises
    ------
    UsageError
        There is no such file, or it has too few times, or they decrease.
    """
    if text in _NAMES:
        return Arrivals(name=text, seed=seed)
    path = Path(text_of("arrivals", text))
    if not path.is_file():
        raise UsageError(
            f"arrivals {text!r} are neither 'poisson' nor 'constant' nor a file.",
            hint="A file has the time of a request on each line, in seconds.",
        )
    times = _times_of(path)
    gaps = np.diff(times)
    span = float(times[-1] - times[0])
    if (gaps < 0.0).any():
        line = int(np.argmax(gaps < 0.0)) + 2
        raise UsageError(f"{path}: time {line} is before the one above it.", hint="Sort the times.")
    if span <= 0.0:
        raise UsageError(f"{path}: all requests have the same time.")
    mean = span / len(gaps)
    return Arrivals(name=path.name, gaps=gaps / mean, rate=1.0 / mean)


def _times_of(path: Path) -> FloatArray:
    try:
        words = path.read_text(encoding="utf-8").split()
        times = np.array([float(word) for word in words])
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the times of requests cannot be read from {path}: {error}.",
            hint="Write one number a line, in seconds: 0.0, 0.013, 0.05, …",
        ) from error
    if times.size < _FEWEST_TIMES or not np.isfinite(times).all():
        raise UsageError(
            f"{path} has {times.size} times of requests; at least {_FEWEST_TIMES} finite ones "
            "are needed."
        )
    return times
