"""What does an author declare about an engine, so that it can be checked?

This module does not import pytest: ``lexer engines check`` reads the same declarations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lexer_core.records import ExportedModel, OptionValue
    from lexer_core.testing.model_zoo import ModelCase

__all__ = ["EngineUnderTest"]


class EngineUnderTest:
    """An engine, and what the kit needs to know about it.

    A plugin ships its declarations by naming the class in ``EngineInfo.declarations``;
    ``lexer engines check`` and pytest then both use it.

    Attributes
    ----------
    engine_name
        The entry point's name.
    device
        The device to check it on, as on the command line.
    threads
        Threads that a call may use.
    cannot
        What the engine cannot do: capabilities (see docs/conformance.md,
        "Capabilities") and the reasons. Checks that need them are skipped with
        that reason, and the engine must *refuse* such models.
    option_effects
        For each option, how to observe its effect: a function that takes an open
        session and returns the effective value, or the reason why it cannot be
        observed. Default: compare the outputs.
    option_values
        For an option without choices, a useful value other than the default, if
        1, 2, 0.5 and 2.0 are not.
    changes_outputs
        Options that are meant to change the outputs.
    refusable_precisions
        Declared precisions that some machines do not have.
    """

    engine_name: ClassVar[str] = ""
    device: ClassVar[str] = "cpu"
    threads: ClassVar[int] = 1
    cannot: ClassVar[Mapping[str, str]] = {}
    option_effects: ClassVar[Mapping[str, Callable[[Any], object] | str]] = {}
    option_values: ClassVar[Mapping[str, OptionValue]] = {}
    changes_outputs: ClassVar[tuple[str, ...]] = ()
    refusable_precisions: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def make_model(cls, case: ModelCase, folder: Path) -> ExportedModel | None:
        """Create a model in a format that the engine accepts.

        Override it if the engine accepts none of ``onnx``, ``torch`` and
        ``torch_export``, and its ``lexer_export_model`` cannot export them to its
        own format.

        Parameters
        ----------
        case
            The model: ``case.reference`` computes it with ``case.weights``;
            ``case.inputs`` and ``case.outputs`` are its specifications.
        folder
            An empty folder to write to.

        Returns
        -------
        ExportedModel or None
            ``None``: the kit creates the model.
        """
        del case, folder
        return None
