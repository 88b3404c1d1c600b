"""What becomes of a test whose claim is refuted, or cannot be decided here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn, get_args

import pytest

from lexer_core.errors import SettingError

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult

__all__ = ["Undecided", "check_undecided", "is_missing_here", "leave_undecided", "refute"]

Undecided = Literal["skip", "fail"]
"""What a test does if the machine cannot tell."""

_MISSING_HERE = {
    "DeviceUnavailableError",
    "EngineUnavailableError",
    "MissingPackageError",
    "UnknownEngineError",
}
"""Errors that are due to what this machine has, not to the model."""


def check_undecided(undecided: str) -> None:
    """Check the argument before anything is measured.

    Raises
    ------
    SettingError
        It is not one of the choices.
    """
    if undecided not in get_args(Undecided):
        raise SettingError(f"undecided must be 'skip' or 'fail', not {undecided!r}.")


def is_missing_here(row: BenchmarkResult) -> bool:
    """Return whether a row has no results because this machine lacks its engine or device."""
    return row.error is not None and row.error.kind in _MISSING_HERE


def refute(message: str) -> NoReturn:
    """Fail the test: the measurement shows that the claim is false."""
    __tracebackhide__ = True
    raise AssertionError(message)


def leave_undecided(message: str, undecided: Undecided) -> NoReturn:
    """Skip the test, or fail it if requested: the measurement does not decide the claim."""
    __tracebackhide__ = True
    if undecided == "fail":
        raise AssertionError(f"{message}\n  It fails instead of being skipped: undecided='fail'.")
    pytest.skip(message)
