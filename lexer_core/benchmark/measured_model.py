"""What does a run need from a model?

A run has one model, or several that take turns: the current one and that of an
earlier run. Each has its own inputs and its own judge of outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.module_trace import ModuleTrace
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.parity import ParityJudge
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.model.batch_size import BatchSize
    from lexer_core.model.caller_state import CallerState
    from lexer_core.records import CallInputs, ExportedModel, TensorSpec
    from lexer_core.settings.table import Settings

__all__ = ["ModelModules", "ModelUnderTest"]


class ModelModules(Protocol):
    """The process that holds a model, asked for the tensors of its modules.

    ``arrays`` are the inputs by name; ``None`` stands for the example inputs.
    """

    def trace_modules(
        self, exported: ExportedModel, arrays: Mapping[str, npt.NDArray[Any]] | None
    ) -> ModuleTrace:
        """Find the tensors that the model's modules take and return in an export."""

    def keep_tensors(
        self, exported: ExportedModel, specs: Sequence[TensorSpec]
    ) -> tuple[PreparedModel, Path]:
        """Return an export that returns further tensors, and the new folder of its files."""

    def module_values(
        self,
        numbers: Sequence[int],
        arrays: Mapping[str, npt.NDArray[Any]] | None,
        *,
        wide: bool,
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Return tensors of the model's modules by their numbers, perhaps in float64."""


class ModelUnderTest(Protocol):
    """One model of a run.

    A run calls the methods in the order in which they are defined here.

    Attributes
    ----------
    name
        The model's name in messages and in the report.
    inputs
        The inputs of every call; complete after :meth:`match_inputs`.
    batch_size
        The guessed number of items in a call; complete after :meth:`match_inputs`.
    judge
        Judges the outputs of its cases; complete after :meth:`run_reference`.
    sys_path
        Where its modules are found; ``None``: where the parent process finds them.
    has_own_sys_path
        Whether ``sys_path`` is known only after :meth:`start`, so that the workers
        of its cases cannot start earlier.
    caller_state
        What a worker with its framework takes over from the process that has the model.
    """

    name: str
    inputs: CallInputs
    batch_size: BatchSize
    judge: ParityJudge
    sys_path: tuple[str, ...] | None
    has_own_sys_path: bool
    caller_state: CallerState

    def start(
        self, folder: Path, settings: Settings, *, threads: int, memory_limit_bytes: int | None
    ) -> None:
        """Start the process that prepares the model, if it needs one.

        Parameters
        ----------
        folder
            Where exports are written that are not cached; used by no other model.
        settings
            The run's settings.
        threads, memory_limit_bytes
            Limits of the process.

        Raises
        ------
        UsageError
            A remote model cannot be built, or does not accept the inputs.
        """

    def run_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Run the model itself, if possible, to get the outputs that its cases must return.

        Raises
        ------
        ModelError
            The model does not run with these inputs.
        """

    def export(self, case: Case, settings: Settings) -> PreparedModel:
        """Return the model in a format that the case's engine accepts.

        Raises
        ------
        ExportError, UnsupportedError
            The model cannot be exported to any of these formats.
        """

    def identity(self) -> dict[str, str]:
        """Return digests of the model, to compare two runs; empty if unknown."""

    def match_inputs(self, exports: Sequence[PreparedModel], first: CallInputs) -> None:
        """Match the inputs to the exported graphs, if these define the inputs.

        Parameters
        ----------
        exports
            The exports of this model.
        first
            The inputs of the run's first model.

        Raises
        ------
        InputError
            The inputs do not fit a graph.
        """

    def suspend(self) -> None:
        """Take the model's process off the CPUs until it is needed again."""

    def discard_cached(self, case: Case) -> None:
        """Delete a cached export that gave wrong outputs."""

    def mark_wrong(self, case: Case) -> None:
        """Note in the cache that a new export gave wrong outputs, too."""

    def modules(self) -> ModelModules | None:
        """Return what knows the modules of the model; ``None`` if there are none."""

    def close(self) -> list[str]:
        """End the model's process; return notes for the reader of the report."""
