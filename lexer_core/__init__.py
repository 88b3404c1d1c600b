"""Lexer: which engine runs a model fastest, and are its outputs correct?

Public names are imported on first use, so that ``import lexer_core`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lexer_core import renamed

if TYPE_CHECKING:
    from lexer_core.comparison import compare
    from lexer_core.context import LexerContext, benchmark
    from lexer_core.decorator import Lexer
    from lexer_core.engines.choice import EngineChoice
    from lexer_core.errors import LexerError
    from lexer_core.hookspecs import hookimpl
    from lexer_core.load_report import LoadReport
    from lexer_core.loading import load
    from lexer_core.merged import MergedRuns, merge
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.tuning_report import TuningReport

__version__ = "0.1.0"

__all__ = [
    "BenchmarkReport",
    "BenchmarkResult",
    "EngineChoice",
    "Lexer",
    "LexerContext",
    "LexerError",
    "LoadReport",
    "MergedRuns",
    "TuningReport",
    "__version__",
    "benchmark",
    "compare",
    "hookimpl",
    "load",
    "merge",
]

_HOMES = {
    "BenchmarkReport": "lexer_core.report",
    "BenchmarkResult": "lexer_core.results",
    "EngineChoice": "lexer_core.engines.choice",
    "Lexer": "lexer_core.decorator",
    "LexerContext": "lexer_core.context",
    "LexerError": "lexer_core.errors",
    "LoadReport": "lexer_core.load_report",
    "MergedRuns": "lexer_core.merged",
    "TuningReport": "lexer_core.tuning_report",
    "compare": "lexer_core.comparison",
    "hookimpl": "lexer_core.hookspecs",
    "load": "lexer_core.loading",
    "merge": "lexer_core.merged",
}


renamed.install()


def __getattr__(name: str) -> object:
    if name == "benchmark":
        return import_module("lexer_core.benchmark")  # the package is callable
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
