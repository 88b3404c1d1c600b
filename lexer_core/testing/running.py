"""What is the result of a check, whatever the engine does?"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

import lexer_core
from lexer_core.engine_helpers import error_summary
from lexer_core.engines.exceptions import exception_location
from lexer_core.errors import LexerError
from lexer_core.testing.outcomes import CheckFailed, CheckResult, Skip

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture
    from lexer_core.testing.outcomes import Status
    from lexer_core.testing.suite import Check

__all__ = ["run_check"]

_OWN_FOLDERS = tuple(
    str(Path(module).parent) + os.sep for module in (lexer_core.__file__, pluggy.__file__)
)


def run_check(check: Check, fixture: EngineFixture) -> CheckResult:
    """Run a check in this process.

    Parameters
    ----------
    check
        The check.
    fixture
        The engine.

    Returns
    -------
    CheckResult
        Also for an exception of the engine; a crash of the runtime ends the process.
    """
    start = time.perf_counter()

    def result(status: Status, reason: str = "", hint: str = "", details: str = "") -> CheckResult:
        return CheckResult(
            name=check.name,
            status=status,
            reason=reason,
            hint=hint,
            details=details,
            seconds=time.perf_counter() - start,
        )

    try:
        check.run(fixture)
    except Skip as skip:
        return result("skipped", skip.reason)
    except CheckFailed as failed:
        cause = failed.__cause__
        details = "" if cause is None else _traceback(cause)
        return result("failed", failed.what, failed.hint, details)
    except LexerError as error:
        details = _traceback(error)
        return result("failed", error.message, error.hint, details)
    except (Exception, SystemExit) as error:
        details = _traceback(error)
        place = exception_location(error)
        where = f" ({place})" if place else ""
        return result("failed", f"{error_summary(error)}{where}", details=details)
    return result("passed")


def _traceback(error: BaseException) -> str:
    """Format an exception and its causes, with the frames of plugin and runtime only.

    Frames of the core and of pluggy are left out, unless there are no others.
    """
    formatted = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = formatted
    while part is not None:
        foreign = [frame for frame in part.stack if not frame.filename.startswith(_OWN_FOLDERS)]
        if foreign:
            part.stack = traceback.StackSummary.from_list(foreign)
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return "".join(formatted.format())
