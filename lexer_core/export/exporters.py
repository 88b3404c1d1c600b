"""What can export a model, and what is the error if nothing can?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lexer_core.errors import ExportError, HookError
from lexer_core.export.formats import STANDARD_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lexer_core.engines.states import EngineListing
    from lexer_core.records import Device, EngineInfo, ExportedModel, ModelSource, OptionValue

__all__ = ["Engines", "Exporter", "check_destination", "no_exporter"]


class Exporter(Protocol):
    """The part of :class:`lexer_core.engines.engine.Engine` that exporting uses."""

    @property
    def name(self) -> str:
        """The engine's name on the command line."""

    @property
    def info(self) -> EngineInfo:
        """The engine's description of itself."""

    @property
    def distribution(self) -> str:
        """The plugin's distribution and version."""

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

    def convert_model(
        self, exported: ExportedModel, precision: str, workdir: Path
    ) -> ExportedModel | None:
        """Convert an export to a precision, or return ``None``."""


class Engines(Protocol):
    """The part of the engine registry that exporting uses."""

    def get(self, name: str) -> Exporter:
        """Return a ready engine."""

    def ready_names(self) -> Sequence[str]:
        """Return the name of every ready engine."""

    def listings(self) -> Sequence[EngineListing]:
        """List every engine that is installed."""


def no_exporter(
    source: ModelSource,
    formats: Sequence[str],
    listings: Sequence[EngineListing],
    *,
    engine: str = "",
    elsewhere: str = "",
) -> ExportError:
    """Return the error for formats that no installed engine exports to.

    Parameters
    ----------
    source
        The model.
    formats
        The formats.
    listings
        The installed engines.
    engine
        Display name of the engine that the export is for, if it is for one.
    elsewhere
        The distribution of the engine's plugin, if another environment runs the engine.

    Returns
    -------
    ExportError
        The hint names the package to install, or how to fix an engine that is
        installed but not ready.
    """
    hints, causes = [], []
    for name in formats:
        if name not in STANDARD_FORMATS:
            continue
        package = STANDARD_FORMATS[name].distribution
        exporter = STANDARD_FORMATS[name].engine
        named = [item for item in listings if item.name == exporter]
        # Of two plugins that claim the name, the one that is meant to have it.
        own = (item for item in named if item.distribution.partition(" ")[0] == package)
        listing = next(own, named[0] if named else None)
        if listing is None:
            hints.append(f"To export to {name}, install {package}: pip install {package}")
        elif listing.remedy:
            causes.append(f"engine {exporter!r} is {listing.state}: {listing.reason}")
            hints.append(
                f"{package} exports to {name}, but is {listing.state}: {listing.reason}.\n"
                f"{listing.remedy}"
            )
    if elsewhere:
        hints.append(
            "Models are exported in this environment, not in the engine's: a plugin that exports "
            f"to {' or '.join(formats)} must be installed here. If it is the engine's own: "
            f"pip install {elsewhere.partition(' ')[0]}"
        )
    cause = f" ({'; '.join(causes)})" if causes else ""
    return ExportError(
        f"no installed engine exports {_kind(source)} to {' or '.join(formats)}"
        f"{f' for {engine}' if engine else ''}{cause}.",
        hint="\n".join(dict.fromkeys(hints))
        or "Install a plugin whose lexer_export_model makes this format.",
    )


def check_destination(
    exported: ExportedModel, workdir: Path, source: ModelSource, exporter: Exporter
) -> None:
    """Check that an exported file is inside the given folder or is the user's own file.

    Raises
    ------
    HookError
        The plugin wrote the file somewhere else.
    """
    path = exported.path
    if path is None or path == source.onnx_path:
        return
    if not path.resolve().is_relative_to(workdir.resolve()):
        raise HookError(
            f"engine {exporter.name!r}: lexer_export_model wrote to {path}, outside its workdir.",
            engine=exporter.name,
            hook="lexer_export_model",
            hint="Write to the folder `workdir` that the hook gets; other files are lost.",
        )


def _kind(source: ModelSource) -> str:
    if source.onnx_path is not None:
        return "an .onnx file"
    return "a torch module" if source.module is not None else "a torch.export program"
