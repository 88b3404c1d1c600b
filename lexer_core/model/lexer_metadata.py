"""What did ``@Lexer`` record on a model's class?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METADATA_ATTRIBUTE", "LexerMetadata", "metadata_of"]

METADATA_ATTRIBUTE: Final = "__lexer__"
"""The class attribute that holds the metadata."""


@frozen(kw_only=True)
class LexerMetadata:
    """What the decorator recorded on a model class."""

    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    settings: Mapping[str, object] = field(factory=dict)


def metadata_of(model: object) -> LexerMetadata | None:
    """Return the metadata of a model's class, or ``None`` if it is not decorated."""
    model = getattr(model, "_orig_mod", model)  # inside the wrapper of torch.compile
    metadata = getattr(type(model), METADATA_ATTRIBUTE, None)
    return metadata if isinstance(metadata, LexerMetadata) else None
