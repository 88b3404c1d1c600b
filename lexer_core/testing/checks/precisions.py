"""Does an engine compute in the precisions that it declares, and refuse all others?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.errors import HookError, LexerError
from lexer_core.precisions import PRECISIONS
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite
from lexer_core.validation import judge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Precision")

_LOWER = ("float16", "bfloat16")
_DIGITS = {"x": 1 + np.arange(1, 7, dtype=np.float32).reshape(2, 3) * np.float32(1.0009765e-4)}
"""Values that neither has."""

_CASE = "one_input"


@SUITE.check("basic", "A precision that the engine does not support is refused.")
def unknown_precision_is_refused(fixture: EngineFixture) -> None:
    """Request an element type that does not exist."""
    engine = fixture.engine
    model, device = fixture.model(_CASE), fixture.device
    try:
        session = engine.create_session(model, device, fixture.config(precision="float3"))
    except HookError as error:
        raise CheckFailed(
            f"with precision 'float3': {error.message}", "Raise UnsupportedError."
        ) from error
    except LexerError:
        return
    session.close()
    raise CheckFailed(
        "precision 'float3', which does not exist, is accepted.",
        "Raise UnsupportedError for every config.precision that the engine does not support.",
    )


@SUITE.check("full", "A row labelled with a precision was computed in it, or says in which one.")
def precisions_take_effect(fixture: EngineFixture) -> None:
    """Request lower precisions, and look for their rounding."""
    accepted = 0
    for precision in _LOWER:
        try:
            with fixture.session(
                "large_values", config=fixture.config(precision=precision)
            ) as opened:
                outputs = opened.answer(_DIGITS)
                said = opened.engine.computed_precision(opened.session)
        except HookError:
            raise
        except LexerError:
            continue  # refused with a reason
        accepted += 1
        if said in ("", precision) and _equal(outputs, opened.case.reference(_DIGITS)):
            raise CheckFailed(
                f"precision {precision!r} is accepted, but outputs have all digits of float32.",
                "Compute in config.precision, raise UnsupportedError, or say in "
                "session.computed_precision what is computed instead.",
            )
    if not accepted:
        raise Skip("the engine computes in the model's own types only")


@SUITE.check("full", "A precision that the engine declares can be measured, and no other one.")
def declared_precisions_are_served(fixture: EngineFixture) -> None:
    """Open a session in each precision."""
    declared = fixture.engine.info.precisions
    if not declared:
        raise Skip("the engine does not declare its precisions")
    for precision in dict.fromkeys((*declared, *PRECISIONS)):
        try:
            with fixture.session(_CASE, config=fixture.config(precision=precision)) as opened:
                opened.answer(opened.case.trials()[0])
        except HookError:
            raise
        except LexerError as error:
            if precision not in declared or precision in fixture.declared.refusable_precisions:
                continue
            raise CheckFailed(
                f"precision {precision!r} is declared, and refused: {error.message}",
                "Leave it out of EngineInfo.precisions. If it depends on the machine, declare it "
                "in `refusable_precisions`.",
            ) from error
        if precision not in declared:
            raise CheckFailed(
                f"precision {precision!r} is accepted, but not declared.",
                "Add it to EngineInfo.precisions, or raise UnsupportedError.",
            )


@SUITE.check("full", "A converted model answers like the model, which stays as it is.")
def conversions_keep_the_model(fixture: EngineFixture) -> None:
    """Convert a model to each precision, run the result, and look at the export."""
    engine = fixture.engine
    if not engine.implements("lexer_convert_model"):
        raise Skip("the engine does not convert models (it has no lexer_convert_model)")
    model = fixture.new_model(_CASE)
    before = _contents(model.path)
    for precision in engine.info.precisions or PRECISIONS:
        try:
            converted = engine.convert_model(model, precision, fixture.new_folder())
        except HookError as error:
            raise CheckFailed(f"to {precision!r}: {error.message}", error.hint) from error
        except LexerError:
            converted = None  # refused with a reason
        if _contents(model.path) != before:
            raise CheckFailed(
                f"converting a model to {precision!r} changes the files of the export.",
                "Write the result to the folder `workdir` only.",
            )
        if converted is None:
            continue
        config = fixture.config(precision=precision)
        with fixture.session(_CASE, exported=converted, config=config) as opened:
            for arrays in opened.case.trials():
                parity = judge(
                    opened.answer(arrays),
                    opened.case.reference(arrays),
                    reference_name="the kit",
                    computed=precision,
                )
                if parity.status == "fail":
                    raise CheckFailed(
                        f"a model that was converted to {precision!r} has other outputs: "
                        f"{parity.reason}.",
                        "Change the types of the weights and operators, and nothing else.",
                    )


def _contents(path: Path | None) -> dict[str, bytes]:
    """Return all files next to an export."""
    if path is None:
        return {}
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(
        np.array_equal(np.asarray(one[name], dtype=np.float64), array.astype(np.float64))
        for name, array in other.items()
    )
