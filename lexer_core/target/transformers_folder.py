"""How is a transformers model loaded from a folder, without network and foreign code?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lexer_core.errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_transformers_folder", "load_transformers_folder"]

_CONFIG = "config.json"


def is_transformers_folder(path: Path) -> bool:
    """Return whether ``save_pretrained`` may have written the folder."""
    return (path / _CONFIG).is_file()


def load_transformers_folder(path: Path) -> Any:
    """Load the model that ``save_pretrained`` wrote to a folder.

    Its class is one of transformers', and its weights are safetensors, so nothing in the
    folder is executed. Nothing is downloaded.

    Raises
    ------
    TargetError
        transformers is not installed, has no such class, or the weights are pickled.
    """
    try:
        import transformers
    except ImportError as error:
        raise TargetError(
            f"the model in {str(path)!r} needs transformers, which is not installed.",
            hint="Install it: pip install transformers",
        ) from error
    if not any(path.glob("*.safetensors")):
        raise TargetError(
            f"{str(path)!r} has no .safetensors file, and other formats of weights may run code "
            "when they are loaded.",
            hint="If you trust them, convert them: load the model yourself, and call "
            "model.save_pretrained(folder).",
        )
    name = _class_name(path)
    kind = getattr(transformers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
        raise TargetError(
            f"the model in {str(path)!r} is a {name!r}, which transformers "
            f"{transformers.__version__} does not have.",
            hint="Code in the folder is not executed. If you trust it, name a function of your "
            "own that loads the model.",
        )
    model: Any = kind.from_pretrained(
        str(path), local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    return model.eval()


def _class_name(path: Path) -> str:
    config = path / _CONFIG
    try:
        data = json.loads(config.read_text(encoding="utf-8"))
        names = data.get("architectures") if isinstance(data, dict) else None
    except (OSError, ValueError, RecursionError) as error:
        raise TargetError(f"{str(config)!r} cannot be read as JSON: {error}.") from error
    if isinstance(names, list) and names and isinstance(names[0], str):
        return names[0]
    raise TargetError(
        f"{str(config)!r} does not name the class of the model ('architectures').",
        hint="model.save_pretrained(folder) writes it.",
    )
