"""How is the telemetry of runtimes switched off?"""

from __future__ import annotations

import os

__all__ = ["without_telemetry"]

_TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNXRuntime 1.32 looks up a server, and writes files to the temporary and home folder."""


def without_telemetry() -> dict[str, str]:
    """Return variables that switch telemetry off where the user has not decided."""
    return {name: value for name, value in _TELEMETRY_OFF.items() if name not in os.environ}
