"""What do the commands share that measure a model: benchmark, profile, tune and load?"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from lexer_core.cli.command_settings import command_configuration, lexer_context
from lexer_core.cli.options import command_line, given_settings, name_list
from lexer_core.cli.output import Format, plan_output
from lexer_core.cli.sigint import exits_at_once_until_a_run_begins
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.choice import parse_engine_choice
from lexer_core.settings.table import DEFAULT, preset_origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import click

    from lexer_core.run_plan import RunPlan

__all__ = ["MeasuringCommand"]

_NOT_REPRODUCED = (
    *("format", "output_file", "verbose", "depth", "include_model", "include_csv"),
    *("show_progress", "resume", "save_best", "force"),
)
"""Parameters that do not change what is measured."""


class MeasuringCommand:
    """A command that measures a model, with its options read and checked.

    Parameters
    ----------
    context
        The context of the command.
    targets
        Each TARGET.
    format, output_file, verbose, depth
        As for :func:`~lexer_core.cli.output.plan_output`.
    described, inputs_file, batch_size, input_names, output_names
        The input options.
    engines
        The values of ``--engine``.
    **settings
        The settings among the options; ``None`` means not set.

    Attributes
    ----------
    output
        Where the results go.
    configuration
        The settings that apply before the model is loaded.
    """

    def __init__(
        self,
        context: click.Context,
        targets: Sequence[str],
        *,
        format: Format | None,
        output_file: str | None,
        verbose: bool,
        depth: int | None = None,
        described: Sequence[str],
        inputs_file: str | None,
        batch_size: int | None,
        input_names: str | None,
        output_names: str | None,
        engines: Sequence[str],
        **settings: Any,
    ) -> None:
        self.output = plan_output(format, output_file, verbose=verbose, depth=depth)
        settings["engines"] = [str(parse_engine_choice(text)) for text in engines] or None
        self.configuration = command_configuration(settings)
        settings["seed"] = self.configuration.settings.seed
        self._context, self._targets = context, targets
        self._planned: dict[str, Any] = {
            "inputs": described,
            "inputs_file": inputs_file,
            "batch_size": batch_size,
            "input_names": name_list(input_names) or (),
            "output_names": name_list(output_names) or (),
            "settings": given_settings(settings),
        }

    def plan(self, **fields: Any) -> RunPlan:
        """Return the plan of the options, with further fields of :class:`RunPlan`."""
        from lexer_core.run_plan import RunPlan  # imports numpy

        return RunPlan(targets=self._targets, **self._planned, **fields)

    def how_to_run(self) -> dict[str, Any]:
        """Return the arguments of :func:`~lexer_core.run_plan.execute_plan` of every command."""
        values = self.configuration.settings
        implied = (DEFAULT, preset_origin(values.preset))
        explicit = {
            name: getattr(values, name)
            for name, origin in self.configuration.setting_origins.items()
            if origin not in implied
        }
        return {
            "context": lexer_context(self._context),
            "command": command_line(self._context, without=_NOT_REPRODUCED, also=explicit),
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the user's code in the ``with`` block, starting the model's process first.

        An ``.onnx`` file needs none with torch.
        """
        early: AbstractContextManager[object] = nullcontext()
        if not all(target.endswith(".onnx") for target in self._targets):
            from lexer_core.benchmark.early_model import model_process_started_early  # on use

            early = model_process_started_early(self.configuration.settings)
        with exits_at_once_until_a_run_begins(), stdout_to_stderr(), early:
            yield

    def check_engines(self) -> None:
        """Check the engines and their options before the model is loaded, which takes longer.

        An embedding program's context has its own engines, and checks them itself.

        Raises
        ------
        UsageError
            An engine is not installed, or an option or a precision is wrong.
        """
        configuration = self.configuration
        chosen, precisions = configuration.settings.engines, configuration.settings.precision
        is_embedded = "lexer_context" in self._context.ensure_object(dict)
        if is_embedded or not (chosen or precisions):
            return
        if any(choice.python or choice.name in configuration.engines for choice in chosen or ()):
            return  # perhaps another interpreter runs it
        from lexer_core.benchmark.cases import select_cases  # imports numpy
        from lexer_core.engines.registry import EngineRegistry

        select_cases(
            EngineRegistry(),
            chosen,
            configuration.settings.device,
            named_in=str(configuration.setting_origins["engines"]),
            precisions=precisions or (),
        )
