"""Which checks exist, and in which order do they run?

The same table serves pytest, the command line and the documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.testing.checks import (
    devices,
    discovery,
    errors,
    exports,
    options,
    outputs,
    precisions,
    profiles,
    resources,
    sessions,
    side_effects,
    timing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.testing.outcomes import Level
    from lexer_core.testing.suite import Check, Suite

__all__ = ["CHECKS", "SUITES", "checks_of"]

SUITES: tuple[Suite, ...] = (
    discovery.SUITE,
    devices.SUITE,
    outputs.SUITE,
    sessions.SUITE,
    timing.SUITE,
    profiles.SUITE,
    options.SUITE,
    precisions.SUITE,
    errors.SUITE,
    exports.SUITE,
    resources.SUITE,
    side_effects.SUITE,
)
"""The checks by topic."""

CHECKS: Mapping[str, Check] = {check.name: check for suite in SUITES for check in suite.checks}
"""All checks by name."""


def checks_of(level: Level) -> tuple[Check, ...]:
    """Return the checks of a level; ``full`` includes ``basic``."""
    return tuple(check for check in CHECKS.values() if level in ("full", check.level))
