"""What does an author say of an engine, so that it can be checked?

No pytest here: ``lexer engines check`` reads the same declarations.
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
    """An engine, and what has to be known of it to check it.

    Attributes
    ----------
    engine_name
        The entry point's name.
    device
        The device to check it on, as on the command line.
    threads
        Threads that a call may use.
    cannot
        What the engine cannot do: a capability (see docs/conformance.md,
        "Capabilities") and the reason. Checks that need it are skipped with that
        reason, and the engine has to *refuse* such a model.
    option_effects
        For each option, how its effect can be seen: a function that takes an
        open session and returns what is set there, or the reason why nothing
        can be seen. Where nothing is said, the outputs are looked at.
    option_values
        For options without choices, a value other than the default that makes
        sense, where 1, 2, 0.5 or 2.0 do not.
    changes_outputs
        Options that are meant to change the outputs.
    """

    engine_name: ClassVar[str] = ""
    device: ClassVar[str] = "cpu"
    threads: ClassVar[int] = 1
    cannot: ClassVar[Mapping[str, str]] = {}
    option_effects: ClassVar[Mapping[str, Callable[[Any], object] | str]] = {}
    option_values: ClassVar[Mapping[str, OptionValue]] = {}
    changes_outputs: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def make_model(cls, case: ModelCase, folder: Path) -> ExportedModel | None:
        """Make one model in a format that the engine accepts.

        To be overridden where the engine accepts neither ``onnx`` nor ``torch``
        nor ``torch_export``, and its ``lexer_export_model`` makes its own
        format from none of these.

        Parameters
        ----------
        case
            Which model: what it computes is in ``case.reference``, with
            ``case.weights``; what goes in and out in ``case.inputs`` and
            ``case.outputs``.
        folder
            Where to write it; empty.

        Returns
        -------
        ExportedModel or None
            ``None`` leaves it to the kit.
        """
        del case, folder
        return None
