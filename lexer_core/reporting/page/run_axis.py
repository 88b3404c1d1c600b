"""Where in a run was each sample taken?

Samples carry no time, but their round and launch. The position counts rounds:
a sample of the first round lies between 0 and 1. Rounds are common to all
engines, so what happened to the machine stands at the same place in every
panel. The warm-up of a launch lies before its first round, on a strip of its
own width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.reporting.page.measured import Measured

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = ["RunAxis", "Strip", "positions_in_run", "run_axis", "warm_up_positions"]

_WARM_UP_SHARE = 0.12
"""Part of the axis' rounds that all warm-ups together are as wide as."""


@frozen(kw_only=True)
class Strip:
    """The part of the axis where a launch warmed up; ``start`` to ``end`` may be of no width."""

    launch: int
    start: float
    end: float


@frozen(kw_only=True, eq=False)
class RunAxis:
    """Where rounds and warm-ups lie.

    ``rounds`` are the numbers of all rounds, ascending, and ``starts`` where
    each begins; every one is 1 wide. ``end`` is the end of the last.
    """

    rounds: Indices
    starts: Floats
    strips: tuple[Strip, ...]
    end: float


def run_axis(rows: Sequence[Measured]) -> RunAxis:
    """Lay out the rounds of all rows, and their warm-ups, one launch after the other."""
    rounds, first = np.unique(np.concatenate([each.rounds for each in rows]), return_index=True)
    launch_of = np.concatenate([each.launches for each in rows])[first]
    launches = np.unique(launch_of)
    warmed = any(each.warm_up.size for each in rows)
    width = max(1.0, _WARM_UP_SHARE * rounds.size / launches.size) if warmed else 0.0
    starts = np.zeros(rounds.size)
    strips = []
    at = 0.0
    for launch in launches.tolist():
        strips.append(Strip(launch=launch, start=at, end=at + width))
        at += width
        mine = launch_of == launch
        starts[mine] = at + np.arange(mine.sum())
        at += float(mine.sum())
    return RunAxis(rounds=rounds, starts=starts, strips=tuple(strips), end=at)


def positions_in_run(each: Measured, axis: RunAxis) -> Floats:
    """Place a row's samples: evenly within their rounds, in the order of taking."""
    index = np.searchsorted(axis.rounds, each.rounds)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=axis.rounds.size)
    before = np.cumsum(counts) - counts
    within = np.empty(index.size)
    within[order] = np.arange(index.size) - before[index[order]]
    places: Floats = axis.starts[index] + (within + 0.5) / counts[index]
    return places


def warm_up_positions(each: Measured, strip: Strip) -> tuple[Floats, Floats]:
    """Place the calls of one launch's warm-up evenly on its strip; positions and seconds."""
    seconds = each.warm_up[each.warm_up_launches == strip.launch]
    share = (np.arange(seconds.size) + 0.5) / max(seconds.size, 1)
    return strip.start + share * (strip.end - strip.start), seconds
