"""Are the outputs of each model correct?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lexer_core.errors import UnsupportedError
from lexer_core.testing.expectations import expect_outputs_or_caveat
from lexer_core.testing.model_zoo import MODEL_ZOO, ModelCase
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Check, Suite

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Outputs")


def outputs_are_right(case: ModelCase, fixture: EngineFixture) -> None:
    """Run a model of the zoo on several inputs in one session."""
    fixture.require(case.needs)
    try:
        with fixture.session(case.name) as opened:
            for number, arrays in enumerate(case.trials(), start=1):
                shapes = ", ".join(f"{name}{list(a.shape)}" for name, a in arrays.items())
                expect_outputs_or_caveat(
                    opened.answer(arrays),
                    case.reference(arrays),
                    caveat=opened.caveat,
                    after=f"for inputs {number} ({shapes})",
                    hint=case.protects,
                )
    except UnsupportedError as error:
        if case.needs and not fixture.is_declared:
            raise Skip(f"refused: {error.message}") from error
        hint = f"{error.hint}\n" if error.hint else ""
        if case.needs:
            hint += f"If the engine cannot do this, declare it: cannot = {{{case.needs!r}: why}}."
        raise CheckFailed(f"{error.message}", hint) from error


for _case in MODEL_ZOO:
    SUITE.add(
        Check(
            name=f"outputs_{_case.name}",
            level=_case.level,
            protects=_case.protects,
            run=partial(outputs_are_right, _case),
        )
    )
