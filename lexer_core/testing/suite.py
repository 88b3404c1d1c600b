"""What is a check, and which belong together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.testing.engine_fixture import EngineFixture
    from lexer_core.testing.outcomes import Level

__all__ = ["Check", "Suite"]


@frozen(kw_only=True, eq=False)
class Check:
    """One thing that an engine has to keep.

    Parameters
    ----------
    name
        Stable: ``xfail`` marks and scripts refer to it.
    level
        The lowest level at which it runs.
    protects
        What a user could not rely on if it failed; one sentence.
    run
        Returns where the engine keeps it. Raises
        :class:`~lexer_core.testing.outcomes.CheckFailed` or
        :class:`~lexer_core.testing.outcomes.Skip`; whatever the engine raises
        meanwhile is a failure too.
    """

    name: str
    level: Level
    protects: str
    run: Callable[[EngineFixture], None]


@define(eq=False)
class Suite:
    """Checks about one matter, in the order in which they are run and shown."""

    title: str
    checks: list[Check] = field(factory=list)

    def add(self, check: Check) -> None:
        """Put a check at the end."""
        self.checks.append(check)

    def check(
        self, level: Level, protects: str
    ) -> Callable[[Callable[[EngineFixture], None]], Callable[[EngineFixture], None]]:
        """Make a function a check of this suite, under its own name."""

        def register(run: Callable[[EngineFixture], None]) -> Callable[[EngineFixture], None]:
            self.add(Check(name=run.__name__, level=level, protects=protects, run=run))
            return run

        return register
