"""How do ``lexer engines list`` and ``show`` probe an engine and write it as JSON?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.engines.registry import EngineState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.engines.probe import EngineProbe
    from lexer_core.engines.states import EngineListing

__all__ = ["LONGEST_TIMEOUT", "SCHEMA_VERSION", "is_ready", "listing_as_json", "probe_by_name"]

SCHEMA_VERSION = 1
"""Incremented when a field of the JSON is removed or changes its meaning."""

LONGEST_TIMEOUT = 24 * 3600.0
"""The largest ``--timeout``, in seconds."""


def is_ready(listing: EngineListing) -> bool:
    """Return whether the engine can be started."""
    return listing.state is EngineState.READY


def probe_by_name(names: Sequence[str], timeout: float) -> dict[str, EngineProbe]:
    """Start engines in separate processes and return their answers by name."""
    from lexer_core.engines.probe import probe_engines  # listing alone must start fast

    return {probe.engine: probe for probe in probe_engines(names, timeout=timeout)}


def listing_as_json(listing: EngineListing, probe: EngineProbe | None) -> dict[str, object]:
    """Return the fields of one engine as JSON types."""
    info = listing.info
    return {
        "name": listing.name,
        "display_name": listing.display_name,
        "state": str(listing.state),
        "reason": listing.reason,
        "remedy": listing.remedy,
        "version": listing.version,
        "runtime_distribution": listing.runtime_distribution,
        "plugin": listing.distribution,
        "formats": None if info is None else list(info.formats),
        "precisions": None if info is None else list(info.precisions),
        "concurrency": None if info is None else info.concurrency,
        "runs_by_default": None if info is None else info.runs_by_default,
        "probe": None if probe is None else _probe_as_json(probe),
    }


def _probe_as_json(probe: EngineProbe) -> dict[str, object]:
    return {
        "usable": probe.usable,
        "reason": probe.reason,
        "seconds": round(probe.seconds, 3),
        "log": probe.log,
        "devices": [
            {"name": device.name, "label": device.label, "description": device.description}
            for device in probe.devices
        ],
    }
