"""How is OpenVINO imported without its telemetry?

``import openvino`` writes a client ID to the home folder and sends an event to an
analytics service in a thread, unless the telemetry package cannot be imported;
OpenVINO then uses a stub. This package is the engine's first runtime module, so
that Lexer imports it before OpenVINO. It has no effect in a program that has
already imported OpenVINO.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["openvino"]

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _import_blocked(name: str) -> Iterator[None]:
    """Make importing a module fail, unless it has been imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # makes an import of it fail
    try:
        yield
    finally:
        sys.modules.pop(name, None)


with _import_blocked(_TELEMETRY):
    import openvino
