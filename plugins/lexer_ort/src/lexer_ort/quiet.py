"""How is an exporter silenced without losing its messages?"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Captured", "quiet"]

_FAMILIES = ("torch", "onnxscript", "onnx_ir")


@frozen(eq=False)
class Captured:
    """An exporter's output: printed text and log messages, and warnings."""

    stream: io.StringIO = field(factory=io.StringIO)
    warnings: list[warnings.WarningMessage] = field(factory=list)

    @property
    def text(self) -> str:
        """Printed text and log messages, in order."""
        return self.stream.getvalue()

    def first_warning(self, category: str) -> str:
        """Return the first line of the first warning of a category, or ``""``."""
        for warning in self.warnings:
            if warning.category.__name__ == category:
                return str(warning.message).strip().splitlines()[0]
        return ""


@contextlib.contextmanager
def quiet() -> Iterator[Captured]:
    """Capture the printed text, warnings and log messages of an export.

    Yields
    ------
    Captured
        The messages so far; warnings are added at the end.
    """
    captured = Captured()
    handler = logging.StreamHandler(captured.stream)
    handler.setLevel(logging.WARNING)
    # Many of torch's loggers have their own handlers that write to stderr, so
    # messages must be captured at each of them.
    with (
        _handled_by(handler),
        contextlib.redirect_stdout(captured.stream),
        contextlib.redirect_stderr(captured.stream),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            yield captured
        finally:
            captured.warnings.extend(caught)


@contextlib.contextmanager
def _handled_by(handler: logging.Handler) -> Iterator[None]:
    loggers = [logging.getLogger(family) for family in _FAMILIES]
    loggers += [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
        and logger.handlers
        and name.split(".")[0] in _FAMILIES
        and name not in _FAMILIES
    ]
    before = [(logger.propagate, logger.handlers[:]) for logger in loggers]
    try:
        for logger in loggers:
            logger.propagate = False
            logger.handlers[:] = [handler]
        yield
    finally:
        for logger, (propagate, handlers) in zip(loggers, before, strict=True):
            logger.propagate = propagate
            logger.handlers[:] = handlers
