"""Does an exported file compute the same outputs as the model?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from lexer_core.errors import EngineError, ExportError, LexerError, WorkerError
from lexer_core.export.file_stamps import file_stamps, was_written_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.parity import ParityJudge
    from lexer_core.engines.states import ReadyEngine
    from lexer_core.records import ExportedModel
    from lexer_core.results import FirstDifference, Parity

__all__ = ["CallExport", "Locate", "check_outputs", "refuse_wrong"]


class CallExport(Protocol):
    """Calls an exported file on an engine, once with each set of inputs."""

    def __call__(
        self,
        engine: str,
        exported: ExportedModel,
        input_sets: Sequence[Mapping[str, npt.NDArray[Any]]],
        threads: int,
    ) -> tuple[Mapping[str, npt.NDArray[Any]], ...]:
        """Return the outputs of each call by name."""


class Locate(Protocol):
    """Finds the module in which the results of an exported file first differ."""

    def __call__(self, engine: str, exported: ExportedModel, parity: Parity) -> FirstDifference:
        """Return it, for an engine whose outputs are wrong."""


def check_outputs(
    exported: ExportedModel,
    arrays: Mapping[str, npt.NDArray[Any]],
    judge: ParityJudge,
    *,
    engines: Sequence[ReadyEngine],
    call: CallExport,
    threads: int,
    locate: Locate | None = None,
) -> tuple[Parity | None, str]:
    """Call an exported model and compare its outputs with the model's own.

    Parameters
    ----------
    exported
        The exported model, in a format of flat tensors.
    arrays
        Example inputs, by name.
    judge
        Knows the model's own outputs, for these and perhaps for second inputs.
    engines
        The engines that are ready.
    call
        Runs the file.
    threads
        Threads of a call.
    locate
        Finds out where outputs that are wrong come from. Default: nobody does.

    Returns
    -------
    tuple[Parity | None, str]
        The comparison, or ``None`` if no installed engine can run the file; and
        a sentence that reports the result.

    Raises
    ------
    EngineError
        An engine wrote to the file.
    """
    able = [engine for engine in engines if exported.format in engine.info.formats]
    # Engines that compile for a minute are used only if there is no other.
    able.sort(key=lambda engine: not engine.info.runs_by_default)
    sets = [arrays] if judge.second is None else [arrays, judge.second.inputs]
    before = file_stamps(exported.path)
    reasons = []
    for engine in able:
        name = engine.info.display_name
        try:
            outputs, *others = call(engine.name, exported, sets, threads)
        except (EngineError, WorkerError) as error:
            reasons.append(f"{name}: {error.message.removesuffix('.')}")
            continue
        except LexerError as error:  # its plugin may raise any
            reasons.append(f"{name}: {type(error).__name__}: {error.message}")
            continue
        finally:
            if was_written_to(exported.path, before):
                raise EngineError(
                    f"engine {engine.name!r} wrote to the exported model, which it was asked to "
                    "run.",
                    engine=engine.name,
                    hint="Nothing was written. This is a defect of the plugin. "
                    "validation=False exports without running the file.",
                )
        parity = judge.judge(name, outputs)
        if judge.second is not None:
            parity = judge.second.add_to(parity, name, others[0])
        if parity.status == "fail" and locate is not None:
            found = locate(engine.name, exported, parity)
            parity = attrs.evolve(parity, first_difference=found)
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
        found = parity.first_difference
        where = f" They first differ in {found.place}." if found and found.place else ""
        raise ExportError(
            f"the exported model's outputs differ from those of {model_name}: {parity.reason}."
            f"{where}",
            hint=(
                "Nothing was written. Use wider tolerances (rtol=, atol=) if they are close enough."
                if exporter == "torchscript"
                else "Nothing was written. Try exporter='torchscript' or wider tolerances (rtol=, "
                "atol=)."
            )
            + "\nvalidation=False writes the file without comparing.",
        )
