"""What do the blocks at one rate say?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.results.load_test import RatePoint, RateVerdict
from lexer_core.statistics import ShareInterval, share_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.load_testing.blocks import OpenBlock
    from lexer_core.load_testing.slo import Slo

    FloatArray = npt.NDArray[np.float64]

__all__ = ["CONFIDENCE", "LATENESS_SHARE", "PointLog"]

CONFIDENCE = 0.95
"""Of the two-sided interval of a share. A verdict needs one side of it, 97.5 %, because it is
looked for after every block."""

LATENESS_SHARE = 0.01
"""The p99 of the lateness of dispatch may be this share of the limit."""

_WARM_UP_SHARE = 0.1
"""Of each block, whose queue is empty at first; an estimate of waits would be too low."""

_PARTS = 8
_FEWEST_IN_PART = 20
"""Each block is divided into parts, between which the correlation of requests shows."""


@frozen(kw_only=True, eq=False)
class _Block:
    due: FloatArray
    result: OpenBlock


class PointLog:
    """The blocks of one configuration at one rate.

    Parameters
    ----------
    rate
        Requests per second that are offered.
    slo
        The objective.
    """

    def __init__(self, rate: float, slo: Slo) -> None:
        self.rate = rate
        self._slo = slo
        self._blocks: list[_Block] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, due: FloatArray, result: OpenBlock) -> None:
        """Record a block and when its requests arrived."""
        self._blocks.append(_Block(due=due, result=result))

    def point(self) -> RatePoint:
        """Judge the blocks so far."""
        kept = [block for block in self._blocks if not self._is_late(block)]
        is_late = len(kept) * 2 < len(self._blocks)
        blocks = self._blocks if is_late else kept
        due, starts, ends, late = (_joined(blocks, name) for name in _COLUMNS)
        served = np.isfinite(ends)
        latency, wait, service = ends - due, starts - due, ends - starts
        within = served & (latency <= self._slo.seconds)
        interval = _interval(blocks, within)
        gave_up = any(block.result.gave_up for block in blocks)
        lateness = _percentile(late[np.isfinite(late)], 99.0)
        verdict, reason = self._verdict(
            interval,
            _interval(blocks, service <= self._slo.seconds),
            gave_up,
            lateness if is_late else None,
        )
        seconds = sum(block.result.elapsed for block in blocks)
        answered = sum(int(np.isfinite(block.result.ends).sum()) for block in blocks)
        good = sum(
            int((block.result.ends - block.due <= self._slo.seconds).sum()) for block in blocks
        )
        latency, wait, service = (values[served] for values in (latency, wait, service))
        return RatePoint(
            rate=self.rate,
            verdict=verdict,
            reason=reason,
            requests=interval.count,
            share=interval.estimate,
            share_low=interval.low,
            share_high=interval.high,
            achieved_per_sec=answered / seconds,
            goodput_per_sec=good / seconds,
            p50_ms=_milliseconds(_percentile(latency, 50.0)),
            p95_ms=_milliseconds(_percentile(latency, 95.0)),
            p99_ms=_milliseconds(_percentile(latency, 99.0)),
            wait_mean_ms=_milliseconds(float(wait.mean()) if wait.size else None),
            wait_p99_ms=_milliseconds(_percentile(wait, 99.0)),
            service_mean_ms=_milliseconds(float(service.mean()) if service.size else None),
            service_p99_ms=_milliseconds(_percentile(service, 99.0)),
            cpus=sum(block.result.cpu_seconds for block in blocks) / seconds,
            lateness_p99_ms=_milliseconds(lateness),
            blocks=len(self._blocks),
            late_blocks=len(self._blocks) - len(kept),
            ended_early=gave_up,
        )

    def _is_late(self, block: _Block) -> bool:
        """Return whether the requests of a block were dispatched too late."""
        late = block.result.lateness
        known = _percentile(late[np.isfinite(late)], 99.0)
        return known is not None and known > LATENESS_SHARE * self._slo.seconds

    def _verdict(
        self, answered: ShareInterval, calls: ShareInterval, gave_up: bool, lateness: float | None
    ) -> tuple[RateVerdict, str]:
        """Judge the shares of requests, and of calls alone, that keep to the limit."""
        wanted = self._slo.share
        most = LATENESS_SHARE * self._slo.seconds
        if gave_up:
            return "fails", "the backlog grew: requests arrive faster than they are served"
        if calls.high < wanted:
            return "fails", "calls alone take longer than the limit"
        if lateness is not None and lateness > most:
            return "withheld", (
                f"requests were dispatched {lateness * 1e3:.2g} ms late (p99) while a thread was "
                f"free, in most blocks; {LATENESS_SHARE:.0%} of the limit is tolerated, "
                f"{most * 1e3:.2g} ms"
            )
        if answered.low >= wanted:
            return "passes", ""
        if answered.high < wanted:
            return "fails", ""
        return "undecided", "more requests are needed (--max-seconds)"


def _joined(blocks: Sequence[_Block], name: str) -> FloatArray:
    return np.concatenate([_kept(_column(block, name)) for block in blocks])


def _interval(blocks: Sequence[_Block], counted: npt.NDArray[np.bool_]) -> ShareInterval:
    return share_interval(counted.astype(np.float64), _parts(blocks), confidence=CONFIDENCE)


def _parts(blocks: Sequence[_Block]) -> npt.NDArray[np.int64]:
    """Return the part of its block that each request belongs to."""
    numbers: list[npt.NDArray[np.int64]] = []
    first = 0
    for block in blocks:
        count = len(_kept(block.due))
        parts = max(1, min(_PARTS, count // _FEWEST_IN_PART))
        numbers.append(first + np.arange(count) * parts // count)
        first += parts
    return np.concatenate(numbers)


_COLUMNS = ("due", "starts", "ends", "lateness")


def _column(block: _Block, name: str) -> FloatArray:
    values: FloatArray = block.due if name == "due" else getattr(block.result, name)
    return values


def _kept(values: FloatArray) -> FloatArray:
    """Leave out the first requests of a block, which met an empty queue."""
    return values[int(len(values) * _WARM_UP_SHARE) :]


def _percentile(values: FloatArray, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values.size else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
