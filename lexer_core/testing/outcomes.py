"""What can come of a check?"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

__all__ = ["LEVELS", "CheckFailed", "CheckResult", "Level", "Skip", "Status"]

Level = Literal["basic", "full"]

LEVELS: tuple[Level, ...] = ("basic", "full")
"""``basic`` is what every engine needs to be measured at all; ``full`` has all of it."""

Status = Literal["passed", "failed", "skipped"]


class CheckFailed(Exception):  # noqa: N818 - reads as what happened
    """The engine does not keep what a check protects.

    Parameters
    ----------
    what
        What was seen, in a sentence.
    hint
        Why it matters or what to do, in one or more lines.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        indented = "".join(f"\n  {line}" for line in self.hint.splitlines())
        return f"{self.what}{indented}"


class Skip(Exception):  # noqa: N818 - reads as what happened
    """The check does not apply to this engine, for a reason that is shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen(kw_only=True)
class CheckResult:
    """What came of one check.

    Parameters
    ----------
    name
        The check's.
    status
        ``passed``, ``failed`` or ``skipped``.
    reason
        What was seen, or why it does not apply; empty where it passed.
    hint
        What to do about it.
    details
        A traceback, or what the process printed before it died; may be empty.
    seconds
        How long it took.
    """

    name: str
    status: Status
    reason: str = ""
    hint: str = ""
    details: str = ""
    seconds: float = 0.0
