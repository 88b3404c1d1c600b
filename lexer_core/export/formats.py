"""Which model formats do several engines share, and what is known about each?

An engine may also have its own format, which only its own plugin exports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ONNX", "STANDARD_FORMATS", "TORCH", "TORCH_EXPORT", "Format", "is_flat"]


@frozen(kw_only=True)
class Format:
    """A standard model format.

    Parameters
    ----------
    name
        As in ``EngineInfo.formats`` and ``ExportedModel.format``.
    content
        What ``ExportedModel`` holds.
    engine, distribution
        The engine that exports the format, and the package that provides it.
    is_flat
        Whether the model takes and returns tensors one after the other, as traced,
        instead of the containers that ``forward`` takes and returns.
    """

    name: str
    content: str
    engine: str
    distribution: str
    is_flat: bool


ONNX = Format(
    name="onnx",
    content="the ONNX file exported.path; external data is stored next to it.",
    engine="onnxruntime",
    distribution="lexer-ort",
    is_flat=True,
)

TORCH = Format(
    name="torch",
    content="exported.model, a torch.nn.Module in eval mode.",
    engine="torch",
    distribution="lexer-torch",
    is_flat=False,
)

TORCH_EXPORT = Format(
    name="torch_export",
    content="exported.model, a torch.export.ExportedProgram of flat tensors.",
    engine="torch",
    distribution="lexer-torch",
    is_flat=True,
)

STANDARD_FORMATS: Mapping[str, Format] = {each.name: each for each in (ONNX, TORCH, TORCH_EXPORT)}
"""The standard formats by name."""


def is_flat(name: str) -> bool:
    """Whether a format is known to take and return flat tensors."""
    return name in STANDARD_FORMATS and STANDARD_FORMATS[name].is_flat
