"""How does a run measure the exports of an earlier run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.benchmark.parity import ParityJudge
from lexer_core.errors import InputError
from lexer_core.model.batch_size import BatchSize
from lexer_core.model.caller_state import CallerState
from lexer_core.records import CallInputs, CallStructure, TensorRef
from lexer_core.target.onnx_inputs import inputs_for_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.records import TensorSpec
    from lexer_core.settings.table import Settings

__all__ = ["SavedExports"]


class SavedExports:
    """The saved exports of an earlier run, without the model they were made from.

    There is no reference: the outputs of the first case are compared with those of
    the others. The arrays are those of the run's first model.

    Parameters
    ----------
    name
        See :class:`ModelUnderTest`.
    exports
        The exports by the label of the case that runs each.
    """

    sys_path: tuple[str, ...] | None = None
    has_own_sys_path = False
    caller_state = CallerState()
    judge: ParityJudge

    def __init__(self, name: str, exports: Mapping[str, PreparedModel]) -> None:
        self.name = name
        self.inputs = CallInputs(arrays={}, structure=CallStructure())
        self.batch_size = BatchSize()
        self._exports = exports

    def start(
        self, folder: Path, settings: Settings, *, threads: int, memory_limit_bytes: int | None
    ) -> None:
        """Start nothing: the exports are ready."""
        del folder, threads, memory_limit_bytes
        self.judge = ParityJudge(settings)

    def run_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Do nothing: there is no model to run."""

    def export(self, case: Case, settings: Settings) -> PreparedModel:
        """Return the saved export of the case."""
        del settings
        return self._exports[case.label]

    def identity(self) -> dict[str, str]:
        """Return nothing: the earlier run has the digests."""
        return {}

    def match_inputs(self, exports: Sequence[PreparedModel], first: CallInputs) -> None:
        """Take the arrays of the first model, by the names of the graphs' inputs."""
        for prepared in exports:
            self._check_inputs(prepared.exported.inputs, first)
        references = {name: TensorRef(name) for name in first.arrays}
        self.inputs = attrs.evolve(first, structure=CallStructure(kwargs=references))

    def suspend(self) -> None:
        """Do nothing: there is no process."""

    def discard_cached(self, case: Case) -> None:
        """Do nothing: saved exports do not come from the cache."""

    def mark_wrong(self, case: Case) -> None:
        """Do nothing: saved exports do not come from the cache."""

    def modules(self) -> None:
        """Return nothing: there is no model to run."""

    def close(self) -> list[str]:
        """Do nothing: there is no process."""
        return []

    def _check_inputs(self, specs: Sequence[TensorSpec], first: CallInputs) -> None:
        # A graph does not declare an input that it does not use.
        used = {spec.name for spec in specs}
        try:
            inputs_for_graph(specs, {name: first.arrays[name] for name in used & set(first.arrays)})
        except InputError as error:
            raise InputError(
                f"the inputs do not fit {self.name}: {error.message}", hint=error.hint
            ) from error
