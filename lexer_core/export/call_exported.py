"""What does an engine return for an exported file?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.engines.choice import resolve_options
from lexer_core.export.flat_inputs import inputs_of_export
from lexer_core.records import CPU, CallInputs, CallStructure, SessionConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.engines.engine import Engine
    from lexer_core.records import ExportedModel

__all__ = ["call_exported"]

_HOOK = "lexer_create_session"


def call_exported(
    engine: Engine,
    exported: ExportedModel,
    input_sets: Sequence[Mapping[str, npt.NDArray[Any]]],
    threads: int,
) -> tuple[Mapping[str, npt.NDArray[Any]], ...]:
    """Call an exported model on the CPU, once with each set of inputs.

    Returns
    -------
    tuple
        The outputs of each call, by name.

    Raises
    ------
    EngineError
        The engine cannot run it.
    """
    device = engine.find_device(CPU.name)
    config = SessionConfig(threads=threads, options=resolve_options(engine, {}), isolated=False)
    session = engine.create_session(exported, device, config)
    expected = tuple(output.name for output in exported.outputs)
    results: list[Mapping[str, npt.NDArray[Any]]] = []
    try:
        with engine.call_context(session):
            for arrays in input_sets:
                given = CallInputs(arrays=arrays, structure=CallStructure())
                inputs = inputs_of_export(given, exported)
                call = engine.make_call(session, engine.place_inputs(session, inputs, device))
                with engine.naming(_HOOK):
                    outputs = call.run()
                engine.synchronize(session, device)
                results.append(engine.fetch_outputs(session, outputs, expected=expected))
    finally:
        with engine.naming(_HOOK):
            session.close()
    return tuple(results)
