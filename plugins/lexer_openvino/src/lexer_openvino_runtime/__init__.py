"""How is OpenVINO imported without telling anybody?

``import openvino`` writes a client's number to the home folder and sends an
event to a statistics service, in a thread of its own, unless the package that
does so cannot be imported; OpenVINO then takes a stand-in that does nothing.
This package is the engine's first runtime module, so that it is imported before
OpenVINO wherever Lexer does so. A program that imported OpenVINO itself has it
as it is.
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
def _kept_out(name: str) -> Iterator[None]:
    """Let an import of that module fail; one that is there already stays."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what Python takes for "not to be had"
    try:
        yield
    finally:
        sys.modules.pop(name, None)


with _kept_out(_TELEMETRY):
    import openvino
