"""Where does the time of a case's calls go?

After the rounds, each case gets a new session that is created for profiling, so that
what profiling costs is in no latency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lexer_core.errors import LexerError, UnsupportedError
from lexer_core.export.formats import ONNX
from lexer_core.export.module_scopes import read_module_scopes
from lexer_core.profiling.attribution import attribute
from lexer_core.results.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.benchmark.case_session import CaseSpec
    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.export.module_scopes import ScopedNode
    from lexer_core.records import CallInputs

__all__ = ["profile_case"]

_SECONDS = 0.5
_FEWEST_CALLS, _ENOUGH_CALLS, _MOST_CALLS = 3, 10, 100
_LONG_CALL = 0.5
"""A call of which a few must do, in seconds."""

_NO_HOOK = "the engine cannot tell where the time of a call goes"


def profile_case(
    outcome: CaseOutcome, case: LiveCase, spec: CaseSpec, inputs: CallInputs
) -> Profile:
    """Profile calls of a case that was measured; an error becomes the profile's reason.

    Parameters
    ----------
    outcome
        The case with its samples.
    case
        A new process for it.
    spec
        What to load, with ``config.profiling``.
    inputs
        The inputs of its calls.
    """
    median = float(np.median(outcome.log.samples))
    fewest = _ENOUGH_CALLS if median < _LONG_CALL else _FEWEST_CALLS
    calls = min(max(round(_SECONDS / median), fewest), _MOST_CALLS)
    try:
        if not case.can_profile(outcome.case.engine):
            return Profile(status="not_available", reason=_NO_HOOK)
        case.load(spec, inputs)
        operations = case.profile(calls)
        if operations is None:
            return Profile(status="not_available", reason=_NO_HOOK)
        path = spec.exported.path
        nodes: Sequence[ScopedNode] | None = ()
        if spec.exported.format == ONNX.name and path and any(each.nodes for each in operations):
            nodes = read_module_scopes(path)
    except UnsupportedError as error:
        return Profile(status="not_available", reason=error.message)
    except LexerError as error:
        return Profile(status="failed", reason=error.message)
    return attribute(operations, nodes, calls=calls, median_ms=median * 1e3)
