"""Which model does a case run, what is it called with, and what must it return?

A run has one model, or several that take turns: that of an earlier run beside
today's. Each is prepared in a process of its own, is called with the inputs in
its own structure, and is judged by a reference of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.benchmark.model_host import ModelHost
from lexer_core.benchmark.parity import ParityJudge
from lexer_core.benchmark.preparation import RemoteModel
from lexer_core.errors import InputError
from lexer_core.records import CallInputs, CallStructure, TensorRef
from lexer_core.target.onnx_inputs import inputs_for_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import TensorSpec
    from lexer_core.settings.table import Settings

__all__ = ["SavedExports", "Subject"]

_TURNED_OFF = "validation is turned off"


@frozen(kw_only=True, eq=False)
class SavedExports:
    """What is left of the model of an earlier run: its exports.

    ``exports`` holds them by the label of the case that runs each. With no
    model behind them there is no reference either: the outputs of the first
    case judged take its place.
    """

    name: str
    exports: Mapping[str, PreparedModel]


class Subject:
    """One model of a run, with what belongs to it.

    Parameters
    ----------
    model
        An adapted model; the path of an ``.onnx`` file; a model that is made in
        the process that prepares it; or exports of an earlier run.
    given
        Example inputs for an ``.onnx`` file. Exports of an earlier run are
        called with the arrays of the run's first subject, the others have
        inputs of their own.
    title
        Put before its notes, where a run has several: ``"base"``.
    """

    def __init__(
        self,
        model: AdaptedModel | Path | RemoteModel | SavedExports,
        given: object = None,
        *,
        title: str = "",
    ) -> None:
        self.inputs = CallInputs(arrays={}, structure=CallStructure())
        self.judge = ParityJudge()
        self._model = model
        self._given = given
        self._title = title
        self._executor: ModelHost | None = None

    @property
    def model_name(self) -> str:
        """What the user calls the model."""
        if isinstance(self._model, Path):
            return self._model.stem
        if isinstance(self._model, (SavedExports, RemoteModel)):
            return self._model.name
        return self._model.model_name

    @property
    def is_elsewhere(self) -> bool:
        """Whether its modules are another's by name, and must not be looked for here."""
        return isinstance(self._model, RemoteModel)

    @property
    def sys_path(self) -> tuple[str, ...] | None:
        """Where its modules are found; ``None`` for where the caller finds modules."""
        return self._executor.sys_path if self._executor is not None else None

    def begin(
        self, folder: Path, settings: Settings, *, threads: int, memory_limit_bytes: int | None
    ) -> None:
        """Take the model to where it is prepared.

        Parameters
        ----------
        folder
            Where exports go that are not cached; no other subject's.
        settings, threads, memory_limit_bytes
            What holds for the process.

        Raises
        ------
        UsageError
            A model that is made elsewhere cannot be made, or does not take the
            inputs.
        """
        self.judge = ParityJudge(
            not_judged="" if settings.validation else _TURNED_OFF,
            rtol=settings.rtol,
            atol=settings.atol,
        )
        if isinstance(self._model, SavedExports):
            return
        self._executor = ModelHost(
            self._model,
            folder,
            isolated=settings.isolation == "process",
            threads=threads,
            timeout=settings.load_timeout,
            memory_limit_bytes=memory_limit_bytes,
        )

    def take_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Run the model itself, where there is one; its outputs are what cases must return.

        Raises
        ------
        ModelError
            It does not run with these inputs.
        """
        executor = self._executor
        if executor is None or isinstance(self._model, (Path, SavedExports)):
            return
        if isinstance(self._model, RemoteModel):
            made = executor.made()
            self.inputs, notes = made.inputs, made.notes
        else:
            self.inputs, notes = self._model.inputs, self._model.notes
        timings.tell("reference", message=self._title)
        with timings.timed("reference"):
            reference = executor.reference()
        timings.notes += self._titled([*notes, *reference.notes])
        self.judge = ParityJudge(
            reference.outputs,
            name=f"{self._title} {reference.name}".strip(),
            not_judged=reference.not_judged if settings.validation else _TURNED_OFF,
            float64=executor.float64_outputs,
            rtol=settings.rtol,
            atol=settings.atol,
            stateful=reference.stateful,
        )

    def export(self, case: Case, settings: Settings) -> PreparedModel:
        """Make the model ready for a case's engine, or give what was made for it earlier.

        Raises
        ------
        ExportError, UnsupportedError
            No format that the engine accepts can be made.
        """
        if isinstance(self._model, SavedExports):
            return self._model.exports[case.label]
        assert self._executor is not None
        return self._executor.export(
            case.elsewhere or case.engine,
            case.device,
            settings.export_options(),
            use_cache=settings.use_cache,
            by_value=settings.isolation == "process",
        )

    def fit_inputs(self, prepared: Sequence[PreparedModel], first: CallInputs) -> None:
        """Name the inputs of a graph, now that it can be asked for them.

        Parameters
        ----------
        prepared
            What was made of this model.
        first
            The inputs of the run's first subject.

        Raises
        ------
        InputError
            They do not fit.
        """
        if isinstance(self._model, Path):
            for each in prepared:
                self.inputs = inputs_for_graph(each.exported.inputs, self._given)
        elif isinstance(self._model, SavedExports):
            for each in prepared:
                self._check_fit(each.exported.inputs, first)
            references = {name: TensorRef(name) for name in first.arrays}
            self.inputs = attrs.evolve(first, structure=CallStructure(kwargs=references))

    def identity(self) -> dict[str, str]:
        """Digest the model, for a reader who compares two runs; empty where there is none."""
        return self._executor.identity() if self._executor is not None else {}

    def discard_cached(self, case: Case) -> None:
        """Forget a cached export that gave wrong outputs."""
        if self._executor is not None:
            self._executor.discard_cached(case.elsewhere.name if case.elsewhere else case.engine)

    def suspend(self) -> None:
        """Keep the model, but off the processors."""
        if self._executor is not None:
            self._executor.suspend()

    def close(self) -> list[str]:
        """Let the model go; returns what a reader should know of how it was kept."""
        executor, self._executor = self._executor, None
        if executor is None:
            return []
        executor.close()
        return self._titled(executor.notes)

    def _check_fit(self, specs: Sequence[TensorSpec], first: CallInputs) -> None:
        # An input that a graph does not use is not among its own, and may be given.
        used = {spec.name for spec in specs}
        try:
            inputs_for_graph(specs, {name: first.arrays[name] for name in used & set(first.arrays)})
        except InputError as error:
            raise InputError(
                f"the inputs do not fit {self.model_name}: {error.message}", hint=error.hint
            ) from error

    def _titled(self, notes: Sequence[str]) -> list[str]:
        return [f"{self._title}: {note}" if self._title else note for note in notes]
