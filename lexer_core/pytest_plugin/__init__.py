"""How does a pytest suite make claims about speed?

pytest does not load this plugin by itself. Opt in with
``pytest -p lexer_core.pytest_plugin``, or in the top-level ``conftest.py``::

    pytest_plugins = ["lexer_core.pytest_plugin"]

The fixture ``lexer_benchmark`` measures a model. :func:`assert_faster` and
:func:`assert_no_regression` fail a test only if the measurement shows that the claim
is false, and skip it if this machine cannot tell. See docs/pytest.md.

PYTEST_DONT_REWRITE: tests may import this module before it is registered as a plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from lexer_core.context import LexerContext
from lexer_core.pytest_plugin.faster import assert_faster
from lexer_core.pytest_plugin.regression import assert_no_regression

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport

__all__ = ["LexerBenchmark", "assert_faster", "assert_no_regression"]


class LexerBenchmark(Protocol):
    """The type of the fixture ``lexer_benchmark``, for annotations."""

    def __call__(self, torch_model: Any, input: object = None, **arguments: Any) -> BenchmarkReport:
        """Benchmark a model; the arguments are those of :meth:`LexerContext.benchmark`."""


@pytest.fixture(scope="session")
def lexer_context() -> LexerContext:
    """Return the context that ``lexer_benchmark`` uses; override it to change settings."""
    return LexerContext(print_report=False)


@pytest.fixture(scope="session")
def lexer_benchmark(lexer_context: LexerContext) -> LexerBenchmark:
    """Return a function that benchmarks a model, and prints the report for failed tests."""

    def benchmark(torch_model: Any, input: object = None, **arguments: Any) -> BenchmarkReport:
        report = lexer_context.benchmark(torch_model, input, **arguments)
        print(report)  # noqa: T201 - pytest shows it with a test that fails
        if report.stopped_because == "interrupted":
            raise KeyboardInterrupt  # the benchmark caught it; pytest has to stop, too
        return report

    return benchmark
