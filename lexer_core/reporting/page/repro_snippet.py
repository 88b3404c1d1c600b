"""Which Python code repeats a benchmark?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["snippet"]

_FROM_ROWS = ("engines", "device", "precision")
"""Settings that the call takes from the rows."""


def snippet(report: ReportData) -> str:
    """Return Python code that repeats a benchmark: its engines, device and settings.

    It expects the variables ``model`` and ``inputs``.
    """
    defaults = {field.name: field.default for field in attrs.fields(Settings)}
    settings = {
        name: value
        for name, value in report.settings.items()
        if name in defaults and name not in _FROM_ROWS and value not in (None, defaults[name])
    }
    context = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    engines = [_choice(row) for row in report.results]
    devices = sorted({row.device_name for row in report.results} - {"cpu"})
    lines = ["from lexer.api.lexer_context import LexerContext"]
    if any(text.startswith("EngineChoice") for text in engines):
        lines.append("from lexer_core import EngineChoice")
    lines += [
        "",
        f"context = LexerContext({context})",
        "report = context.benchmark(",
        "    model,",
        "    inputs,",
    ]
    if engines:
        lines += ["    engines=[", *(f"        {text}," for text in engines), "    ],"]
    if len(devices) == 1:
        lines.append(f"    device={devices[0]!r},")
    return "\n".join([*lines, ")"])


def _choice(row: BenchmarkResult) -> str:
    name = row.engine_name or row.engine
    options = dict(row.options) | ({"precision": row.precision} if row.precision else {})
    if row.label in (row.engine_name, row.engine) and not options:
        return repr(name)
    words = [repr(name)]
    if options:
        words.append(f"options={options!r}")
    if row.label != name:
        words.append(f"label={row.label!r}")
    return f"EngineChoice({', '.join(words)})"
