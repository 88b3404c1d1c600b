"""What did the user give as a model: a module, a program, or a file?"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import InputError, TargetError
from lexer_core.model.lexer_metadata import metadata_of
from lexer_core.model.program import example_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.model.adapt import AdaptedModel

__all__ = ["ModelInput", "adapt_model_input", "adapt_second_input", "named_models"]

_PAIR = 2


@frozen(eq=False)
class ModelInput:
    """A model as the user gave it, and its example inputs."""

    model: Any
    input: object


def named_models(model: Any, input: object) -> dict[str, ModelInput]:
    """Return the models of a benchmark by name; the name of a single one is empty.

    Parameters
    ----------
    model
        One model, or a mapping of names to models or to pairs of a model and its inputs.
    input
        The inputs of models that have none of their own.

    Raises
    ------
    TargetError
        The mapping is empty, or a name cannot be part of a row's label.
    """
    if not isinstance(model, Mapping):
        return {"": ModelInput(model, input)}
    if not model:
        raise TargetError("there are no models to measure: the mapping is empty.")
    named = {}
    for name, each in model.items():
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise TargetError(
                f"a model cannot be called {name!r}.", hint="Use a short text, such as 'small'."
            )
        is_pair = isinstance(each, tuple) and len(each) == _PAIR
        named[name] = ModelInput(*each) if is_pair else ModelInput(each, input)
    return named


def adapt_model_input(
    model: Any,
    input: object,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
) -> AdaptedModel | Path:
    """Convert the user's model to one form.

    Parameters
    ----------
    model
        A module, an exported program, or the path of an ``.onnx`` file.
    input
        Example inputs. Default for a program: those it was exported with.
    input_names, output_names, dynamic_axes
        Default: those of the decorator, if the model is decorated.

    Returns
    -------
    AdaptedModel or Path
        The path, if ``model`` is an ``.onnx`` file.

    Raises
    ------
    TargetError
        The file does not exist or is not an ``.onnx`` file.
    InputError
        There are no inputs, or they do not fit the model.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _onnx_file(Path(model))
    torch = sys.modules.get("torch")  # until it is imported, there is no program
    if input is None and torch is not None and isinstance(model, torch.export.ExportedProgram):
        input = example_input(model)  # noqa: A001  the documented name of the argument
    if input is None:
        raise InputError(
            f"{model.name if isinstance(model, Path) else type(model).__name__} "
            "needs example inputs.",
            hint="Pass input=: a tensor, a tuple of positional arguments or a dict of keyword "
            "arguments.",
        )
    if isinstance(model, Path):
        return model
    from lexer_core.model.adapt import adapt_model  # imports numpy, which takes 0.1 s

    metadata = metadata_of(model)
    if metadata is not None:
        input_names = input_names or metadata.input_names
        output_names = output_names or metadata.output_names
        dynamic_axes = metadata.dynamic_axes if dynamic_axes is None else dynamic_axes
    return adapt_model(
        model,
        input,
        input_names=input_names or None,
        output_names=output_names or None,
        dynamic_axes=dynamic_axes,
    )


def adapt_second_input(
    adapted: AdaptedModel | Path,
    model: Any,
    second_input: object,
    *,
    input_names: Sequence[str] | None = None,
) -> Mapping[str, npt.NDArray[Any]] | None:
    """Convert the user's second inputs to arrays by name; ``None`` if there are none.

    Parameters
    ----------
    adapted
        The model with its first inputs.
    model, input_names
        As for :func:`adapt_model_input`.
    second_input
        Inputs like the first.

    Raises
    ------
    InputError
        They do not have the names, shapes and types of the first.
    """
    if second_input is None:
        return None
    if isinstance(adapted, Path):
        raise InputError(
            f"{adapted.name} has no use for second inputs.",
            hint="They check exports of a torch model. Leave out second_input.",
        )
    second = adapt_model_input(model, second_input, input_names=input_names, dynamic_axes={})
    assert not isinstance(second, Path)
    if second.input_specs != adapted.input_specs:
        raise InputError(
            f"second_input is {', '.join(map(str, second.input_specs))}.",
            hint="It must have the names, shapes and types of input: "
            f"{', '.join(map(str, adapted.input_specs))}.",
        )
    return second.inputs.arrays


def _onnx_file(path: Path) -> Path:
    if path.suffix != ".onnx":
        raise TargetError(
            f"{path} is not an .onnx file.",
            hint="Pass a module, an exported program, or the path of an .onnx file.",
        )
    if not path.is_file():
        raise TargetError(f"file {path} does not exist.")
    return path.resolve()
