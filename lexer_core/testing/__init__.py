"""How does the author of an engine know that it is correct?

The conformance kit: :class:`EngineConformance` for pytest, and ``lexer engines
check`` for the command line. Names are imported on first use, so that pytest and
numpy are only imported if needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lexer_core.hookspecs import CONTRACT_VERSION

if TYPE_CHECKING:
    from lexer_core.testing.check_table import CHECKS
    from lexer_core.testing.declarations import EngineUnderTest
    from lexer_core.testing.model_zoo import MODELS, ModelCase
    from lexer_core.testing.outcomes import CheckFailed, Skip
    from lexer_core.testing.pytest_class import EngineConformance

__all__ = [
    "CHECKS",
    "KIT_VERSION",
    "MODELS",
    "CheckFailed",
    "EngineConformance",
    "EngineUnderTest",
    "ModelCase",
    "Skip",
]

KIT_VERSION = f"{CONTRACT_VERSION}.5"
"""The version of the contract and the edition of the kit for it.

The second number is raised when a check is added or becomes stricter: an engine
that passed may then fail, although the contract is the same.
"""

_HOMES = {
    "CHECKS": "lexer_core.testing.check_table",
    "CheckFailed": "lexer_core.testing.outcomes",
    "EngineConformance": "lexer_core.testing.pytest_class",
    "EngineUnderTest": "lexer_core.testing.declarations",
    "MODELS": "lexer_core.testing.model_zoo",
    "ModelCase": "lexer_core.testing.model_zoo",
    "Skip": "lexer_core.testing.outcomes",
}


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
