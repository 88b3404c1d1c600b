"""How does an engine's author run the kit in pytest?

Each check is a test method with a stable name. Checks run in the test process, so
that debuggers and coverage tools work. This module imports pytest, which no other
part of Lexer needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.testing.check_table import CHECKS, checks_of
from lexer_core.testing.declarations import EngineUnderTest
from lexer_core.testing.engine_fixture import EngineFixture
from lexer_core.testing.hosted import load_declarations, shipped_declarations
from lexer_core.testing.running import run_check

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.testing.outcomes import Level
    from lexer_core.testing.suite import Check

__all__ = ["EngineConformance"]


class EngineConformance(EngineUnderTest):
    """All checks of an engine, as tests::

        from lexer_core.testing import EngineConformance


        class TestMyEngine(EngineConformance):
            engine_name = "myengine"

    What the engine cannot do is declared; see
    :class:`~lexer_core.testing.declarations.EngineUnderTest`. A test that is
    overridden fails, unless the override is marked ``xfail`` with a reason::

        @pytest.mark.xfail(reason="the runtime rounds int64, see its issue 12")
        def test_outputs_int64(self):
            super().test_outputs_int64()

    Attributes
    ----------
    level
        ``"basic"`` or ``"full"``.
    """

    level: ClassVar[Level] = "full"
    _fixture: ClassVar[EngineFixture | None] = None
    _open_folder: ClassVar[TemporaryFolder | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, own in _TESTS.items():
            found = getattr(cls, name, None)
            if found is not own and not _is_expected_to_fail(found):
                setattr(cls, name, _refuse_override(name))

    @classmethod
    def setup_class(cls) -> None:
        """Create the fixture that all tests of the class share."""
        cls._open_folder = TemporaryFolder("check")
        shipped = shipped_declarations(cls.engine_name)
        base = load_declarations(shipped) if shipped else EngineUnderTest
        # The attributes of the class come first, then those that the plugin ships.
        declared = cls if issubclass(cls, base) else type(cls.__name__, (cls, base), {})
        cls._fixture = EngineFixture(
            declared=declared, folder=cls._open_folder.path, isolated=False
        )

    @classmethod
    def teardown_class(cls) -> None:
        """Remove the models."""
        cls._fixture = None
        if cls._open_folder is not None:
            cls._open_folder.remove()
            cls._open_folder = None


_TESTS: dict[str, Callable[[EngineConformance], None]] = {}


def _test_of(check: Check) -> Callable[[EngineConformance], None]:
    def test(self: EngineConformance) -> None:
        if check not in checks_of(self.level):
            pytest.skip(f"level {check.level}; this class is checked at level {self.level}")
        assert self._fixture is not None, "setup_class of the kit was not called"
        result = run_check(check, self._fixture)
        if result.status == "skipped":
            pytest.skip(result.reason)
        if result.status == "failed":
            parts = (result.reason, result.hint, f"It protects: {check.protects}", result.details)
            pytest.fail("\n".join(part for part in parts if part), pytrace=False)

    test.__name__ = f"test_{check.name}"
    test.__qualname__ = f"{EngineConformance.__qualname__}.{test.__name__}"
    test.__doc__ = check.protects
    test.__module__ = __name__
    return test


def _is_expected_to_fail(test: object) -> bool:
    return any(
        mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip()
        for mark in getattr(test, "pytestmark", ())
    )


def _refuse_override(name: str) -> Callable[[EngineConformance], None]:
    def test(self: EngineConformance) -> None:
        pytest.fail(
            f"{type(self).__name__} overrides {name}.\n"
            "What the engine cannot do is declared in `cannot`; for a known defect, mark the "
            "override with @pytest.mark.xfail(reason=...) and call super().",
            pytrace=False,
        )

    test.__name__ = name
    return test


for _check in CHECKS.values():
    _test = _test_of(_check)
    _TESTS[_test.__name__] = _test
    setattr(EngineConformance, _test.__name__, _test)
