"""Does an exported file compute the same outputs as the model?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lexer_core.engines.choice import resolve_options
from lexer_core.errors import EngineError, ExportError
from lexer_core.export.flat_inputs import inputs_of_export
from lexer_core.records import CPU, CallInputs, CallStructure, SessionConfig
from lexer_core.validation import judge, with_second

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.engines.engine import Engine
    from lexer_core.export.exporters import Engines
    from lexer_core.model.reference import Reference
    from lexer_core.model.second_reference import SecondReference
    from lexer_core.records import ExportedModel
    from lexer_core.results import Parity
    from lexer_core.settings.table import Settings
    from lexer_core.validation import Float64Outputs

__all__ = ["check_outputs", "refuse_wrong"]


def check_outputs(
    exported: ExportedModel,
    arrays: Mapping[str, npt.NDArray[Any]],
    reference: Reference,
    *,
    settings: Settings,
    registry: Engines,
    second: SecondReference | None = None,
    second_float64: Callable[[], Float64Outputs] | None = None,
) -> tuple[Parity | None, str]:
    """Call an exported model and compare its outputs with the model's own.

    Parameters
    ----------
    exported
        The exported model, in a format of flat tensors.
    arrays
        Example inputs, by name.
    reference
        The model's own outputs for these inputs.
    settings
        Tolerances and threads.
    registry
        The engines that may run it.
    second, second_float64
        The model's own outputs for second inputs, and a function that returns them in
        float64.

    Returns
    -------
    tuple[Parity | None, str]
        The comparison, or ``None`` if no installed engine can run the file; and
        a sentence that reports the result.
    """
    engines = [
        cast("Engine", engine)
        for engine in registry.ready()
        if exported.format in engine.info.formats
    ]
    # An engine that compiles for a minute only if there is no other.
    engines.sort(key=lambda engine: not engine.info.runs_by_default)
    reasons = []
    for engine in engines:
        name = engine.info.display_name
        try:
            sets = [arrays] if second is None else [arrays, second.arrays]
            outputs, *others = _call(engine, exported, sets, settings.threads or 1)
        except EngineError as error:
            reasons.append(f"{name}: {error.message}")
            continue
        except Exception as error:  # a runtime may raise anything; try the next engine
            reasons.append(f"{name}: {type(error).__name__}: {error}")
            continue
        parity = judge(
            outputs,
            reference.outputs,
            reference_name=reference.name,
            float64=reference.float64,
            rtol=settings.rtol,
            atol=settings.atol,
            not_judged=reference.not_judged,
        )
        for other in others:
            assert second is not None
            second_parity = judge(
                other,
                second.outputs,
                reference_name=reference.name,
                float64=second_float64,
                rtol=settings.rtol,
                atol=settings.atol,
            )
            parity = with_second(parity, second_parity)
        if parity.status == "not_judged":
            return parity, f"outputs were not compared: {parity.reason}"
        size = "" if parity.max_abs_error is None else f", max error {parity.max_abs_error:.1g}"
        verdict = "agree with" if parity.status == "pass" else "differ from"
        return parity, f"outputs {verdict} the model's own, on {name}{size}"
    why = "; ".join(reasons) or f"no ready engine accepts {exported.format!r}"
    return None, f"outputs were not compared with the model's own: {why}"


def refuse_wrong(parity: Parity | None, model_name: str, exporter: str) -> None:
    """Raise an error if an exported model computes different outputs.

    ``exporter`` is the setting; the hint does not suggest the one that was used.

    Raises
    ------
    ExportError
        The outputs differ; nothing has been written yet.
    """
    if parity is not None and parity.status == "fail":
        raise ExportError(
            f"the exported model's outputs differ from those of {model_name}: {parity.reason}.",
            hint=(
                "Nothing was written. Use wider tolerances (rtol=, atol=) if they are close enough."
                if exporter == "torchscript"
                else "Nothing was written. Try exporter='torchscript' or wider tolerances (rtol=, "
                "atol=)."
            )
            + "\nvalidation=False writes the file without comparing.",
        )


def _call(
    engine: Engine,
    exported: ExportedModel,
    input_sets: Sequence[Mapping[str, npt.NDArray[Any]]],
    threads: int,
) -> list[Mapping[str, npt.NDArray[Any]]]:
    """Call a model once with each set of inputs."""
    device = engine.find_device(CPU.name)
    config = SessionConfig(threads=threads, options=resolve_options(engine, {}), isolated=False)
    session = engine.create_session(exported, device, config)
    try:
        with engine.call_context(session):
            results: list[Mapping[str, npt.NDArray[Any]]] = []
            for arrays in input_sets:
                given = CallInputs(arrays=arrays, structure=CallStructure())
                inputs = inputs_of_export(given, exported)
                call = engine.make_call(session, engine.place_inputs(session, inputs, device))
                outputs = call.run()
                engine.synchronize(session, device)
                expected = tuple(output.name for output in exported.outputs)
                results.append(engine.fetch_outputs(session, outputs, expected=expected))
            return results
    finally:
        session.close()
