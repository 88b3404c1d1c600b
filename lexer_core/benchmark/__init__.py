"""How is a case measured?

The package is also the function :func:`lexer_core.context.benchmark`, so that
``lexer_core.benchmark(model, x)`` works whether or not one of its modules was imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import lexer_core

if TYPE_CHECKING:
    from lexer_core import BenchmarkReport


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> BenchmarkReport:
        """Benchmark a model; see :func:`lexer_core.context.benchmark`."""
        return lexer_core.LexerContext().benchmark(*arguments, **named)


sys.modules[__name__].__class__ = _CallablePackage
