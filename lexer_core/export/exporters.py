"""Which engines can be asked for an export, and what if none can?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lexer_core.errors import ExportError, HookError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lexer_core.engines.states import EngineListing
    from lexer_core.records import Device, EngineInfo, ExportedModel, ModelSource, OptionValue

__all__ = ["Engines", "Exporter", "check_destination", "no_exporter"]

_MAKERS = {
    "onnx": ("lexer-ort", "onnxruntime"),
    "torch": ("lexer-torch", "torch"),
    "torch_export": ("lexer-torch", "torch"),
}
"""For each standard format: the distribution that makes it, and its engine."""


class Exporter(Protocol):
    """What is asked of an engine here; :class:`lexer_core.engines.engine.Engine` has it."""

    @property
    def name(self) -> str:
        """The engine's name on the command line."""

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    @property
    def distribution(self) -> str:
        """The plugin's distribution and its version."""

    @property
    def version(self) -> str | None:
        """Version of the runtime."""

    def find_device(self, name: str) -> Device:
        """Find a usable device by its name."""

    def export_model(
        self,
        source: ModelSource,
        format: str,
        device: Device,
        workdir: Path,
        options: Mapping[str, OptionValue],
    ) -> ExportedModel | None:
        """Turn a model into a format, or return ``None``."""


class Engines(Protocol):
    """What is asked of the registry here."""

    def get(self, name: str) -> Exporter:
        """Return a ready engine."""

    def ready(self) -> Sequence[Exporter]:
        """Return every ready engine."""

    def listings(self) -> Sequence[EngineListing]:
        """List every engine that is installed."""


def no_exporter(
    source: ModelSource, formats: Sequence[str], listings: Sequence[EngineListing], *, whom: str
) -> ExportError:
    """Say that nothing makes any of the formats, and which package would."""
    hints = []
    for name in formats:
        distribution, engine = _MAKERS.get(name, ("", ""))
        listing = next((item for item in listings if item.name == engine), None)
        if listing is not None and listing.remedy:
            hints.append(
                f"{distribution} makes {name}, but is {listing.state}: {listing.reason}.\n"
                f"{listing.remedy}"
            )
        elif distribution and listing is None:
            hints.append(f"Install {distribution}, which makes {name}: pip install {distribution}")
    return ExportError(
        f"no installed engine makes format {' or '.join(formats)} from {_kind(source)}"
        f"{f' for {whom}' if whom else ''}.",
        hint="\n".join(dict.fromkeys(hints))
        or "Install a plugin whose lexer_export_model makes it.",
    )


def check_destination(
    exported: ExportedModel, workdir: Path, source: ModelSource, maker: Exporter
) -> None:
    """Check that an export lies where it was to be written, or is the user's own file.

    Raises
    ------
    HookError
        It lies elsewhere.
    """
    path = exported.path
    if path is None or path == source.onnx_path:
        return
    if not path.resolve().is_relative_to(workdir.resolve()):
        raise HookError(
            f"engine {maker.name!r}: lexer_export_model wrote to {path}, outside its workdir.",
            engine=maker.name,
            hook="lexer_export_model",
            hint="Write to the folder that the hook is given: what is written elsewhere is lost.",
        )


def _kind(source: ModelSource) -> str:
    if source.onnx_path is not None:
        return "an .onnx file"
    return "a torch module" if source.module is not None else "a torch.export program"
