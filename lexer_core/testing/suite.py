"""What is a check, and how are checks grouped?"""

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
    """A requirement on an engine.

    Parameters
    ----------
    name
        A stable name: ``xfail`` marks and scripts refer to it.
    level
        The lowest level at which it runs.
    protects
        What a user can rely on if it passes; one sentence.
    run
        Returns if the engine meets the requirement; otherwise raises
        :class:`~lexer_core.testing.outcomes.CheckFailed`, or
        :class:`~lexer_core.testing.outcomes.Skip`. Exceptions of the engine count
        as failures, too.
    """

    name: str
    level: Level
    protects: str
    run: Callable[[EngineFixture], None]


@define(eq=False)
class Suite:
    """Checks on one topic, in the order in which they run and are shown."""

    title: str
    checks: list[Check] = field(factory=list)

    def add(self, check: Check) -> None:
        """Append a check."""
        self.checks.append(check)

    def check(
        self, level: Level, protects: str
    ) -> Callable[[Callable[[EngineFixture], None]], Callable[[EngineFixture], None]]:
        """Add a function as a check of this suite, under its own name."""

        def register(run: Callable[[EngineFixture], None]) -> Callable[[EngineFixture], None]:
            self.add(Check(name=run.__name__, level=level, protects=protects, run=run))
            return run

        return register
