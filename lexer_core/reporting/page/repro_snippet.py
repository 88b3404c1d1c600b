"""Which Python code repeats a run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.load_test import LoadTest
    from lexer_core.results.tuning import Tuning

__all__ = ["snippet"]

_FROM_ROWS = ("engines", "device", "precision")
"""Settings that the call takes from the rows."""


def snippet(report: ReportData) -> str:
    """Return Python code that repeats a run: its engines, device and settings.

    It expects the variables ``model`` and ``inputs``.
    """
    defaults = {field.name: field.default for field in attrs.fields(Settings)}
    settings = {
        name: value
        for name, value in report.settings.items()
        if name in defaults and name not in _FROM_ROWS and value not in (None, defaults[name])
    }
    context = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    method, arguments = _call(report)
    engines = list(dict.fromkeys(_choice(row, report.tuning, method) for row in report.results))
    devices = sorted({row.device_name for row in report.results} - {"cpu"})
    lines = ["from lexer.api.lexer_context import LexerContext"]
    if any(text.startswith("EngineChoice") for text in engines):
        lines.append("from lexer_core import EngineChoice")
    lines += [
        "",
        f"context = LexerContext({context})",
        f"report = context.{method}(",
        "    model,",
        "    inputs,",
        *(f"    {name}={value!r}," for name, value in arguments.items()),
    ]
    if engines:
        lines += ["    engines=[", *(f"        {text}," for text in engines), "    ],"]
    if len(devices) == 1:
        lines.append(f"    device={devices[0]!r},")
    return "\n".join([*lines, ")"])


def _call(report: ReportData) -> tuple[str, dict[str, object]]:
    """Return the method of the context that made the report, and its own arguments."""
    if report.tuning is not None:
        return "tune", _tuning_arguments(report.tuning, report.load_test)
    if report.load_test is not None:
        return "load", _load_arguments(report.load_test)
    return "benchmark", {}


def _tuning_arguments(tuning: Tuning, test: LoadTest | None) -> dict[str, object]:
    goals: dict[str, list[str]] = {"minimize": [], "maximize": []}
    for goal in tuning.goals:
        direction, _, figure = goal.partition(" ")
        goals.setdefault(direction, []).append(figure)
    vary = {
        axis: [int(value) if value.isdecimal() else value for value in values]
        for axis, values in tuning.vary.items()
    }
    arguments: dict[str, object] = {
        "vary": vary,
        **goals,
        # A tuning for a rate lists its objective among the limits.
        "limits": [limit for limit in tuning.limits if test is None or limit != test.slo],
        "slo": test.slo if test else "",
    }
    return {name: value for name, value in arguments.items() if value}


def _load_arguments(test: LoadTest) -> dict[str, object]:
    tried = test.configurations
    arguments: dict[str, object] = {
        "slo": test.slo,
        "instances": sorted({each.instances for each in tried}),
        "threads": sorted({each.threads for each in tried}),
        "shared_session": any(each.shared_session for each in tried),
        "arrivals": "" if test.arrivals == "poisson" else test.arrivals,
        "batch_up_to": max((each.batch_up_to for each in tried), default=1),
        "batch_wait_ms": test.batch_wait_ms,
    }
    return {name: value for name, value in arguments.items() if value and value != 1}


def _choice(row: BenchmarkResult, tuning: Tuning | None, method: str) -> str:
    name = row.engine_name or row.engine
    varied = tuning.vary if tuning else {}
    options = {
        option: value for option, value in row.options.items() if f"{name}.{option}" not in varied
    }
    if row.precision and "precision" not in varied:
        options["precision"] = row.precision
    # The other methods choose the labels.
    label = row.label if method == "benchmark" and row.label != name else ""
    if not options and (not label or row.label == row.engine):
        return repr(name)
    words = [repr(name)]
    if options:
        words.append(f"options={options!r}")
    if label:
        words.append(f"label={label!r}")
    return f"EngineChoice({', '.join(words)})"
