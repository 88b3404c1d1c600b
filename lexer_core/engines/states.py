"""In what state is an engine, and what would mend it?"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from lexer_core.records import EngineInfo

__all__ = ["EngineListing", "EngineState"]


class EngineState(StrEnum):
    """Whether an engine can be used, and if not, whose turn it is."""

    READY = "ready"
    """The plugin is sound, and its runtime is installed."""

    UNAVAILABLE = "unavailable"
    """The plugin is sound, but its runtime, or something else that it needs, is not there."""

    BROKEN = "broken"
    """The plugin cannot be loaded, or breaks the contract."""

    INCOMPATIBLE = "incompatible"
    """The plugin is written for another version of the contract."""


@frozen(kw_only=True)
class EngineListing:
    """One engine as ``lexer engines list`` shows it.

    Parameters
    ----------
    name
        The entry point's name.
    display_name
        As shown in results; the name again where the plugin could not say.
    state
        Whether the engine can be used.
    distribution
        The plugin's distribution and its version: ``"lexer-ort 0.1.0"``.
    version
        Version of the runtime, or ``None``.
    runtime_distribution
        The distribution that provides the runtime, or ``None``.
    reason
        Why the engine is not ready, in one line; the end of a traceback first.
    remedy
        The command that would mend it; empty when it is ready.
    details
        More about the reason, such as a traceback; may be empty.
    info
        What the plugin says of the engine, where it could say it.
    """

    name: str
    display_name: str
    state: EngineState
    distribution: str
    version: str | None = None
    runtime_distribution: str | None = None
    reason: str = ""
    remedy: str = ""
    details: str = ""
    info: EngineInfo | None = None
