"""What did the user give as a model: a module, a program, or a file?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.errors import InputError, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.lexer_metadata import LexerMetadata

__all__ = ["adapt_model_input", "unwrap_compiled"]


def unwrap_compiled(model: Any) -> Any:
    """The user's own module, within what ``torch.compile`` may have put around it."""
    return getattr(model, "_orig_mod", model)


def adapt_model_input(
    model: Any,
    input: object,
    metadata: LexerMetadata | None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    batch_size: int | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
) -> AdaptedModel | Path:
    """Bring what the user gave into one form.

    Parameters
    ----------
    model
        A module, an exported program, or the path of an ``.onnx`` file.
    input
        Example inputs.
    metadata
        The metadata of the model's class, if it is decorated.
    input_names, output_names, dynamic_axes
        In place of the decorator's.
    batch_size
        What dimension 0 of the inputs must be.

    Returns
    -------
    AdaptedModel or Path
        The path where an ``.onnx`` file was given.

    Raises
    ------
    TargetError
        There is no such file, or it is no ``.onnx`` file.
    InputError
        There are no inputs, or they do not fit.
    """
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

    if dynamic_axes is None and metadata is not None:
        dynamic_axes = metadata.dynamic_axes
    return adapt_model(
        model,
        input,
        input_names=input_names or (metadata.input_names if metadata else None) or None,
        output_names=output_names or (metadata.output_names if metadata else None) or None,
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
