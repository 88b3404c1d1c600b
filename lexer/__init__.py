"""The import paths of the documentation. Everything here is lexer_core's own.

``from lexer import LexerContext`` works for all public names of ``lexer_core``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lexer_core

if TYPE_CHECKING:
    from lexer_core import (
        BenchmarkReport,
        BenchmarkResult,
        EngineChoice,
        Lexer,
        LexerContext,
        LexerError,
        LoadReport,
        MergedRuns,
        TuningReport,
        __version__,
        benchmark,
        compare,
        hookimpl,
        load,
        merge,
    )

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


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(lexer_core, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
