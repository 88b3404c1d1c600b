"""Where does the time of a row's calls go?

The times are shares of a profiled pass after the benchmark, scaled to the median of calls
that were not profiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from lexer_core.results.attrs_fields import count, number

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Profile", "ProfilePart"]


@frozen(kw_only=True)
class ProfilePart:
    """What one type of operator costs in one module.

    Parameters
    ----------
    module
        The module's path in the user's model, such as ``"blocks.3.attn"``; ``""`` is the
        model itself, as for an operator of its own ``forward`` and a kernel that computes
        parts of several modules. ``None``: it is not known.
    operator
        The engine's name of the type, such as ``"Conv"``.
    share
        Its share of the time of a call, 0 to 1.
    ms
        The share of the row's median; ``None`` if that is unknown.
    device
        The kind of device that executed it.
    """

    module: str | None = None
    operator: str
    share: float
    ms: float | None = number()
    device: str = "cpu"


# A function, because mypy loses the element type of a bare ``tuple`` converter.
def _parts(parts: Iterable[ProfilePart]) -> tuple[ProfilePart, ...]:
    return tuple(parts)


@frozen(kw_only=True)
class Profile:
    """Where the time of a row's calls goes.

    Parameters
    ----------
    status
        ``"modules"``: it is known by module and operator type. ``"operators"``: by operator
        type only. ``"not_available"``: the engine cannot tell. ``"failed"``: profiling
        failed.
    reason
        Why it is not known by module; empty if it is.
    calls
        Number of profiled calls.
    profiled_ms
        Time of the operations of one profiled call. Profiling slows calls down, so this
        is not a latency.
    parts
        The parts, in the order in which modules are first executed. Their shares add up
        to 1.
    """

    status: Literal["modules", "operators", "not_available", "failed"]
    reason: str = ""
    calls: int = count(0)
    profiled_ms: float | None = number()
    parts: tuple[ProfilePart, ...] = field(default=(), converter=_parts)
