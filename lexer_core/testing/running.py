"""What is the result of a check, whatever the engine does?"""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

from lexer_core.engine_helpers import error_summary
from lexer_core.engines.exceptions import exception_location
from lexer_core.errors import LexerError
from lexer_core.testing.outcomes import CheckFailed, CheckResult, Skip

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture
    from lexer_core.testing.outcomes import Status
    from lexer_core.testing.suite import Check

__all__ = ["run_check"]


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
        details = "" if cause is None else "".join(traceback.format_exception(cause))
        return result("failed", failed.what, failed.hint, details)
    except LexerError as error:
        details = "".join(traceback.format_exception(error))
        return result("failed", error.message, error.hint, details)
    except (Exception, SystemExit) as error:
        details = "".join(traceback.format_exception(error))
        place = exception_location(error)
        where = f" ({place})" if place else ""
        return result("failed", f"{error_summary(error)}{where}", details=details)
    return result("passed")
