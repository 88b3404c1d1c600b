"""Does a profile say where the time of calls goes?"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.export.formats import ONNX
from lexer_core.export.module_scopes import read_module_scopes
from lexer_core.profiling.attribution import unknown_nodes
from lexer_core.records import Call
from lexer_core.testing.expectations import expect_outputs_or_caveat
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import ProfiledOperation
    from lexer_core.testing.engine_fixture import EngineFixture, OpenSession

__all__ = ["SUITE"]

SUITE = Suite("Profiles")

_CALLS = 5
_LEAST_SHARE = 0.5
_TOLERANCE = 1.1


@SUITE.check("full", "The times of a profile are those of the calls, and do not overlap.")
def profiles_add_up(fixture: EngineFixture) -> None:
    """Profile calls of a slow model, and compare the sum with the time of other calls."""
    with _profiling_session(fixture, "slow") as opened:
        call = opened.call(opened.case.trials()[0])
        opened.run(call)
        shortest = min(_seconds(opened, call) for _ in range(_CALLS))
        made = 0

        def run() -> Any:
            nonlocal made
            made += 1
            return call.run()

        start = time.perf_counter()
        operations = _profile(opened, Call(run=run, reset=call.reset))
        elapsed = time.perf_counter() - start
    if made != _CALLS:
        raise CheckFailed(
            f"{made} calls were made and profiled instead of {_CALLS}.",
            "Make exactly count calls; the core makes some before them.",
        )
    total = math.fsum(operation.seconds for operation in operations)
    most = _TOLERANCE * elapsed * fixture.declared.threads
    if not _LEAST_SHARE * shortest * _CALLS <= total <= most:
        raise CheckFailed(
            f"the operations of {_CALLS} calls add up to {total * 1e3:.3g} ms; such a call takes "
            f"{shortest * 1e3:.3g} ms, and the profiled calls took {elapsed * 1e3:.3g} ms.",
            "Return for each operation the seconds of all its executions, and leave out those "
            "that are part of another one.",
        )


@SUITE.check("full", "A profile refers to nodes that the model has.")
def profiles_name_nodes_of_the_model(fixture: EngineFixture) -> None:
    """Look up the nodes of a profile in the exported graph."""
    with _profiling_session(fixture, "one_input") as opened:
        if opened.exported.format != ONNX.name or opened.exported.path is None:
            raise Skip(f"the nodes of the format {opened.exported.format} are not known")
        call = opened.call(opened.case.trials()[0])
        opened.run(call)
        operations = _profile(opened, call)
        nodes = read_module_scopes(opened.exported.path)
    if nodes is None:
        raise Skip("onnx is not installed, so the nodes of the model are not known")
    if unknown := unknown_nodes(operations, nodes):
        raise CheckFailed(
            f"operations refer to nodes that the model does not have: {', '.join(unknown[:5])}.",
            "Return in ProfiledOperation.nodes names of nodes of the exported graph, or of their "
            "outputs; those that the runtime adds have none.",
        )


@SUITE.check("full", "A session that is created for profiling computes the same outputs.")
def profiled_sessions_are_right(fixture: EngineFixture) -> None:
    """Compare the outputs of a profiling session with the reference."""
    with _profiling_session(fixture, "one_input") as opened:
        for number, arrays in enumerate(opened.case.trials(), start=1):
            expect_outputs_or_caveat(
                opened.answer(arrays),
                opened.case.reference(arrays),
                caveat=opened.caveat,
                after=f"in a profiling session, for inputs {number}",
                hint="config.profiling must not change what is computed.",
            )


@contextmanager
def _profiling_session(fixture: EngineFixture, model: str) -> Iterator[OpenSession]:
    if not fixture.engine.implements("lexer_profile_calls"):
        raise Skip("the engine does not profile calls (it has no lexer_profile_calls)")
    config = attrs.evolve(fixture.config(), profiling=True)
    with fixture.session(model, config=config) as opened:
        yield opened


def _profile(opened: OpenSession, call: Call) -> tuple[ProfiledOperation, ...]:
    engine = opened.engine
    with engine.call_context(opened.session):
        operations = engine.profile_calls(opened.session, call, _CALLS)
    if operations is None:
        raise Skip("the engine cannot profile calls in this configuration")
    return operations


def _seconds(opened: OpenSession, call: Call) -> float:
    start = time.perf_counter()
    opened.run(call)
    return time.perf_counter() - start
