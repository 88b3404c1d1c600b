"""What are the possible outcomes of a check?"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

__all__ = ["CheckFailed", "CheckResult", "Level", "Skip", "Status"]

Level = Literal["basic", "full"]
"""``basic`` is what an engine needs to be measured at all; ``full`` is everything."""

Status = Literal["passed", "failed", "skipped"]


class CheckFailed(Exception):  # noqa: N818 - named after the outcome
    """The engine fails a check.

    Parameters
    ----------
    what
        What was observed, in a sentence.
    hint
        What to do, or why it matters, in one or more lines.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        indented = "".join(f"\n  {line}" for line in self.hint.splitlines())
        return f"{self.what}{indented}"


class Skip(Exception):  # noqa: N818 - named after the outcome
    """The check does not apply to this engine, for the given reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@frozen(kw_only=True)
class CheckResult:
    """The result of a check.

    Parameters
    ----------
    name
        The check's name.
    status
        ``passed``, ``failed`` or ``skipped``.
    reason
        What was observed, or why the check does not apply; empty if it passed.
    hint
        What to do.
    details
        A traceback, or the output of a process that died; may be empty.
    seconds
        How long the check took.
    """

    name: str
    status: Status
    reason: str = ""
    hint: str = ""
    details: str = ""
    seconds: float = 0.0
