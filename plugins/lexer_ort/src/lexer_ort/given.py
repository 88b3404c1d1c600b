"""What if the user's model is an ``.onnx`` file already?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.records import ExportedModel
from lexer_ort.onnx_specs import check_file, read_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["take_given_file"]


def take_given_file(path: Path, *, checks: bool = True) -> ExportedModel:
    """Take a file as it is, after a look at it.

    Parameters
    ----------
    path
        The file; external data lies beside it.
    checks
        Whether ``onnx.checker`` must accept it.

    Raises
    ------
    ExportError
        It cannot be read, is not ONNX, or the checker refuses it.
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
