"""Where does the time of a case's calls go?

After the rounds, each case gets a new session that is created for profiling, so that
what profiling costs is in no latency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lexer_core.benchmark.launch import case_spec
from lexer_core.errors import LexerError, UnsupportedError
from lexer_core.export.flat_inputs import inputs_of_export
from lexer_core.export.formats import ONNX
from lexer_core.export.module_scopes import read_module_scopes
from lexer_core.profiling.attribution import attribute
from lexer_core.results.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.export.module_scopes import ScopedNode
    from lexer_core.records import CallInputs, ExportedModel, ProfiledOperation

__all__ = ["profile_case"]

_SECONDS = 0.5
_FEWEST_CALLS, _ENOUGH_CALLS, _MOST_CALLS = 3, 10, 100
_LONG_CALL = 0.5
"""A call of which a few must do, in seconds."""

_NO_HOOK = "the engine cannot tell where the time of a call goes"


def profile_case(
    outcome: CaseOutcome,
    inputs: CallInputs,
    *,
    threads: int,
    start: Callable[[CaseOutcome], LiveCase],
) -> Profile:
    """Profile calls of a case that was measured; an error becomes the profile's reason.

    Parameters
    ----------
    outcome
        The case with its samples.
    inputs
        The inputs of the model's calls.
    threads
        Those of the run.
    start
        Starts a new process for the case.
    """
    median = float(np.median(outcome.log.samples))
    fewest = _ENOUGH_CALLS if median < _LONG_CALL else _FEWEST_CALLS
    calls = min(max(round(_SECONDS / median), fewest), _MOST_CALLS)
    assert outcome.prepared is not None
    exported = outcome.prepared.exported
    try:
        case = start(outcome)
        try:
            operations = None
            if case.can_profile(outcome.case.engine):
                spec = case_spec(outcome, case, threads=threads, profiling=True)
                case.load(spec, inputs_of_export(inputs, exported))
                operations = case.profile(calls)
        finally:
            case.close()
        if operations is None:
            return Profile(status="not_available", reason=_NO_HOOK)
        nodes = _nodes_of(exported, operations)
    except UnsupportedError as error:
        return Profile(status="not_available", reason=error.message)
    except LexerError as error:
        return Profile(status="failed", reason=error.message)
    return attribute(operations, nodes, calls=calls, median_ms=median * 1e3)


def _nodes_of(
    exported: ExportedModel, operations: Sequence[ProfiledOperation]
) -> Sequence[ScopedNode] | None:
    """Return the nodes that operations refer to; ``None`` if they cannot be read."""
    if exported.format != ONNX.name or exported.path is None:
        return ()
    return read_module_scopes(exported.path) if any(each.nodes for each in operations) else ()
