"""How is the base's model loaded if its modules have the same names as the new one's?

In a separate process that imports from the base's checkout instead of the new
one, so that modules of the same name do not conflict.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.benchmark.hosted_models import RemoteModel
from lexer_core.errors import TargetError
from lexer_core.model.model_input import adapt_model_input
from lexer_core.target.load import load_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.model.adapt import AdaptedModel

__all__ = ["BaseLocation", "remote_base_model"]

_LEXER_PACKAGES = ("lexer", "lexer_core")
"""Packages that both models share."""


@frozen(kw_only=True)
class BaseLocation:
    """Where the base's model is, and where its modules are imported from.

    Parameters
    ----------
    target
        ``path/to/file.py:Class`` or ``package.module:Class``, as on the command
        line.
    folder
        The base's checkout, absolute: the target is loaded as if Lexer ran
        there. ``None``: the current folder.
    new_folder
        The new checkout, whose modules the base must not import.
    path
        ``sys.path`` for loading the base's model.
    seed
        Seed of the weights of a model that is created; ``None`` leaves them to chance.
    """

    target: str
    folder: Path | None
    new_folder: Path
    path: tuple[str, ...]
    seed: int | None = None

    @classmethod
    def find(
        cls, target: str, folder: str | Path | None = None, *, seed: int | None = None
    ) -> BaseLocation:
        """Locate the base's model, relative to the current folder.

        Call this before loading the new model, which adds its own folders to
        ``sys.path``.

        Raises
        ------
        TargetError
            The folder does not exist, or the target is an ``.onnx`` file.
        """
        if target.endswith(".onnx"):
            raise TargetError(
                f"the base's TARGET {target!r} is an .onnx file.",
                hint="The base already contains its exported models. Name the PyTorch model: "
                "path/to/file.py:Class.",
            )
        current = Path.cwd()
        checkout = None if folder is None else Path(folder).resolve()
        if checkout is not None and not checkout.is_dir():
            raise TargetError(
                f"cannot load the base's TARGET from {str(folder)!r}: the folder does not exist.",
                hint="To check out the base there: git worktree add ../base main",
            )
        return cls(
            target=target,
            folder=checkout,
            new_folder=current,
            path=_search_path(current, checkout),
            seed=seed,
        )


def remote_base_model(
    location: BaseLocation,
    input: object,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> RemoteModel:
    """Return the base's model as one to be created in another process.

    Parameters
    ----------
    location
        Where the model is.
    input
        Example inputs.
    input_names, output_names
        Names that override those of the decorator or the model.
    """
    return RemoteModel(
        f"the base's {location.target}",
        partial(_load, location, input, input_names, output_names),
        location.path,
        title="base's TARGET",
    )


def _search_path(current: Path, checkout: Path | None) -> tuple[str, ...]:
    """Return ``sys.path`` with the base's folders instead of the new model's.

    The current folder and that of the program belong to the new model. Folders
    below the current one (such as an editable ``src``) are replaced by the same
    folders in the base's checkout.
    """
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    of_new_model = {current, *([Path(program).resolve().parent] if program else [])}
    entries = []
    for entry in filter(None, sys.path):
        folder = Path(entry).resolve()
        if folder in of_new_model:
            continue
        if checkout is not None and _belongs_to(current, folder):
            counterpart = checkout / folder.relative_to(current)
            folder = counterpart if counterpart.exists() else folder
        entries.append(str(folder))
    # Lexer itself may be in a folder that was left out.
    return tuple(dict.fromkeys([*entries, str(Path(__file__).resolve().parents[2])]))


def _belongs_to(checkout: Path, path: Path) -> bool:
    """Return whether a path is part of a checkout, not of an environment inside it."""
    return path.is_relative_to(checkout) and "site-packages" not in path.parts


def _load(
    location: BaseLocation,
    input: object,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
) -> AdaptedModel:
    """Load and adapt the model; runs in the model's own process."""
    loaded_before = set(sys.modules)
    if location.folder is not None:
        os.chdir(location.folder)
    try:
        model = load_target(location.target, seed=location.seed).model
    except TargetError as error:
        raise TargetError(f"the base's TARGET: {error.message}", hint=error.hint) from error
    if location.folder is not None:
        _check_origin(set(sys.modules) - loaded_before, location.folder, location.new_folder)
    adapted = adapt_model_input(
        model,
        input,
        input_names=input_names,
        output_names=output_names,
        dynamic_axes={},
    )
    assert not isinstance(adapted, Path)
    return adapted


def _check_origin(names: set[str], checkout: Path, new: Path) -> None:
    """Refuse a module imported from the new checkout if the base's checkout has it, too."""
    for name in sorted(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or name.partition(".")[0] in _LEXER_PACKAGES:
            continue
        path = Path(file).resolve()
        if _belongs_to(checkout, path) or not _belongs_to(new, path):
            continue
        counterpart = checkout / path.relative_to(new)
        if counterpart.exists():
            raise TargetError(
                f"the base's TARGET imported module {name!r} from {path} instead of {counterpart}.",
                hint="The new version would be compared with itself. If it is installed, run Lexer "
                "in an environment where it is not.",
            )
