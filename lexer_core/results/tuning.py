"""What did a tuning find about each configuration?"""

from __future__ import annotations

# validated_data resolves the annotations.
from collections.abc import Mapping  # noqa: TC003
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from lexer_core.results.attrs_fields import count, mapping, number, plain_mapping, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Fate", "Tuning", "TuningConfiguration"]


# A function, because mypy loses the element type of a bare ``tuple`` converter.
def _configurations(values: Iterable[TuningConfiguration]) -> tuple[TuningConfiguration, ...]:
    return tuple(values)


Fate = Literal[
    "winner", "tie", "front", "slower", "over_limit", "failed", "unsupported", "not_reached"
]
"""How a configuration ended; exactly one for each.

``front``: with two goals, no other configuration is better in both. ``not_reached``:
the time was up before it was measured, or before it could be told from the winner.
"""


@frozen(kw_only=True)
class TuningConfiguration:
    """One point of the space that was searched.

    Parameters
    ----------
    label
        The label of its row.
    engine
        Name of the engine on the command line.
    batch
        Items in a call, if the batch size was varied.
    threads
        Number of threads per call, if it was varied.
    instances
        Number of threads that serve requests, if it was varied.
    precision
        What the engine was asked to compute in, if it was varied.
    shape
        Sizes of the dynamic axes that were varied, by name.
    options
        Options of the engine.
    fate
        How it ended.
    reason
        Why, in words.
    rounds
        Rounds of the race in which it took part.
    beaten_by
        Label of the configuration that was faster, if it left the race.
    ratio
        Its time divided by that one's when it left (per item, if throughput is the goal).
    confirmed
        Whether its numbers come from new processes after the race.
    number
        Its place in the space, from 0.
    """

    label: str
    engine: str
    batch: int | None = count()
    threads: int | None = count()
    instances: int | None = count()
    precision: str = ""
    shape: Mapping[str, int] = mapping()
    options: Mapping[str, object] = field(factory=dict, converter=plain_mapping)
    fate: Fate = "not_reached"
    reason: str = ""
    rounds: int = count(0)
    beaten_by: str = ""
    ratio: float | None = number()
    confirmed: bool = False
    number: int | None = count()


@frozen(kw_only=True)
class Tuning:
    """The search for the best configuration.

    Parameters
    ----------
    goals
        What was optimised: ``"minimize p50"``; two for a Pareto front.
    limits
        As written: ``"p99<=20ms"``.
    bounds
        The value of each limit by the name of its figure: milliseconds, bytes, items per
        second.
    vary
        The axes: the values of each, as text.
    configurations
        The points that were tried, in the order of the rows: all, or those that a sampler
        chose from a large space.
    space_size
        Number of points of the space.
    race_rounds
        Rounds of the race.
    race_samples
        Blocks that all configurations took in the race.
    """

    goals: tuple[str, ...] = field(default=(), converter=texts)
    limits: tuple[str, ...] = field(default=(), converter=texts)
    bounds: Mapping[str, float] = mapping()
    vary: Mapping[str, tuple[str, ...]] = mapping()
    configurations: tuple[TuningConfiguration, ...] = field(default=(), converter=_configurations)
    space_size: int | None = count()
    race_rounds: int = count(0)
    race_samples: int = count(0)
