"""What must a way to reach machines be able to do?

An executor lists machines and lets them perform actions of
:mod:`lexer_core.fleet.machine`; everything else is the same for all of them. Each one is
a file: :mod:`lexer_core.fleet.this_machine` without a network,
:mod:`lexer_core.fleet.dask_executor` through Dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lexer_core.fleet.records import ConnectedMachine

__all__ = ["Executor", "Reply", "Said"]


@frozen(kw_only=True, eq=False)
class Reply:
    """The end of an action: the machine's answer, or why there is none.

    ``lost`` says in words that the machine is gone; it is empty if ``answer`` is what
    :func:`lexer_core.fleet.machine.perform` returned.
    """

    machine: str
    answer: bytes = b""
    lost: str = ""


@frozen(kw_only=True, eq=False)
class Said:
    """What a machine tells while it performs an action."""

    machine: str
    text: str


class Executor(Protocol):
    """Lets machines perform actions, one at a time on each machine."""

    def __enter__(self) -> Self:
        """Connect."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect, also after an error."""

    def machines(self) -> Sequence[ConnectedMachine]:
        """Return the machines that are connected now.

        Raises
        ------
        FleetError
            None can be reached.
        """

    def start(self, machine: str, action: str, arguments: str, content: bytes) -> None:
        """Let a machine perform an action; returns at once.

        The parameters are those of :func:`lexer_core.fleet.machine.perform`. A machine that
        is gone gives a reply, too.
        """

    def wait(self, seconds: float) -> Sequence[Reply | Said]:
        """Return what has come since the last call; wait for it at most this long."""
