"""What does the process do in which an engine is listed?

Nothing else: it lists one engine and compares itself before and after.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.engines.registry import EngineRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]


def main(name: str, answer_file: str) -> None:
    """Write ``{"imported": [...], "changes": [...]}``."""
    registry = EngineRegistry()
    registry.names()  # what reading metadata imports is not the plugin's doing
    modules, before = set(sys.modules), _state()
    registry.listing(name)
    after = _state()
    imported = {each.partition(".")[0] for each in set(sys.modules) - modules}
    changes = [f"{what} changed" for what, value in before.items() if after[what] != value]
    answer = json.dumps({"imported": sorted(imported), "changes": changes})
    partial = Path(answer_file).with_suffix(".partial")
    partial.write_text(answer, encoding="utf-8")
    partial.replace(answer_file)


def _state() -> Mapping[str, object]:
    """What of a process a module has no business to change."""
    handlers = (signal.SIGINT, signal.SIGTERM)
    return {
        "the environment variables": dict(os.environ),
        "the current folder": Path.cwd(),
        "sys.path": list(sys.path),
        "the number of threads": threading.active_count(),
        "the signal handlers": [signal.getsignal(number) for number in handlers],
        "the filters of warnings": list(warnings.filters),
        "the handlers of the root logger": list(logging.getLogger().handlers),
        "sys.stdout or sys.stderr": (id(sys.stdout), id(sys.stderr)),
    }
