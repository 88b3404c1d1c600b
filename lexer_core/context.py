"""``LexerContext``: where a benchmark or an export is asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.config import resolve
from lexer_core.decorator import Mark, mark_of
from lexer_core.errors import InputError, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.choice import EngineChoice
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.measurement.progress import ProgressCallback
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import ExportedModel
    from lexer_core.results import BenchmarkReport

__all__ = ["LexerContext"]


class LexerContext:
    """Benchmarks and exports models, under settings of its own.

    Parameters
    ----------
    registry
        Which engines there are; those installed, unless given.
    **settings
        Settings that hold for every call, unless the call or the decorator
        says otherwise; see :class:`lexer_core.config.Settings`.

    Raises
    ------
    SettingError
        A setting is unknown or has a wrong value.

    Examples
    --------
    ::

        context = LexerContext(threads=1)
        report = context.benchmark(torch_model=model, input=x, num_iterations=1000)
        print(report)
    """

    def __init__(self, *, registry: EngineRegistry | None = None, **settings: Any) -> None:
        resolve([("LexerContext", settings)])
        self._settings = settings
        self._registry = registry

    def benchmark(
        self,
        torch_model: Any,
        input: object = None,
        num_iterations: int | None = None,
        *,
        engines: Sequence[str | EngineChoice] | None = None,
        device: str = "cpu",
        batch_size: int | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
        command: str = "",
        **settings: Any,
    ) -> BenchmarkReport:
        """Measure a model on every engine, each in a process of its own.

        Parameters
        ----------
        torch_model
            A ``torch.nn.Module``, decorated or not; a
            ``torch.export.ExportedProgram``; or the path of an ``.onnx`` file.
        input
            Example inputs: a tensor; a tuple of positional arguments; a dict of
            keyword arguments; or containers of these. numpy arrays will do.
        num_iterations
            Samples for each engine, exactly. Without it, measuring stops when
            it is precise enough.
        engines
            Names, or :class:`EngineChoice` with options and label; every ready
            engine unless given.
        device
            Where to execute: ``"cpu"``, ``"cuda:0"``.
        batch_size
            What dimension 0 of the inputs must be; it is read from them anyway.
        input_names, output_names
            Names in place of the decorator's or the model's own.
        progress
            Called with a :class:`ProgressEvent` at each step.
        command
            The command line that asks for the same, for the report.
        **settings
            See :class:`lexer_core.config.Settings`.

        Returns
        -------
        BenchmarkReport
            One row for each engine; one that failed has its reason in its row.

        Raises
        ------
        UsageError
            Inputs, names, settings or engine names are wrong.
        ModelError
            The model itself does not run with these inputs.
        """
        # Imported on use: a context is made where nothing is measured, too.
        from lexer_core.analysis import judge_run
        from lexer_core.engines.registry import EngineRegistry
        from lexer_core.environment import read_environment
        from lexer_core.measurement.cases import select_cases
        from lexer_core.measurement.memory import return_freed_memory
        from lexer_core.measurement.run import BenchmarkRun
        from lexer_core.reporting.sentences import verdict_sentences
        from lexer_core.results import BenchmarkReport

        mark = mark_of(_undecorated(torch_model))
        holding, _ = resolve(
            [
                ("the call", {"num_iterations": num_iterations, **settings}),
                ("@Lexer", mark.settings if mark else {}),
                ("LexerContext", self._settings),
            ]
        )
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        registry = self._registry or EngineRegistry()
        selection = select_cases(registry, engines, device)
        # Shapes are static for measuring: dynamic ones cost an engine up to a fifth.
        model = _adapt(
            torch_model, input, mark, input_names, output_names, batch_size, dynamic_axes={}
        )
        run = BenchmarkRun(model, input, selection, holding, progress).execute()
        judged = judge_run(run, tie=holding.tie)
        return_freed_memory()
        return BenchmarkReport(
            results=judged.results,
            comparisons=judged.comparisons,
            environment=read_environment(registry.listings()),
            settings=attrs.asdict(attrs.evolve(holding, threads=run.threads, seed=run.seed)),
            sentences=verdict_sentences(judged.results, judged.comparisons),
            notes=(*run.notes, *judged.notes),
            model_name=run.model_name,
            input_specs=run.input_specs,
            command=command,
            created_at=created_at,
            seed=run.seed,
            stopped_because=run.stopped_because,
            seconds=run.seconds,
        )

    def export(
        self,
        torch_model: Any,
        input: object,
        path: str | os.PathLike[str],
        *,
        format: str = "onnx",
        dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        **settings: Any,
    ) -> ExportedModel:
        """Export a model to a file.

        Parameters
        ----------
        torch_model, input
            As for :meth:`benchmark`.
        path
            Where to write; weights of more than 1.5 GiB go to a file beside it.
        format
            What to write: ``"onnx"``.
        dynamic_axes
            Per input name the axes whose size may vary; the decorator's unless
            given.
        input_names, output_names
            Names in place of the decorator's or the model's own.
        **settings
            ``exporter``, ``opset``, ``onnx_checks``.

        Returns
        -------
        ExportedModel
            What was written, with its inputs and outputs.

        Raises
        ------
        ExportError
            The model cannot be exported.
        InputError
            Inputs, names or axes do not fit the model.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.engines.registry import EngineRegistry
        from lexer_core.export.to_file import export_to_file

        mark = mark_of(_undecorated(torch_model))
        holding, _ = resolve(
            [
                ("the call", settings),
                ("@Lexer", mark.settings if mark else {}),
                ("LexerContext", self._settings),
            ]
        )
        adapted = _adapt(
            torch_model, input, mark, input_names, output_names, None, dynamic_axes=dynamic_axes
        )
        if isinstance(adapted, Path):
            raise TargetError(f"{adapted} is an .onnx file already: there is nothing to export.")
        return export_to_file(
            adapted,
            Path(path),
            format=format,
            settings=holding,
            registry=self._registry or EngineRegistry(),
        )


def _undecorated(model: Any) -> Any:
    """The user's own module, within what ``torch.compile`` may have put around it."""
    return getattr(model, "_orig_mod", model)


def _adapt(
    model: Any,
    input: object,
    mark: Mark | None,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    batch_size: int | None,
    *,
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
) -> AdaptedModel | Path:
    """Bring what the user gave into one form."""
    if isinstance(model, (str, os.PathLike)):
        model = _onnx_file(Path(model))
    if input is None:
        raise InputError(
            f"{model.name if isinstance(model, Path) else type(model).__name__} "
            "needs example inputs.",
            hint="Pass input=: a tensor, a tuple of positional arguments or a dict of keyword "
            "arguments.",
        )
    if isinstance(model, Path):
        return model
    from lexer_core.model.adapt import adapt_model  # imports torch

    if dynamic_axes is None and mark is not None:
        dynamic_axes = mark.dynamic_axes
    return adapt_model(
        model,
        input,
        input_names=input_names or (mark.input_names if mark else None) or None,
        output_names=output_names or (mark.output_names if mark else None) or None,
        dynamic_axes=dynamic_axes,
        batch_size=batch_size,
    )


def _onnx_file(path: Path) -> Path:
    if path.suffix != ".onnx":
        raise TargetError(
            f"{path} is not an .onnx file.",
            hint="Pass a module, an exported program, or the path of an .onnx file.",
        )
    if not path.is_file():
        raise TargetError(f"there is no file {path}.")
    return path.resolve()
