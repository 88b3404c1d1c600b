"""How is a live model sent to another process?

It is saved by value to a file in a private folder of the run, so its class need not be
importable in the other process. Neither process ever holds a second copy of the
weights: each tensor is written from where it is, and read to where it is used. (The
file is not mapped into memory: mapped weights have other page sizes, and are read from
the disk in the first calls.)

A ``torch.export`` program and a scripted module cannot be pickled. torch saves them to
files of their own next to that file; the module of a program is sent as its program.
An operator of torch is sent by name, so the other process must have registered it.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import warnings
import weakref
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

__all__ = ["load_model", "program_module", "remove_model", "save_model", "saved_program"]

_ZIP = b"PK"
"""How a file that torch wrote begins; a pickle begins otherwise."""

_programs: weakref.WeakKeyDictionary[torch.nn.Module, torch.export.ExportedProgram] = (
    weakref.WeakKeyDictionary()
)


def save_model(model: object, path: Path) -> None:
    """Save a live model, or a record with one; :func:`load_model` restores it.

    Raises
    ------
    Exception
        Whatever pickling or saving the model raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    class Pickler(_Pickler):
        file = path

    if not _has_tensors(model):
        with path.open("wb") as file:
            Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(model)
        return
    import torch  # the model is one of torch's

    torch.save(
        model,
        path,
        pickle_module=SimpleNamespace(Pickler=Pickler, __name__="cloudpickle"),
        pickle_protocol=pickle.HIGHEST_PROTOCOL,
    )


def load_model(path: Path) -> Any:
    """Load what :func:`save_model` saved in another process of this run.

    The file contains code. Only this run can write to the folder it is in.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            file.seek(0)
            return pickle.load(file)  # noqa: S301  written by this run
    import torch  # torch wrote the file

    return torch.load(path, weights_only=False)


def saved_program(path: Path) -> Path:
    """Return the file of a ``torch.export`` program that :func:`save_model` saved."""
    return path.with_name(f"{path.name}.1.pt2")


def remove_model(path: Path) -> None:
    """Delete the files of a saved model."""
    for each in (path, *path.parent.glob(f"{path.name}.*")):
        each.unlink(missing_ok=True)


def program_module(program: torch.export.ExportedProgram) -> torch.nn.Module:
    """Return the module of a program; it can be sent, as its program can."""
    module = program.module()
    _programs[module] = program
    return module


def _has_tensors(model: object) -> bool:
    """Whether it is a model of torch's, or a record with one."""
    torch = sys.modules.get("torch")  # until it is imported, there is no such model
    if torch is None:
        return False
    kinds = (torch.nn.Module, torch.export.ExportedProgram)
    return isinstance(model, kinds) or isinstance(getattr(model, "module", None), kinds)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    file: Path
    """The file of the model; further files have its name with a suffix."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._count = 0

    def reducer_override(self, obj: Any) -> Any:
        torch = sys.modules.get("torch")  # until it is imported, there is no program
        if torch is None:
            return super().reducer_override(obj)
        if isinstance(obj, torch.export.ExportedProgram):
            torch.export.save(obj, path := self._next_file("pt2"))
            return _load_program, (str(path),)
        if isinstance(obj, torch.jit.ScriptModule):
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                torch.jit.save(obj, path := self._next_file("pt"))
            return _load_script, (str(path),)
        if isinstance(obj, torch.nn.Module) and obj in _programs:
            return program_module, (_programs[obj],)
        by_name = _by_name(obj)
        return super().reducer_override(obj) if by_name is None else by_name

    def _next_file(self, suffix: str) -> Path:
        self._count += 1
        return self.file.with_name(f"{self.file.name}.{self._count}.{suffix}")


def _by_name(obj: Any) -> tuple[Callable[..., Any], tuple[str, ...]] | None:
    """Return how to look up an operator, or a module of torch's own kinds, if it is one."""
    from torch._library.custom_ops import CustomOpDef  # only if torch is imported
    from torch._ops import OpOverload, OpOverloadPacket

    if isinstance(obj, OpOverload):
        namespace, _, name = obj._name.partition("::")
        return _operator, (namespace, name.partition(".")[0], obj._overloadname)
    if isinstance(obj, OpOverloadPacket):
        namespace, _, name = obj._qualified_op_name.partition("::")
        return _operator, (namespace, name)
    if isinstance(obj, CustomOpDef):
        return _custom_operator, (obj._qualname,)
    if isinstance(obj, ModuleType) and type(obj) is not ModuleType:
        if sys.modules.get(obj.__name__) is obj:
            return importlib.import_module, (obj.__name__,)
        if obj.__name__.startswith("torch.ops."):
            return _operator, (obj.__name__.removeprefix("torch.ops."),)
    return None


def _operator(*names: str) -> Any:
    import torch  # only in a process that runs one of its models

    return functools.reduce(getattr, names, torch.ops)


def _custom_operator(name: str) -> Any:
    from torch._library.custom_ops import OPDEFS  # only in a process that runs a torch model

    if name not in OPDEFS:
        raise LookupError(f"operator {name} is not registered")
    return OPDEFS[name]


def _load_program(path: str) -> torch.export.ExportedProgram:
    import torch  # the core works without it

    return torch.export.load(path)


def _load_script(path: str) -> torch.jit.ScriptModule:
    import torch  # the core works without it

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        script: torch.jit.ScriptModule = torch.jit.load(path)  # type: ignore[no-untyped-call]
    return script
