"""Can an engine be used, and if not, how is that fixed?"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from lexer_core.records import EngineInfo

__all__ = ["EngineListing", "EngineState", "ReadyEngine"]


class EngineState(StrEnum):
    """Whether an engine can be used, and if not, why."""

    READY = "ready"
    """The plugin is valid and its runtime is installed."""

    UNAVAILABLE = "unavailable"
    """The plugin is valid, but its runtime or something else that it needs is missing."""

    BROKEN = "broken"
    """The plugin cannot be loaded, or violates the contract."""

    INCOMPATIBLE = "incompatible"
    """The plugin is for another version of the contract."""


@frozen(kw_only=True)
class EngineListing:
    """An installed engine, as shown by ``lexer engines list``.

    Parameters
    ----------
    name
        The entry point's name.
    display_name
        The name in results; ``name`` if the plugin did not load.
    state
        Whether the engine can be used.
    distribution
        Name and version of the plugin's distribution: ``"lexer-ort 0.1.0"``.
    version
        Version of the runtime; ``None`` if unknown.
    runtime_distribution
        The distribution that provides the runtime; ``None`` if unknown.
    reason
        Why the engine is not ready, in one line; empty if it is.
    remedy
        How to fix it, usually a command; empty if the engine is ready.
    details
        Details of the reason, such as a traceback; may be empty.
    info
        The plugin's description of the engine; ``None`` if the plugin did not load.
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


@frozen(kw_only=True)
class ReadyEngine:
    """What is known of a ready engine before its plugin is imported.

    Parameters
    ----------
    name
        The entry point's name.
    info
        The plugin's description of the engine.
    version
        Version of the runtime; ``None`` if unknown.
    distribution
        Name and version of the plugin's distribution.
    """

    name: str
    info: EngineInfo
    version: str | None
    distribution: str
