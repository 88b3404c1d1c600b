"""What are the names of the files in an artifact?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexer_core.validated_data import is_safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REPORT", "SAMPLES", "clean_name", "log_name", "model_names"]

REPORT = "report.json"
SAMPLES = "samples.npz"

_LONGEST = 100
_SHORT = 40
_OURS = (".toml", ".csv", ".onnx", ".json", ".npz")
_FOLDERS = ("logs/", "models/")


def clean_name(text: str, otherwise: str) -> str:
    """Return a file name that is valid on every system; a valid name is unchanged."""
    if is_safe_name(text) and "/" not in text and text.isprintable() and len(text) <= _LONGEST:
        return text
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")[:_LONGEST].rstrip("-.") or otherwise


def log_name(number: int, label: str) -> str:
    """Return the name of a row's log; ``number`` counts the rows from 1."""
    short = re.sub(r"[^\w.+-]+", "-", label, flags=re.ASCII).strip("-.")[:_SHORT].rstrip("-.")
    return f"logs/{number}-{short or 'row'}.txt"


def model_names(parts: Sequence[str], top_name: str, number: int) -> tuple[str, ...]:
    """Return the names of a model's files, so that it finds its data after unpacking.

    Parameters
    ----------
    parts
        Their paths relative to the folder of the first, which is the model. The
        model refers to its external data by these paths, so they are kept.
    top_name
        The model's name if it is to be at the top of the artifact; used unless a
        data file would have the name of another file there.
    number
        Counts the models from 1.

    Raises
    ------
    ValueError
        A path is not safe on every system.
    """
    for part in parts:
        if not is_safe_name(part):
            raise ValueError(f"a file named {part!r} cannot be saved")
    others = parts[1:]
    taken = any(part.lower().endswith(_OURS) or part.startswith(_FOLDERS) for part in others)
    if top_name and not taken:
        return (top_name, *others)
    return tuple(f"models/{number}/{part}" for part in parts)
