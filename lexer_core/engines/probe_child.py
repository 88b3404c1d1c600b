"""What does the probed process do?

It imports the engine's runtime, lists the devices and writes the answer to a
file. Its standard output and error belong to the runtime.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

from attrs import asdict

from lexer_core.engines.exceptions import exception_summary
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import LexerError

__all__ = ["main"]


def main(name: str, answer_file: str) -> None:
    """Write ``{"devices": [...], "reason": "..."}``, then end at once.

    Ending without cleaning up: a runtime that crashes on its way out has
    answered nevertheless.
    """
    devices: list[dict[str, object]] = []
    reason = ""
    try:
        engine = EngineRegistry().get(name)
        for module in engine.info.runtime_modules:
            import_module(module)
        devices = [asdict(device) for device in engine.list_devices()]
    except LexerError as error:
        reason = error.message
    except (Exception, SystemExit) as error:
        reason = exception_summary(error)
    answer = json.dumps({"devices": devices, "reason": reason})
    complete = Path(answer_file)
    partial = complete.with_suffix(".partial")
    partial.write_text(answer, encoding="utf-8")
    partial.replace(complete)
    os._exit(0)
