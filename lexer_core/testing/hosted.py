"""What carries out checks in a process of their own?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.errors import TargetError
from lexer_core.testing.check_table import CHECKS
from lexer_core.testing.declarations import EngineUnderTest
from lexer_core.testing.engine_fixture import Subject
from lexer_core.testing.running import run_check

if TYPE_CHECKING:
    from lexer_core.testing.outcomes import CheckResult

__all__ = ["HostedChecks", "load_declarations"]


class HostedChecks:
    """Carries out checks on one engine; lives in a worker process."""

    def __init__(self) -> None:
        self._subject: Subject | None = None

    def take(self, name: str, device: str, threads: int, declarations: str, folder: str) -> None:
        """Say which engine is to be checked.

        Parameters
        ----------
        name
            The engine's.
        device, threads
            Where to run it; what is declared where empty or 0.
        declarations
            ``"module:Class"``, or empty.
        folder
            Where models are written; empty.
        """
        base = load_declarations(declarations) if declarations else EngineUnderTest
        given: dict[str, object] = {"engine_name": name}
        if device:
            given["device"] = device
        if threads:
            given["threads"] = threads
        self._subject = Subject(
            declared=type(base.__name__, (base,), given),
            folder=Path(folder),
            isolated=True,
            is_declared=bool(declarations),
        )

    def run(self, check: str) -> CheckResult:
        """Carry out one check."""
        assert self._subject is not None
        return run_check(CHECKS[check], self._subject)


def load_declarations(text: str) -> type[EngineUnderTest]:
    """Import the declarations that ``module:Class`` names.

    The current folder can be imported from.

    Raises
    ------
    TargetError
        There is no such class, or it declares nothing.
    """
    module, colon, name = text.partition(":")
    how = "Write package.module:Class; the class derives from EngineUnderTest or EngineConformance."
    if not (module and colon and name):
        raise TargetError(f"{text!r} does not name a class.", hint=how)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name, None)
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{module!r} cannot be imported: {type(error).__name__}: {error}", hint=how
        ) from error
    if not (isinstance(found, type) and issubclass(found, EngineUnderTest)):
        raise TargetError(f"{text!r} is not a class that declares an engine.", hint=how)
    return found
