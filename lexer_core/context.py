"""``LexerContext``: where a benchmark or an export is asked for."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.errors import TargetError, UsageError
from lexer_core.model.lexer_metadata import metadata_of
from lexer_core.model.model_input import adapt_model_input, unwrap_compiled
from lexer_core.settings.layers import Configuration, argument_layer, merge_layers

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.engines.choice import EngineChoice
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.records import ExportedModel
    from lexer_core.report import BenchmarkReport

__all__ = ["LexerContext"]


class LexerContext:
    """Benchmarks and exports models, under settings of its own.

    Parameters
    ----------
    registry
        Which engines there are; those installed, unless given.
    **settings
        Settings that hold for every call, unless the call or the decorator
        says otherwise; see :class:`lexer_core.settings.table.Settings`. They are
        stronger than the environment and configuration files.

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
        self._layer = argument_layer("LexerContext", settings)
        merge_layers([self._layer])  # checked here, so that a mistake shows where it is made
        self._registry = registry
        self._report: BenchmarkReport | None = None

    @property
    def registry(self) -> EngineRegistry:
        """The engines that there are."""
        from lexer_core.engines.registry import EngineRegistry  # where something is asked for

        return self._registry or EngineRegistry()

    def benchmark(
        self,
        torch_model: Any,
        input: object = None,
        num_iterations: int | None = None,
        *,
        engines: str | EngineChoice | Sequence[str | EngineChoice] | None = None,
        device: str | None = None,
        interpreters: Mapping[str, str] | None = None,
        batch_size: int | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
        command: str = "",
        input_options: Sequence[str] = (),
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
            Where to execute: ``"cpu"``, ``"cuda:0"``; the CPU unless given.
        interpreters
            For engines that cannot share this environment: the path of the
            interpreter that runs each, by the engine's name or the row's label.
            lexer-core and the engine's plugin are installed there.
        batch_size
            What dimension 0 of the inputs must be; it is read from them anyway.
        input_names, output_names
            Names in place of the decorator's or the model's own.
        progress
            Called with a :class:`ProgressEvent` at each step.
        command
            The command line that asks for the same, for the report.
        input_options
            The ``--input`` options that ``input`` was made from, for the report.
        **settings
            See :class:`lexer_core.settings.table.Settings`. What is not given here is for
            the decorator, this context, the environment and configuration files
            to say, in this order.

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
        from lexer_core.benchmark.cases import select_cases
        from lexer_core.benchmark.run import BenchmarkRun
        from lexer_core.build_report import assemble_report
        from lexer_core.machine.memory import return_freed_memory

        self._report = None  # what is flushed next must not be an earlier one
        mark = metadata_of(unwrap_compiled(torch_model))
        configuration = self.configuration(
            torch_model,
            engines=engines,
            device=device,
            num_iterations=num_iterations,
            **settings,
        )
        holding = configuration.settings
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        registry = self.registry
        selection = select_cases(
            registry,
            holding.engines,
            holding.device,
            interpreters,
            tables=configuration.engines,
            named_in=str(configuration.setting_origins["engines"]),
        )
        # Shapes are static for measuring: dynamic ones cost an engine up to a fifth.
        model = adapt_model_input(
            torch_model,
            input,
            mark,
            input_names=input_names,
            output_names=output_names,
            batch_size=batch_size,
            dynamic_axes={},
        )
        run = BenchmarkRun(model, input, selection, holding, progress).execute()
        report = assemble_report(
            run,
            holding,
            engines=registry.listings(),
            created_at=created_at,
            command=command,
            input_options=input_options,
            notes=(*configuration.origin_notes, *configuration.notes),
        )
        return_freed_memory()
        self._report = report
        if holding.print_report:
            from lexer_core.reporting.terminal_table import (
                print_report,  # rich, where something is printed
            )

            print_report(report)
        return report

    def configuration(self, torch_model: Any = None, **settings: Any) -> Configuration:
        """Say which settings would hold for a call, and where each was set.

        Parameters
        ----------
        torch_model
            What would be benchmarked: its decorator may have settings.
        **settings
            Those of the call.

        Returns
        -------
        Configuration
            ``settings`` that hold, and in ``places`` where each of them was set.

        Raises
        ------
        SettingError
            A setting is unknown or has a wrong value, or a configuration file
            cannot be read.
        """
        from lexer_core.settings.sources import read_sources  # where something is asked for

        mark = metadata_of(unwrap_compiled(torch_model))
        return merge_layers(
            [
                argument_layer("the call", settings),
                argument_layer("@Lexer", mark.settings if mark else {}),
                self._layer,
                *read_sources().layers,
            ]
        )

    def flush(self, name: str, target_directory: str | os.PathLike[str] = ".") -> Path:
        """Write the last benchmark to one file, ``<name>.lexer``.

        It holds everything: the rows, every sample, the exported model, what
        the engines printed (docs/artifact.md). ``lexer show`` prints it, and
        :func:`lexer_core.artifact.load` reads it back. What is left out is for
        the settings ``include_model`` and ``include_csv`` to say.

        Parameters
        ----------
        name
            Of the file, and of those in it.
        target_directory
            The folder that it goes to. A file of that name is replaced, as a
            whole or not at all.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        UsageError
            Nothing has been measured, or the name cannot be that of a file.
        OutputFileError
            The file cannot be written.
        """
        # Imported on use: most contexts save nothing.
        from lexer_core.artifact.write import artifact_path, save_as_set

        path = artifact_path(name, target_directory)
        if self._report is None:
            raise UsageError(
                f"there is nothing to write to {path.name}: this context has measured nothing, "
                "or its last benchmark failed.",
                hint="Call benchmark() first, on the same context.",
            )
        return save_as_set(self._report, path)

    def export(
        self,
        torch_model: Any,
        input: object,
        path: str | os.PathLike[str] | None = None,
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
            Unless given, a file that lives as long as this context.
        format
            What to write: ``"onnx"``.
        dynamic_axes
            Per input name the axes whose size may vary; the decorator's unless
            given.
        input_names, output_names
            Names in place of the decorator's or the model's own.
        **settings
            ``exporter``, ``opset``, ``onnx_checks``, ``use_cache``, ``validation``.

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
        from lexer_core.export.to_file import export_to_file

        mark = metadata_of(unwrap_compiled(torch_model))
        holding = self.configuration(torch_model, **settings).settings
        adapted = adapt_model_input(
            torch_model,
            input,
            mark,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic_axes,
        )
        if isinstance(adapted, Path):
            raise TargetError(f"{adapted} is an .onnx file already: there is nothing to export.")
        return export_to_file(
            adapted,
            Path(path) if path is not None else self._own_file(f"{adapted.model_name}.{format}"),
            format=format,
            settings=holding,
            registry=self.registry,
        )

    def _own_file(self, name: str) -> Path:
        """Name a file in a folder that goes when this context goes."""
        folder = tempfile.mkdtemp(prefix="lexer-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / re.sub(r"[^\w.-]", "_", name)
