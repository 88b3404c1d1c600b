"""Where do wrong outputs come from?

A copy of the export that returns the results of modules is run by the engine, and the model
itself is called with hooks.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.benchmark.first_difference import find_first_difference
from lexer_core.benchmark.launch import case_spec, computed_in
from lexer_core.benchmark.outcome import CaseOutcome
from lexer_core.benchmark.parity import ONLY_LATER
from lexer_core.errors import LexerError
from lexer_core.export.flat_inputs import inputs_of_export
from lexer_core.machine.memory import available_memory_bytes
from lexer_core.results import FirstDifference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.measured_model import ModelModules, ModelUnderTest
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.parity import ParityJudge
    from lexer_core.records import CallInputs, ExportedModel, TensorSpec
    from lexer_core.results import Parity
    from lexer_core.validation import Float64Outputs

    Arrays = Mapping[str, npt.NDArray[Any]]
    CallExport = Callable[[PreparedModel, CallInputs], Arrays]

__all__ = ["locate_difference", "locate_in_case"]

_MOST_SECONDS = 60.0
"""After that, no further part is compared."""

_MOST_BYTES = 2**28
_SHARE_OF_MEMORY = 16
"""The tensors of a part are in several processes and messages at once."""


def locate_in_case(
    outcome: CaseOutcome,
    model: ModelUnderTest,
    *,
    threads: int,
    start: Callable[[CaseOutcome], LiveCase],
) -> FirstDifference:
    """Find the module in which the results of a case first differ.

    Parameters
    ----------
    outcome
        A case whose outputs are wrong.
    model
        Its model.
    threads
        Threads of a call.
    start
        Starts a process for a case.
    """
    assert outcome.prepared is not None
    assert outcome.parity is not None

    def call(kept: PreparedModel, inputs: CallInputs) -> Arrays:
        other = CaseOutcome(case=outcome.case, prepared=kept)
        case = start(other)
        try:
            case.import_engine(other.case.engine)
            case.load(case_spec(other, case, threads=threads), inputs)
        finally:
            case.close()
        assert case.first_outputs is not None
        return case.first_outputs

    return locate_difference(
        model,
        outcome.prepared.exported,
        outcome.parity,
        call,
        label=outcome.case.label,
        computed=computed_in(outcome, outcome),
    )


def locate_difference(
    model: ModelUnderTest,
    exported: ExportedModel,
    parity: Parity,
    call: CallExport,
    *,
    label: str,
    computed: str = "",
) -> FirstDifference:
    """Find the module in which the results of an export first differ from the model's.

    Parameters
    ----------
    model
        The model.
    exported
        Its export.
    parity
        Says that the outputs are wrong.
    call
        Returns the outputs of an export for the inputs of a call.
    label
        Who made the outputs.
    computed
        What they were computed in, if their element types do not say it.
    """
    modules = model.modules()
    if modules is None:
        return FirstDifference(reason="the reference is another engine, not a PyTorch model")
    if parity.reason.startswith(ONLY_LATER):
        return FirstDifference(reason="the first call is right")
    second = model.judge.second if parity.second_inputs == "fail" else None
    arrays = None if second is None else second.inputs
    inputs = model.inputs if arrays is None else attrs.evolve(model.inputs, arrays=arrays)
    began = time.perf_counter()
    try:
        return find_first_difference(
            modules.trace_modules(exported, arrays),
            _Sides(
                modules=modules,
                exported=exported,
                judge=model.judge if second is None else second.judge,
                label=label,
                computed=computed,
                arrays=arrays,
                call=lambda kept: call(kept, inputs_of_export(inputs, exported)),
            ),
            most_bytes=min(_MOST_BYTES, available_memory_bytes() // _SHARE_OF_MEMORY),
            out_of_time=lambda: time.perf_counter() - began > _MOST_SECONDS,
        )
    except LexerError as error:
        return FirstDifference(reason=" ".join(error.message.split()).rstrip("."))


@frozen(kw_only=True, eq=False)
class _Sides:
    """An export on an engine, and the model."""

    modules: ModelModules
    exported: ExportedModel
    judge: ParityJudge
    label: str
    computed: str
    arrays: Arrays | None
    call: Callable[[PreparedModel], Arrays]

    def run(self, specs: Sequence[TensorSpec]) -> Arrays:
        """Return the outputs of the export, and further tensors."""
        kept, folder = self.modules.keep_tensors(self.exported, specs)
        try:
            return self.call(kept)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def agree(self, outputs: Arrays) -> bool:
        """Return whether the outputs of the export are right."""
        own = {spec.name: outputs[spec.name] for spec in self.exported.outputs}
        return self.judge.judge(self.label, own, computed=self.computed).status == "pass"

    def values(self, numbers: Sequence[int], *, wide: bool) -> Arrays:
        """Return tensors of the model's modules."""
        return self.modules.module_values(numbers, self.arrays, wide=wide)

    def judge_tensor(
        self, output: Arrays, reference: Arrays, float64: Callable[[], Float64Outputs]
    ) -> Parity:
        """Compare a tensor of the engine with the model's."""
        return self.judge.judge_tensor(output, reference, computed=self.computed, float64=float64)
