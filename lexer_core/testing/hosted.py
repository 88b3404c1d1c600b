"""What runs checks in a worker process?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import TargetError
from lexer_core.testing.check_table import CHECKS
from lexer_core.testing.declarations import EngineUnderTest
from lexer_core.testing.engine_fixture import EngineFixture
from lexer_core.testing.outcomes import CheckResult  # noqa: TC001  a reply's declared type
from lexer_core.testing.running import run_check

__all__ = ["HostedChecks", "load_declarations", "shipped_declarations"]


class HostedChecks:
    """Runs checks on one engine; hosted by a worker process."""

    def __init__(self) -> None:
        self._fixture: EngineFixture | None = None

    def set_engine(
        self, name: str, device: str, threads: int, declarations: str, folder: str
    ) -> None:
        """Set the engine to check.

        Parameters
        ----------
        name
            The engine's name.
        device, threads
            Where to run it; if empty or 0, as declared.
        declarations
            ``"module:Class"``; if empty, those that the plugin ships.
        folder
            An empty folder for models.
        """
        declarations = declarations or shipped_declarations(name)
        base = load_declarations(declarations) if declarations else EngineUnderTest
        attributes: dict[str, object] = {"engine_name": name}
        if device:
            attributes["device"] = device
        if threads:
            attributes["threads"] = threads
        self._fixture = EngineFixture(
            declared=type(base.__name__, (base,), attributes),
            folder=Path(folder),
            isolated=True,
            is_declared=bool(declarations),
        )

    def run(self, check: str) -> CheckResult:
        """Run one check."""
        assert self._fixture is not None
        return run_check(CHECKS[check], self._fixture)


def shipped_declarations(name: str) -> str:
    """Return the declarations that an engine's plugin ships, ``"module:Class"``, or ``""``."""
    info = EngineRegistry().listing(name).info
    return info.declarations if info is not None else ""


def load_declarations(text: str) -> type[EngineUnderTest]:
    """Import the class of declarations ``module:Class``, also from the current folder.

    Raises
    ------
    TargetError
        The class does not exist, or is not a class of declarations.
    """
    module, colon, name = text.partition(":")
    hint = "Use package.module:Class, a class derived from EngineUnderTest or EngineConformance."
    if not (module and colon and name):
        raise TargetError(f"{text!r} does not name a class.", hint=hint)
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        cls = getattr(import_module(module), name, None)
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{module!r} cannot be imported: {type(error).__name__}: {error}", hint=hint
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, EngineUnderTest)):
        raise TargetError(f"{text!r} is not a class that declares an engine.", hint=hint)
    return cls
