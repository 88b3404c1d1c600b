"""Which configurations does a tuning try?

The space is the product of its axes: ``batch``, ``threads``, ``precision``, the dynamic
axes of the inputs by name, and options of engines
(``onnxruntime.graph_optimization_level``), which concern only their engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.benchmark.cases import PRECISION
from lexer_core.engines.choice import option_text
from lexer_core.errors import UsageError
from lexer_core.precisions import precision_name
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from lexer_core.engines.choice import EngineChoice


__all__ = ["BATCH", "INSTANCES", "THREADS", "Axis", "Point", "Space", "parse_axis", "read_axes"]

BATCH = "batch"
INSTANCES = "instances"
THREADS = "threads"
_GENERAL = (BATCH, INSTANCES, THREADS, PRECISION)
_MOST_THREADS = 4096
_MOST_DIGITS = 18
"""Of a whole number that fits in 64 bits."""
_HOW_TO_WRITE = (
    "Write, for example, --vary batch=1,2,4, --vary precision=float32,bfloat16 or "
    "--vary onnxruntime.OPTION=a,b."
)


@frozen(kw_only=True)
class Axis:
    """One thing that is varied.

    ``engine`` is the engine whose option ``name`` is; empty for what concerns all.
    """

    name: str
    values: tuple[str, ...]
    engine: str = ""

    def __str__(self) -> str:
        return f"{self.engine}.{self.name}" if self.engine else self.name

    def sizes(self) -> tuple[int, ...]:
        """Return the values of an axis of whole numbers.

        Raises
        ------
        UsageError
            A value is not a whole number above zero.
        """
        sizes = []
        for value in self.values:
            if not value.isascii() or not value.isdigit() or not value.strip("0"):
                raise UsageError(
                    f"{value!r} in the axis {self} is not a whole number above 0.",
                    hint=_HOW_TO_WRITE,
                )
            if len(value) > _MOST_DIGITS:
                raise UsageError(f"{value[:_MOST_DIGITS]}… in the axis {self} is too large.")
            sizes.append(int(value))
        return tuple(sizes)


@frozen(kw_only=True)
class Point:
    """Where a configuration is in the space; what is not varied is ``None`` or missing."""

    batch: int | None = None
    instances: int | None = None
    threads: int | None = None
    precision: str = ""
    shape: Mapping[str, int] = field(factory=dict)
    options: Mapping[str, str] = field(factory=dict)

    def __str__(self) -> str:
        named = {
            BATCH: self.batch,
            INSTANCES: self.instances,
            THREADS: self.threads,
            PRECISION: self.precision or None,
            **self.shape,
            **self.options,
        }
        return ",".join(f"{name}={value}" for name, value in named.items() if value is not None)

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """The sizes of the inputs' axes: points that agree in them share an export."""
        batch = {} if self.batch is None else {BATCH: self.batch}
        return tuple({**batch, **self.shape}.items())


@frozen(kw_only=True)
class Space:
    """The product of some axes."""

    axes: tuple[Axis, ...]

    def has(self, name: str) -> bool:
        """Return whether an axis of all engines has this name."""
        return any(axis.name == name and not axis.engine for axis in self.axes)

    def axes_of(self, engine: str) -> tuple[Axis, ...]:
        """Return the axes that concern an engine."""
        return tuple(axis for axis in self.axes if axis.engine in ("", engine))

    def size(self, choices: Sequence[EngineChoice]) -> int:
        """Return the number of configurations of some engines."""
        return sum(self._points_of(choice.name) for choice in choices)

    def at(self, choices: Sequence[EngineChoice], number: int) -> tuple[EngineChoice, Point]:
        """Return a configuration by its number from 0, as :meth:`places` counts.

        The choice is labelled by what is varied. An option that it sets itself is the
        value at which an axis begins.
        """
        which, places = self.places(choices, number)
        choice = choices[which]
        axes = self.axes_of(choice.name)
        point = _point([(axis, axis.values[at]) for axis, at in zip(axes, places, strict=True)])
        label = choice.label or choice.name
        where = str(point)
        asked = {PRECISION: point.precision} if point.precision else {}
        return attrs.evolve(
            choice,
            options={**choice.options, **asked, **point.options},
            label=f"{label}[{where}]" if where else label,
        ), point

    def places(self, choices: Sequence[EngineChoice], number: int) -> tuple[int, tuple[int, ...]]:
        """Return which choice a number belongs to, and its place on each axis of that engine.

        The numbers of the first choice come first; the last axis varies fastest.
        """
        which = 0
        while number >= (count := self._points_of(choices[which].name)):
            number -= count
            which += 1
        places: list[int] = []
        for axis in reversed(self.axes_of(choices[which].name)):
            number, place = divmod(number, len(axis.values))
            places.insert(0, place)
        return which, tuple(places)

    def number(self, choices: Sequence[EngineChoice], which: int, places: Sequence[int]) -> int:
        """Return the number of a configuration, the inverse of :meth:`places`."""
        number = 0
        for axis, place in zip(self.axes_of(choices[which].name), places, strict=True):
            number = number * len(axis.values) + place
        return number + sum(self._points_of(choice.name) for choice in choices[:which])

    def _points_of(self, engine: str) -> int:
        return math.prod(len(axis.values) for axis in self.axes_of(engine))

    def check(self, engines: Collection[str], dynamic_axes: Collection[str]) -> None:
        """Refuse axes that concern nothing.

        Parameters
        ----------
        engines
            Names of the engines that take part.
        dynamic_axes
            Names of the inputs' dynamic axes.

        Raises
        ------
        UsageError
            An axis belongs to another engine, or is neither known nor a dynamic axis.
        """
        for axis in self.axes:
            if axis.engine and axis.engine not in engines:
                raise UsageError(
                    f"axis {axis} varies an option of {axis.engine!r}, which does not take part.",
                    hint=f"Engines: {', '.join(engines)}.",
                )
            known = (*_GENERAL, *dynamic_axes)
            if not axis.engine and axis.name not in known:
                raise UsageError(
                    f"no axis is called {axis.name!r}.",
                    hint=f"Axes: {', '.join(known)}, and options of engines, such as "
                    "onnxruntime.graph_optimization_level.\nOther axes of the inputs need a name: "
                    f"dynamic_axes of @Lexer, or of tune().{did_you_mean(axis.name, known)}",
                )


def _point(by_axis: Sequence[tuple[Axis, str]]) -> Point:
    general = {axis.name: value for axis, value in by_axis if not axis.engine}
    precision = general.pop(PRECISION, "")
    sizes = {name: int(value) for name, value in general.items()}
    return Point(
        batch=sizes.pop(BATCH, None),
        instances=sizes.pop(INSTANCES, None),
        threads=sizes.pop(THREADS, None),
        precision=precision,
        options={axis.name: value for axis, value in by_axis if axis.engine},
        shape=sizes,
    )


def parse_axis(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse ``batch=1,2,4``.

    Raises
    ------
    UsageError
        The text has another form.
    """
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--vary {text!r} does not have the form AXIS=VALUES.", hint=_HOW_TO_WRITE)
    return name.strip(), tuple(value.strip() for value in values.split(","))


def read_axes(vary: Mapping[str, object]) -> Space:
    """Check the axes that a user wrote.

    Parameters
    ----------
    vary
        The values of each axis by its name: a sequence, or one value.

    Raises
    ------
    UsageError
        An axis has no values, or a value twice, or one that is not possible.
    """
    if not isinstance(vary, Mapping):
        raise UsageError(
            f"vary={vary!r} is not a mapping.",
            hint="Pass the values of each axis by its name: vary={'batch': [1, 8]}.",
        )
    axes = []
    for written, given in vary.items():
        listed = (
            list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        )
        engine, _, option = written.rpartition(".")
        is_precision = option == PRECISION and not engine
        values = tuple(
            map(precision_name if is_precision else option_text, map(option_text, listed))
        )
        axis = Axis(name=option, values=values, engine=engine)
        if not values or "" in values:
            raise UsageError(f"axis {written!r} has no values.", hint=_HOW_TO_WRITE)
        if len(set(values)) < len(values):
            raise UsageError(f"axis {written!r} has a value twice: {', '.join(values)}.")
        if not engine and not is_precision:
            sizes = axis.sizes()
            if option in (INSTANCES, THREADS) and max(sizes) > _MOST_THREADS:
                raise UsageError(f"{max(sizes)} {option} are too many.")
        axes.append(axis)
    return Space(axes=tuple(axes))
