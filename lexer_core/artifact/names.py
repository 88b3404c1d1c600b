"""How are the files within an artifact called?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexer_core.artifact.archive import is_safe_name

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
    """Turn any text into a name that every system takes; one that it takes stays."""
    if is_safe_name(text) and "/" not in text and text.isprintable() and len(text) <= _LONGEST:
        return text
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")[:_LONGEST].rstrip("-.") or otherwise


def log_name(number: int, label: str) -> str:
    """Name the log of a row; ``number`` counts the rows from 1."""
    short = re.sub(r"[^\w.+-]+", "-", label, flags=re.ASCII).strip("-.")[:_SHORT].rstrip("-.")
    return f"logs/{number}-{short or 'row'}.txt"


def model_names(parts: Sequence[str], top_name: str, number: int) -> tuple[str, ...]:
    """Name the files of a model, so that they find each other when they are unpacked.

    Parameters
    ----------
    parts
        Their names towards the folder of the first, which is the model. The
        model knows its external data by these names, so they stay.
    top_name
        What the model is called if it is to lie beside the table of contents,
        and its data do not take a name there that is another file's.
    number
        Counts the models from 1.

    Raises
    ------
    ValueError
        A name cannot be kept.
    """
    for part in parts:
        if not is_safe_name(part):
            raise ValueError(f"a file called {part!r} cannot be kept")
    others = parts[1:]
    taken = any(part.lower().endswith(_OURS) or part.startswith(_FOLDERS) for part in others)
    if top_name and not taken:
        return (top_name, *others)
    return tuple(f"models/{number}/{part}" for part in parts)
