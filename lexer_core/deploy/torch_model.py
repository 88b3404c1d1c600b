"""How is a Torch module stored as weights and what builds it, and built again?

Nothing is pickled: weights are safetensors, or a state dict that torch reads with
``weights_only=True``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.engine_helpers import error_summary
from lexer_core.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

__all__ = ["build_module", "difference_of", "find_build", "load_weights", "save_weights"]

_BUILD = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_OTHERWISE = (
    "Or save a row of an engine that runs an exported model, such as onnxruntime, openvino or "
    "torch-export."
)


def save_weights(module: torch.nn.Module, folder: Path) -> Path:
    """Write the state dict of a module; return the file.

    Raises
    ------
    DeploymentError
        The state dict contains something else than tensors.
    """
    import torch  # the core works without it

    path = folder / "weights.safetensors"
    if _has_safetensors() and _fits_safetensors(module):
        from safetensors.torch import save_model  # optional

        save_model(module, str(path))
        return path
    path = folder / "weights.pt"
    torch.save(module.state_dict(), path)
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch documents none
        raise DeploymentError(
            f"the state of {type(module).__name__} is not made of plain tensors: "
            f"{error_summary(error)}",
            hint=_OTHERWISE,
        ) from error
    return path


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Load weights that :func:`save_weights` wrote; names and shapes must match exactly.

    Raises
    ------
    DeploymentError
        They do not fit the module, or the file is damaged.
    MissingPackageError
        safetensors is not installed.
    """
    import torch  # the core works without it

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_model  # optional

            load_model(module, str(path))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            module.load_state_dict(state)
    except ImportError as error:
        raise DeploymentError(
            "the weights are in the format safetensors, which is not installed.",
            hint="pip install safetensors",
        ) from error
    except Exception as error:  # torch and safetensors document none
        raise DeploymentError(
            f"the weights do not fit {type(module).__name__}: {error_summary(error)}",
            hint="Build the model with the arguments that it was measured with.",
        ) from error


def find_build(
    module: torch.nn.Module, build: str, arguments: Mapping[str, object]
) -> tuple[str, Callable[..., Any]]:
    """Return what builds a module: its name, as ``module:Class``, and the object.

    Parameters
    ----------
    module
        The module. Its class is the default if it takes no arguments.
    build, arguments
        The user's choice; ``build`` may be empty.

    Raises
    ------
    DeploymentError
        It is not known how to build the module.
    """
    if arguments and json.loads(json.dumps(arguments, default=repr)) != arguments:
        raise DeploymentError(
            "arguments cannot be written as JSON.",
            hint="Use only numbers, strings, booleans, None, lists and dicts.",
        )
    if build:
        return build, _import(build)
    kind = type(module)
    known = f"build={kind.__module__ + ':' + kind.__qualname__!r}, arguments={{…}}"
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise DeploymentError(
            f"no other program can import {kind.__qualname__}, which is defined in "
            f"{'a function' if '<locals>' in kind.__qualname__ else 'a script'}.",
            hint="Define it in a module, or name a function of a module that returns the model: "
            f'build="package.module:make_model".\n{_OTHERWISE}',
        )
    required = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required and not set(required) <= set(arguments):
        raise DeploymentError(
            f"it is not known which arguments {kind.__qualname__} was built with: it takes "
            f"{', '.join(required)}.",
            hint=f"Pass them: save(folder, {known}).\n{_OTHERWISE}",
        )
    return f"{_importable_name(kind)}:{kind.__qualname__}", kind


def build_module(
    build: str, arguments: Mapping[str, object], make: Callable[..., Any] | None = None
) -> torch.nn.Module:
    """Import and call what builds a module. This runs the user's code.

    Parameters
    ----------
    build, arguments
        As ``module:Class``, and its keyword arguments.
    make
        What ``build`` names, if it is imported already.

    Raises
    ------
    DeploymentError
        It cannot be imported, raises, or returns something else.
    """
    import torch  # the core works without it

    from lexer_core.model.state import preserved_randomness  # imports torch

    make = _import(build) if make is None else make
    if isinstance(make, torch.nn.Module):
        raise DeploymentError(
            f"{build!r} is a model, not a class or function that returns one.",
            hint="Write a function that returns it, and name that.",
        )
    try:
        with preserved_randomness():
            module = make(**arguments)
    except Exception as error:  # the user's code may raise anything
        called = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise DeploymentError(
            f"{build}({called}) raised {error_summary(error)}",
            hint="Pass the arguments that the model was built with: arguments={…}.",
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise DeploymentError(
            f"{build} returned a value of type {type(module).__name__}, not a torch.nn.Module.",
            hint="Name a class or function that returns the model.",
        )
    return module.eval()


def difference_of(module: torch.nn.Module, other: torch.nn.Module) -> str:
    """Return how two modules differ, as a clause; empty if they do not.

    The classes may have been imported under different names.
    """
    from lexer_core.export.fingerprint import digest_tensors  # imports numpy

    parts, others = dict(module.named_modules()), dict(other.named_modules())
    for name in (*parts, *others):
        if name not in parts or name not in others:
            return f"one has no module {name!r}"
        part, its = parts[name], others[name]
        kinds = type(part).__qualname__, type(its).__qualname__
        if kinds[0] != kinds[1] or part.extra_repr() != its.extra_repr():
            return (
                f"module {name!r} is {kinds[1]}({its.extra_repr()}) instead of "
                f"{kinds[0]}({part.extra_repr()})"
            )
    tensors = [{**dict(each.named_buffers()), **each.state_dict()} for each in (module, other)]
    if digest_tensors(tensors[0]) != digest_tensors(tensors[1]):
        return "its weights have other types, or other buffers that are not saved"
    return ""


def _has_safetensors() -> bool:
    return importlib.util.find_spec("safetensors") is not None


def _fits_safetensors(module: torch.nn.Module) -> bool:
    import torch  # the core works without it

    return all(
        type(value) in (torch.Tensor, torch.nn.Parameter)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_complex()
        for value in module.state_dict(keep_vars=True).values()
    )


def _importable_name(kind: type) -> str:
    """Return the name under which another program imports the class's module."""
    if not kind.__module__.startswith("lexer_target_"):
        return kind.__module__
    # A file that the command line loaded.
    return Path(inspect.getfile(kind)).stem


def _import(build: str) -> Callable[..., Any]:
    if not _BUILD.fullmatch(build):
        raise DeploymentError(
            f"{build!r} does not name a class or function.", hint="Write package.module:Class."
        )
    where, _, attributes = build.partition(":")
    try:
        value: Any = importlib.import_module(where)
        for attribute in attributes.split("."):
            value = getattr(value, attribute)
    except Exception as error:  # the user's module may raise anything
        raise DeploymentError(
            f"{build!r} cannot be imported: {error_summary(error)}",
            hint=f"Install its package, or add the folder of its module to PYTHONPATH. "
            f"sys.path begins with {sys.path[0]!r}.",
        ) from error
    if not callable(value):
        raise DeploymentError(
            f"{build!r} is not callable, but a value of type {type(value).__name__}.",
            hint="Name a class or function that returns the model.",
        )
    called: Callable[..., Any] = value
    return called
