"""How is the user's own ``.onnx`` file accepted as an export?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.records import ExportedModel
from lexer_ort.onnx_specs import check_file, read_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["accept_user_file"]


def accept_user_file(path: Path, *, checks: bool = True) -> ExportedModel:
    """Return the user's file as an export, unchanged.

    Parameters
    ----------
    path
        The file; external data is stored next to it.
    checks
        Whether to run ``onnx.checker``.

    Raises
    ------
    ExportError
        The file cannot be read, is not a valid ONNX model, or fails the checker.
    UnsupportedError
        An input or output is not a dense tensor of numbers.
    """
    file = read_file(path)
    if checks:
        check_file(path)
    return ExportedModel(
        format="onnx",
        path=path,
        inputs=file.inputs,
        outputs=file.outputs,
        size_bytes=file.size_bytes,
        exporter="given",
    )
