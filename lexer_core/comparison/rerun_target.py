"""How is the base's model made, when its modules are called like the new one's?

In a process of its own, which looks for modules in the base's checkout and not
in the new one's, so that two modules of one name never meet.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.benchmark.preparation import RemoteModel
from lexer_core.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.model.adapt import AdaptedModel

__all__ = ["BaseTarget", "model_of_base"]

_OWN = ("lexer", "lexer_core")
"""Lexer's own packages, which both models share."""


@frozen(kw_only=True)
class BaseTarget:
    """Where the base's model is, and where its modules are to be looked for.

    Parameters
    ----------
    text
        ``path/to/file.py:Class`` or ``package.module:Class``, as on the command
        line.
    folder
        The base's checkout, absolute: the target is loaded as if Lexer had been
        called there. ``None``: from the current folder.
    new_folder
        The checkout whose modules must not be taken for the base's.
    path
        Where to look for modules after the base's own folders.
    """

    text: str
    folder: Path | None
    new_folder: Path
    path: tuple[str, ...]

    @classmethod
    def find(cls, text: str, folder: str | Path | None = None) -> BaseTarget:
        """Note where the base's model is, seen from the current folder.

        Call it before the new model is loaded, which adds its own folders to
        where modules are looked for.

        Raises
        ------
        TargetError
            The folder is not there, or the target is an ``.onnx`` file.
        """
        if text.endswith(".onnx"):
            raise TargetError(
                f"the base's TARGET {text!r} is an .onnx file.",
                hint="The exported models are in the base already; name the PyTorch model: "
                "path/to/file.py:Class.",
            )
        here = Path.cwd()
        checkout = None if folder is None else Path(folder).resolve()
        if checkout is not None and not checkout.is_dir():
            raise TargetError(
                f"there is no folder {str(folder)!r} to load the base's TARGET from.",
                hint="Check the base out there: git worktree add ../base main",
            )
        return cls(text=text, folder=checkout, new_folder=here, path=_search_path(here, checkout))


def model_of_base(
    target: BaseTarget,
    input: object,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> RemoteModel:
    """Describe the base's model to the process that is to make it.

    Parameters
    ----------
    target
        Where it is.
    input
        Example inputs.
    input_names, output_names
        Names in place of the decorator's or the model's own.
    """
    return RemoteModel(
        name=f"the base's {target.text}",
        make=partial(_make, target, input, input_names, output_names),
        sys_path=target.path,
    )


def _search_path(here: Path, checkout: Path | None) -> tuple[str, ...]:
    """Where this process looks for modules, with the base's folders in place of the new one's.

    The current folder and that of the program hold the new model. Folders below
    the current one (a ``src`` that is installed editable, say) stand for the
    same ones in the base's checkout.
    """
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    of_new = {here, *([Path(program).resolve().parent] if program else [])}
    found = []
    for entry in filter(None, sys.path):
        place = Path(entry).resolve()
        if place in of_new:
            continue
        if checkout is not None and _is_of(here, place):
            twin = checkout / place.relative_to(here)
            place = twin if twin.exists() else place
        found.append(str(place))
    # Lexer itself may lie in a folder that was left out.
    return tuple(dict.fromkeys([*found, str(Path(__file__).resolve().parents[2])]))


def _is_of(checkout: Path, place: Path) -> bool:
    """Whether a file or folder belongs to a checkout, and is not merely installed in it."""
    return place.is_relative_to(checkout) and "site-packages" not in place.parts


def _make(
    target: BaseTarget,
    input: object,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
) -> AdaptedModel:
    """Load and adapt the model; runs in the process that prepares it."""
    # They import torch, or run the user's code.
    from lexer_core.model.lexer_metadata import metadata_of
    from lexer_core.model.model_input import adapt_model_input, unwrap_compiled
    from lexer_core.target.load import load_target

    loaded_before = set(sys.modules)
    if target.folder is not None:
        os.chdir(target.folder)
    try:
        model = load_target(target.text).model
    except TargetError as error:
        raise TargetError(f"the base's TARGET: {error.message}", hint=error.hint) from error
    if target.folder is not None:
        _check_origin(set(sys.modules) - loaded_before, target.folder, target.new_folder)
    adapted = adapt_model_input(
        model,
        input,
        metadata_of(unwrap_compiled(model)),
        input_names=input_names,
        output_names=output_names,
        dynamic_axes={},
    )
    assert not isinstance(adapted, Path)
    return adapted


def _check_origin(names: set[str], checkout: Path, new: Path) -> None:
    """Refuse a module of the new checkout that the base has a version of its own of."""
    for name in sorted(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or name.partition(".")[0] in _OWN:
            continue
        place = Path(file).resolve()
        if _is_of(checkout, place) or not _is_of(new, place):
            continue
        twin = checkout / place.relative_to(new)
        if twin.exists():
            raise TargetError(
                f"the base's TARGET imported module {name!r} from {place}, "
                f"and not from the base's checkout, which has {twin}.",
                hint="The new version would be compared with itself. Is it installed? Run Lexer "
                "from an environment in which it is not.",
            )
