"""How does a program benchmark and export models? With ``LexerContext``."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.benchmark.cases import cases_of_models, select_cases, suited_to_onnx
from lexer_core.call_arguments import number_of, numbers_of
from lexer_core.deploy.row_model import LiveModel
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import OutputFileError, TargetError, UsageError
from lexer_core.machine.memory import return_freed_memory
from lexer_core.model.lexer_metadata import metadata_of
from lexer_core.model.model_input import adapt_model_input, adapt_second_input, named_models
from lexer_core.settings.layers import Configuration, argument_layer, merge_layers
from lexer_core.settings.sources import read_sources
from lexer_core.settings.table import DEFAULT, LOAD_SECONDS, TUNING_SECONDS
from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.engines.choice import EngineChoice
    from lexer_core.load_report import LoadReport
    from lexer_core.records import ExportedModel
    from lexer_core.report import BenchmarkReport
    from lexer_core.settings.table import Settings
    from lexer_core.tuning_report import TuningReport

__all__ = ["LexerContext", "benchmark"]


@contextlib.contextmanager
def _shown_progress(
    progress: ProgressCallback | None, settings: Settings
) -> Iterator[ProgressCallback | None]:
    """Return the user's callback, or a display that lasts as long as the context."""
    if progress is not None or not settings.show_progress:
        yield progress
        return
    # On use: where progress is shown, rich may be imported.
    from lexer_core.reporting.progress import ProgressDisplay

    with ProgressDisplay() as display:
        yield display


def _with_time(configuration: Configuration, seconds: float) -> Configuration:
    """Set the time of a run, unless the user did."""
    if configuration.setting_origins["max_seconds"] != DEFAULT:
        return configuration
    settings = attrs.evolve(configuration.settings, max_seconds=seconds)
    return attrs.evolve(configuration, settings=settings)


class LexerContext:
    """Benchmarks and exports models.

    Parameters
    ----------
    registry
        The engines to use. Default: all installed engines.
    **settings
        Settings for every call; see :class:`lexer_core.settings.table.Settings`.
        They override the environment and configuration files. Arguments of a call
        and of the decorator override them.

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
        merge_layers([self._layer])  # raises here, where the mistake is
        self._registry = registry
        self._report: BenchmarkReport | None = None
        self._folders: list[TemporaryFolder] = []

    @property
    def registry(self) -> EngineRegistry:
        """The engines to use."""
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
        target: str = "",
        input_options: Sequence[str] = (),
        second_input: object = None,
        **settings: Any,
    ) -> BenchmarkReport:
        """Benchmark a model on several engines, each in its own process.

        Parameters
        ----------
        torch_model
            A ``torch.nn.Module``, decorated or not; a
            ``torch.export.ExportedProgram``; or the path of an ``.onnx`` file. Several
            models are measured in the same rounds: a mapping of their names to the
            models, or to pairs of a model and its inputs.
        input
            Example inputs: a tensor, a tuple of positional arguments, a dict of
            keyword arguments, or containers of these. Tensors may be numpy arrays.
            Default for an ``ExportedProgram``: the inputs it was exported with.
        num_iterations
            Exact number of samples per engine. Default: measure until the result
            is precise enough.
        engines
            Engine names, or :class:`EngineChoice` with options and label. The
            first is the baseline. Default: every engine that is ready.
        device
            Device to run on: ``"cpu"``, ``"cuda:0"``. Default: the CPU.
        interpreters
            Paths of the Python interpreters of engines that cannot share this
            environment, by engine name or row label. lexer-core and the engine's
            plugin must be installed there.
        batch_size
            Number of items in one call; the same as the setting ``items_per_call``.
        input_names, output_names
            Names of the input and output tensors. Default: the decorator's, or
            names derived from the model.
        progress
            Called with a :class:`ProgressEvent` at each step.
        command
            The equivalent command line, for the report.
        target
            The TARGET of that command line, for the report.
        input_options
            The ``--input`` options that ``input`` was made from, for the report.
        second_input
            Second inputs, in the form of ``input``, with the same shapes and types and
            other values: the outputs of every engine must be correct for these, too.
            Default: made from ``input``, unless the setting ``second_inputs`` is off.
        **settings
            See :class:`lexer_core.settings.table.Settings`. Settings that are not given
            come from the decorator, this context, the environment and
            configuration files, in this order.

        Returns
        -------
        BenchmarkReport
            One row per engine, and per model if there are several. The row of an engine
            that failed has the reason.

        Raises
        ------
        UsageError
            Inputs, names, settings or engine names are wrong.
        ModelError
            The model does not run with these inputs.
        """
        # On use: they import numpy and the statistics, 0.3 s that an export does not need.
        from lexer_core.benchmark.hosted_models import hosted_model
        from lexer_core.benchmark.run import BenchmarkRun
        from lexer_core.build_report import RunOrigin, assemble_report

        if batch_size is not None and settings.get("items_per_call") is None:
            settings["items_per_call"] = batch_size
        self._report = None  # if this fails, flush must not write an earlier report
        configuration = self.configuration(
            torch_model,
            engines=engines,
            device=device,
            num_iterations=num_iterations,
            **settings,
        )
        effective = configuration.settings
        registry = self.registry
        selection = select_cases(
            registry,
            effective.engines,
            effective.device,
            interpreters,
            tables=configuration.engines,
            named_in=str(configuration.setting_origins["engines"]),
            precisions=effective.precision or (),
        )
        models = named_models(torch_model, input)
        # Dynamic shapes would slow an engine down by up to a fifth.
        adapted = {
            name: adapt_model_input(
                each.model,
                each.input,
                input_names=input_names,
                output_names=output_names,
                dynamic_axes={},
            )
            for name, each in models.items()
        }
        second = {
            name: adapt_second_input(
                model, models[name].model, second_input, input_names=input_names
            )
            for name, model in adapted.items()
        }
        if all(isinstance(model, Path) for model in adapted.values()):
            selection = suited_to_onnx(selection)
        first, *others = adapted
        live_model = LiveModel(
            torch_model, input, input_names=input_names, output_names=output_names
        )
        origin = RunOrigin(
            command=command,
            target=target,
            input_options=input_options,
            live_model=None if others else live_model,
        )
        with _shown_progress(progress, effective) as shown:
            run = BenchmarkRun(
                adapted[first],
                models[first].input,
                cases_of_models(selection, tuple(models)),
                effective,
                shown,
                title=first,
                second_inputs=second[first],
                others={
                    name: hosted_model(
                        adapted[name],
                        models[name].input,
                        title=name,
                        second_inputs=second[name],
                    )
                    for name in others
                },
            ).execute()
        report = assemble_report(
            run, effective, origin, configuration, registry, not_run=selection.not_run
        )
        self._finish(report, effective)
        return report

    def profile(self, torch_model: Any, input: object = None, **arguments: Any) -> BenchmarkReport:
        """Find out in which modules of a model each engine spends its time.

        The model is measured as by :meth:`benchmark` with the preset ``"quick"``, and then
        profiled in new sessions.

        Parameters
        ----------
        torch_model, input
            As for :meth:`benchmark`.
        **arguments
            Its other arguments and the settings.

        Returns
        -------
        BenchmarkReport
            ``report["onnxruntime"].profile`` has the time by module and operator type, and
            ``print(report.to_text(depth=2))`` shows it two names of a module's path deep.

        Raises
        ------
        UsageError
            Inputs, names, settings or engine names are wrong.
        ModelError
            The model does not run with these inputs.
        """
        return self.benchmark(
            torch_model, input, **{"preset": "quick", **arguments, "profile": True}
        )

    def tune(
        self,
        torch_model: Any,
        input: object = None,
        *,
        vary: Mapping[str, object],
        minimize: str | Sequence[str] | None = None,
        maximize: str | Sequence[str] | None = None,
        limits: str | Sequence[str] = (),
        slo: str | None = None,
        engines: str | EngineChoice | Sequence[str | EngineChoice] | None = None,
        device: str | None = None,
        dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        save_to: str | os.PathLike[str] | None = None,
        resume: BenchmarkReport | str | os.PathLike[str] | None = None,
        progress: ProgressCallback | None = None,
        command: str = "",
        target: str = "",
        input_options: Sequence[str] = (),
        **settings: Any,
    ) -> TuningReport:
        """Find the best configuration of a space within limits.

        All configurations race in shared rounds, and leave when another one is surely
        better. Those that are left are measured again in new processes.

        Parameters
        ----------
        torch_model, input, engines, device, input_names, output_names, progress
            As for :meth:`benchmark`.
        vary
            The values of each axis by its name: ``batch``, ``threads``, ``precision``,
            dynamic axes of the inputs, and options of engines as
            ``"onnxruntime.OPTION"``. For another batch size, the inputs are cut or repeated.
        minimize, maximize
            ``"p50"``, ``"p90"``, ``"p95"``, ``"p99"``, ``"mean"``, ``"memory"`` or
            ``"error"`` to minimize, ``"throughput"`` to maximize. Two for the front
            between them. ``"rate"`` to maximize, on its own, is the requests per second
            that are served within ``slo``. Default: minimize p50.
        limits
            ``"p99<=20ms"``, ``"memory<=1GB"``, ``"error<=1e-3"``, ``"throughput>=100"``.
        slo
            The limit on the latency of requests, for ``"rate"``: ``"p99<=50ms"``. The axis
            ``instances`` varies the threads that serve requests, and ``batch`` is then the
            largest batch of waiting requests.
        dynamic_axes
            For each input name, the names of its dynamic axes by dimension. Default:
            the decorator's.
        save_to
            A ``.lexer`` file that is written after each part of the tuning.
        resume
            An earlier result of the same tuning: what it decided is not measured again.
        command, target, input_options
            For the report, as for :meth:`benchmark`.
        **settings
            As for :meth:`benchmark`. ``max_seconds`` is the time for the race and the
            confirmation together; its default is 120.

        Returns
        -------
        TuningReport
            ``best`` is the winner's row, ``configurations`` says how each one ended.

        Raises
        ------
        UsageError
            An axis, goal, limit or setting is wrong.
        ModelError
            The model does not run with these inputs.
        OutputFileError
            ``save_to`` cannot be written. If that is so after measuring, the error has the
            ``report``, and :meth:`flush` can write it elsewhere.
        """
        # On use, as in benchmark().
        from lexer_core.artifact import load
        from lexer_core.build_report import RunOrigin
        from lexer_core.load_testing.request import read_plan
        from lexer_core.load_testing.tune_rate import run_rate_tuning
        from lexer_core.tuning.goals import is_for_rate, read_goals, read_limits
        from lexer_core.tuning.space import read_axes
        from lexer_core.tuning.tune import (
            TuningRequest,
            checked_destination,
            run_tuning,
            save_tuning,
        )

        metadata = metadata_of(torch_model)
        axes = dynamic_axes or (metadata.dynamic_axes if metadata else None) or {}
        for_rate = is_for_rate(minimize, maximize, slo)
        request = TuningRequest(
            space=read_axes(vary),
            goals=() if for_rate else read_goals(minimize, maximize),
            limits=read_limits(limits),
            axes=axes,
            save_to=checked_destination(save_to),
            origin=RunOrigin(
                command=command,
                target=target,
                input_options=input_options,
                live_model=LiveModel(
                    torch_model, input, input_names=input_names, output_names=output_names
                ),
            ),
            resumed=load(resume) if isinstance(resume, (str, os.PathLike)) else resume,
        )
        self._report = None
        configuration = _with_time(
            self.configuration(torch_model, engines=engines, device=device, **settings),
            TUNING_SECONDS,
        )
        model = adapt_model_input(
            torch_model,
            input,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes={},
        )
        registry = self.registry
        with _shown_progress(progress, configuration.settings) as shown:
            if for_rate:
                assert slo is not None
                plan = read_plan(slo, configuration.settings)
                report = run_rate_tuning(
                    model, input, request, plan, configuration, registry, shown
                )
            else:
                report = run_tuning(model, input, request, configuration, registry, shown)
        self._finish(report, configuration.settings)
        try:
            save_tuning(report, request.save_to)
        except OutputFileError as error:
            error.report = report
            raise
        return report

    def load(
        self,
        torch_model: Any,
        input: object = None,
        *,
        slo: str,
        rates: float | Sequence[float] | None = (),
        instances: int | Sequence[int] | None = (),
        threads: int | Sequence[int] | None = (),
        shared_session: bool = False,
        arrivals: str = "poisson",
        batch_up_to: int = 1,
        batch_wait_ms: float = 0.0,
        engines: str | EngineChoice | Sequence[str | EngineChoice] | None = None,
        device: str | None = None,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        progress: ProgressCallback | None = None,
        command: str = "",
        target: str = "",
        input_options: Sequence[str] = (),
        **settings: Any,
    ) -> LoadReport:
        """Find how many requests a second engines serve within a limit on their latency.

        Requests arrive at times that are drawn beforehand, and the latency of each counts
        from its arrival. Engines take turns (docs/load.md).

        Parameters
        ----------
        torch_model, input, engines, device, input_names, output_names, progress
            As for :meth:`benchmark`.
        slo
            The limit: ``"p99<=50ms"``.
        rates
            Requests per second to try. Default: find the highest that keeps to the limit.
        instances, threads
            Threads that serve requests, and threads of each call; several of each are
            combined, as far as they fit on the cores. Default: one instance with all cores,
            and as many instances as cores with one thread each.
        shared_session
            Whether all instances call one session. Default: each has its own.
        arrivals
            ``"poisson"``, ``"constant"``, or a file with the time of a request on each
            line, in seconds.
        batch_up_to
            Requests in the largest batch. The inputs are those of one request; they are
            repeated for a batch, and a batch that is not full takes as long as a full one.
        batch_wait_ms
            How long the first request of a batch waits for others at most.
        command, target, input_options
            For the report, as for :meth:`benchmark`.
        **settings
            As for :meth:`benchmark`. ``max_seconds`` is the time for all engines together;
            its default is 120.

        Returns
        -------
        LoadReport
            ``configurations`` has what each one can serve, ``best`` the one that can serve
            most.

        Raises
        ------
        UsageError
            The limit, arrivals, instances or a setting are wrong.
        ModelError
            The model does not run with these inputs.
        """
        # On use, as in benchmark().
        from lexer_core.build_report import RunOrigin
        from lexer_core.load_testing.load_test import LoadRequest, run_load_test
        from lexer_core.load_testing.request import read_plan

        self._report = None
        configuration = _with_time(
            self.configuration(torch_model, engines=engines, device=device, **settings),
            LOAD_SECONDS,
        )
        request = LoadRequest(
            plan=read_plan(
                slo,
                configuration.settings,
                rates=rates,
                arrivals=arrivals,
                batch_wait_ms=batch_wait_ms,
            ),
            batch=number_of("batch_up_to", int, batch_up_to),
            instances=numbers_of("instances", int, instances),
            threads=numbers_of("threads", int, threads),
            shared_session=shared_session,
            origin=RunOrigin(
                command=command,
                target=target,
                input_options=input_options,
                live_model=LiveModel(
                    torch_model, input, input_names=input_names, output_names=output_names
                ),
            ),
        )
        model = adapt_model_input(
            torch_model,
            input,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes={},
        )
        with _shown_progress(progress, configuration.settings) as shown:
            report = run_load_test(model, input, request, configuration, self.registry, shown)
        self._finish(report, configuration.settings)
        return report

    def _finish(self, report: BenchmarkReport, settings: Settings) -> None:
        """Keep a report for :meth:`flush`, and print it if the settings say so."""
        return_freed_memory()
        self._report = report
        if settings.print_report:
            # On use: it imports rich.
            from lexer_core.reporting.terminal_table import print_report

            print_report(report, how_to_see_more="report.to_text(verbose=True)")

    def configuration(self, torch_model: Any = None, **settings: Any) -> Configuration:
        """Return the effective settings of a call, and where each was set.

        Parameters
        ----------
        torch_model
            The model of the call, whose decorator may have settings.
        **settings
            The settings of the call.

        Returns
        -------
        Configuration
            The effective ``settings``, and their ``setting_origins``.

        Raises
        ------
        SettingError
            A setting is unknown or has a wrong value, or a configuration file
            cannot be read.
        """
        metadata = metadata_of(torch_model)
        return merge_layers(
            [
                argument_layer("the call", settings),
                argument_layer("@Lexer", metadata.settings if metadata else {}),
                self._layer,
                *read_sources().layers,
            ]
        )

    def flush(self, name: str, target_directory: str | os.PathLike[str] = ".") -> Path:
        """Write the last benchmark to the file ``<name>.lexer``.

        The file contains the rows, every sample, the exported models and the engines'
        output (docs/artifact.md). The settings ``include_model`` and ``include_csv``
        control what is included. ``lexer show`` prints the file, and
        :func:`lexer_core.artifact.load` reads it.

        Parameters
        ----------
        name
            Name of the file and of the files in it.
        target_directory
            The folder to write to. An existing file is replaced atomically.

        Returns
        -------
        Path
            The path of the file.

        Raises
        ------
        UsageError
            Nothing has been measured, or the name is not a valid file name.
        OutputFileError
            The file cannot be written.
        """
        # On use: it imports numpy.
        from lexer_core.artifact.write import artifact_path, save_as_set

        path = artifact_path(name, target_directory)
        if self._report is None:
            raise UsageError(
                f"nothing to write to {path.name}: this context has not measured anything, "
                "or its last benchmark failed.",
                hint="Call benchmark() on this context first.",
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
            The file to write. Weights of more than 1.5 GiB are stored in a second
            file next to it. Default: a temporary file that is deleted with this
            context.
        format
            The format of the file: ``"onnx"``.
        dynamic_axes
            For each input name, the names of its dynamic axes by dimension.
            Default: the decorator's.
        input_names, output_names
            Names of the input and output tensors. Default: the decorator's, or
            names derived from the model.
        **settings
            ``exporter``, ``opset``, ``onnx_checks``, ``use_cache``, ``validation``.

        Returns
        -------
        ExportedModel
            The exported model with the specifications of its inputs and outputs.

        Raises
        ------
        ExportError
            The model cannot be exported.
        InputError
            Inputs, names or axes do not match the model.
        OutputFileError
            The file cannot be written.
        """
        # On use, as in benchmark().
        from lexer_core.exporting.to_file import export_to_file

        effective = self.configuration(torch_model, **settings).settings
        adapted = adapt_model_input(
            torch_model,
            input,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic_axes,
        )
        if isinstance(adapted, Path):
            raise TargetError(f"{adapted} already is an .onnx file: there is nothing to export.")
        return export_to_file(
            adapted,
            Path(path) if path is not None else self._own_file(f"{adapted.model_name}.{format}"),
            format=format,
            settings=effective,
            registry=self.registry,
        )

    def _own_file(self, name: str) -> Path:
        """Return a path in a temporary folder that is deleted with this context."""
        folder = TemporaryFolder("exported")
        self._folders.append(folder)
        return folder.path / re.sub(r"[^\w.-]", "_", name)


def benchmark(torch_model: Any, input: object = None, **arguments: Any) -> BenchmarkReport:
    """Benchmark a model on several engines, without a context.

    Also importable as ``lexer_core.benchmark`` and ``lexer.benchmark``.

    Parameters
    ----------
    torch_model, input
        As for :meth:`LexerContext.benchmark`.
    **arguments
        Its other arguments and the settings.

    Returns
    -------
    BenchmarkReport
        One row per engine. The row of an engine that failed has the reason.

    Raises
    ------
    UsageError
        Inputs, names, settings or engine names are wrong.
    ModelError
        The model does not run with these inputs.

    Examples
    --------
    ::

        report = lexer_core.benchmark(model, x, engines=["torch", "onnxruntime"])
        print(report)
        report.save("run.lexer")
    """
    return LexerContext().benchmark(torch_model, input, **arguments)
