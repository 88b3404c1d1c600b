"""Which model does TARGET name?

``package.module:Class``, ``path/to/file.py:Class`` (or a factory function or an
instance instead of a class), ``package.module:make('small', depth=3)``, ``model.onnx``,
``program.pt2``, or the folder of a transformers model.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import random
import re
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import TargetError
from lexer_core.suggestions import did_you_mean
from lexer_core.target.factory_call import parse_factory_call
from lexer_core.target.onnx_file import read_onnx_inputs
from lexer_core.target.program_file import load_program
from lexer_core.target.transformers_folder import (
    is_transformers_folder,
    load_transformers_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from lexer_core.records import TensorSpec
    from lexer_core.target.factory_call import FactoryCall

__all__ = ["Target", "is_program", "load_target"]

_HOW_TO_WRITE = (
    "Write package.module:Class, path/to/file.py:Class, model.onnx, program.pt2 or the folder of a "
    "transformers model. Instead of a class, you can name a function that returns the model, with "
    "arguments if it needs any, or an instance."
)
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")
"""Suffixes of files of weights, or of pickled models, which run code when they are loaded."""


@frozen(kw_only=True, eq=False)
class Target:
    """The model to benchmark.

    ``model`` is a ``torch.nn.Module``, an exported program, or the path of an
    ``.onnx`` file; ``onnx_inputs`` are the inputs that the file declares, if
    Lexer could read them.
    """

    name: str
    model: Any
    onnx_inputs: tuple[TensorSpec, ...] | None = None

    @property
    def is_file(self) -> bool:
        """Whether the target is an ``.onnx`` file, so that no user code ran to load it."""
        return isinstance(self.model, Path)


def load_target(text: str, *, seed: int | None = None) -> Target:
    """Load the model that TARGET names. Runs the user's code, unless it is a file or folder.

    A class or function is called with the arguments that are written, which are
    literals; an instance is used as it is. Imports search the current folder and, for a
    file, its own folder.

    Parameters
    ----------
    text
        TARGET.
    seed
        Seed of the random numbers from which a class or function makes weights.
        ``None`` leaves them to chance.

    Raises
    ------
    TargetError
        The model cannot be loaded; the message states the cause.
    """
    if text.endswith(".onnx"):
        return _load_onnx(text)
    if text.endswith(".pt2"):
        _check_file(Path(text))
        return Target(name=text, model=load_program(Path(text)))
    if is_transformers_folder(Path(text)):
        with _explained(f"the model in {text!r} cannot be loaded", ""):
            return Target(name=text, model=load_transformers_folder(Path(text)))
    call = parse_factory_call(text)
    if call is None:
        raise _names_no_model(text)
    where = call.where
    module = _load_file(where) if where.endswith(".py") else _import_module(where)
    value = _attribute(module, where, call.attribute)
    return Target(name=text, model=_model(value, call, seed))


def is_program(value: object) -> bool:
    """Return whether a value is a ``torch.export.ExportedProgram``."""
    # Without torch imported, no such value can exist.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.export.ExportedProgram)


def _is_module(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


# --- Files. ---


def _load_onnx(text: str) -> Target:
    path = Path(text)
    _check_file(path)
    return Target(name=text, model=path, onnx_inputs=read_onnx_inputs(path))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise TargetError(f"{str(path)!r} is a folder, not a file.", hint=_HOW_TO_WRITE)
    if not path.exists():
        folder = path.parent
        others = [other.name for other in folder.glob(f"*{path.suffix}")] if folder.is_dir() else []
        raise TargetError(
            f"file {str(path)!r} does not exist.",
            hint=f"Searched {folder.resolve()}.{did_you_mean(path.name, others)}",
        )
    if path.stat().st_size == 0:
        raise TargetError(f"file {str(path)!r} is empty.", hint=_HOW_TO_WRITE)


def _load_file(where: str) -> ModuleType:
    path = Path(where).resolve()
    _check_file(Path(where))
    # A name that no package uses and that is the same in every run.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    stem = re.sub(r"\W", "_", path.stem)
    name = f"lexer_target_{stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _make_importable(path.parent)
    # Registered before it runs: dataclasses and pickle look up modules by name.
    sys.modules[name] = module
    try:
        with _explained(f"{where!r} cannot be imported", str(path)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    import cloudpickle  # only for models that may be sent to another process

    # No other process can import it by this name, so it is pickled by value.
    cloudpickle.register_pickle_by_value(module)
    return module


def _import_module(name: str) -> ModuleType:
    try:
        folder = Path.cwd()
    except FileNotFoundError as error:
        raise TargetError(
            f"module {name!r} is searched in the current folder, which was deleted.",
            hint="Change to another folder, or name the file: path/to/file.py:Class.",
        ) from error
    if "/" in name or "\\" in name:
        path = Path(name)
        if path.is_dir():
            raise TargetError(f"{name!r} is a folder, not a file.", hint=_HOW_TO_WRITE)
        with_suffix = path.with_name(f"{path.name}.py")
        suggestion = f"   Did you mean {str(with_suffix)!r}?" if with_suffix.exists() else ""
        raise TargetError(
            f"{name!r} is neither a module name nor a Python file.",
            hint=f"{_HOW_TO_WRITE}{suggestion}",
        )
    _make_importable(folder)
    importlib.invalidate_caches()
    try:
        with _explained(f"module {name!r} cannot be imported", ""):
            return importlib.import_module(name)
    except TargetError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and _is_part_of(cause.name, name):
            raise TargetError(
                f"module {cause.name!r} does not exist.",
                hint=f"Searched {folder} and the installed packages.\n{_file_hint(name)}",
            ) from cause
        raise


def _is_part_of(missing: str | None, name: str) -> bool:
    """Return whether the missing module is the requested one, not one that it imports."""
    return missing is not None and (name == missing or name.startswith(f"{missing}."))


def _file_hint(name: str) -> str:
    path = Path(*name.split(".")).with_suffix(".py")
    return f"For a file, write {path}:Class." if path.exists() else _HOW_TO_WRITE


def _names_no_model(text: str) -> TargetError:
    """Return the error of a TARGET without an attribute, which is perhaps a path."""
    path = Path(text)
    message, hint = f"TARGET {text!r} does not name a model.", _HOW_TO_WRITE
    if path.suffix == ".py":
        hint = f"Write {text}:NAME, where NAME is a class, function or instance in that file."
    elif path.suffix in _WEIGHTS:
        hint = (
            f"A {path.suffix} file has weights without the model, or a pickled model, which Lexer "
            "does not load because it may run any code. Name a function that creates the model "
            "and loads the file, such as net.py:make_model, or save the model as a program: "
            "torch.export.save(torch.export.export(model, args), "
            f"{path.with_suffix('.pt2').name!r})."
        )
    elif path.is_dir():
        hint = f"{text!r} is a folder without config.json. {_HOW_TO_WRITE}"
    elif text.endswith(("/", "\\")):
        message = f"folder {text!r} does not exist."
        hint = f"Searched {path.parent.resolve()}."
    return TargetError(message, hint=hint)


def _make_importable(folder: Path) -> None:
    # First, even if it is on the path already: another folder may have modules of these names.
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


# --- From a module to a model. ---


def _attribute(module: ModuleType, where: str, attribute: str) -> object:
    value: Any = module
    for name in attribute.split("."):
        if not hasattr(value, name):
            candidates = _candidates(value)
            shown = f"It has {', '.join(candidates[:10])}." if candidates else "It defines nothing."
            raise TargetError(
                f"{where!r} has no {name!r}.", hint=f"{shown}{did_you_mean(name, candidates)}"
            )
        value = getattr(value, name)
    return value


def _candidates(module: object) -> list[str]:
    """Return the names that the user may have meant: the module's own before imported ones."""
    home = getattr(module, "__name__", "")
    names = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (callable(value) or _is_module(value))
    ]
    return sorted(names, key=lambda name: getattr(vars(module)[name], "__module__", home) != home)


def _model(value: Any, call: FactoryCall, seed: int | None) -> object:
    attribute, where = call.attribute, call.where
    if (_is_module(value) or is_program(value)) and not call.is_call:
        return value
    if not callable(value) or _is_module(value):
        raise TargetError(
            f"{attribute!r} in {where!r} is an instance, which takes no arguments."
            if _is_module(value)
            else f"{attribute!r} in {where!r} is {_described(value)}, not a model.",
            hint=f"Write {where}:{attribute}." if _is_module(value) else _HOW_TO_WRITE,
        )
    _check_arguments(value, call)
    if seed is not None:
        _seed_random_numbers(seed)
    with _explained(
        f"{attribute}() in {where!r} failed",
        getattr(sys.modules.get(value.__module__), "__file__", "") or "",
    ):
        model = value(*call.positional, **call.named)
    if _is_module(model) or is_program(model):
        return model
    raise TargetError(
        f"{attribute}() in {where!r} returned {_described(model)}, not a torch.nn.Module.",
        hint="It must return the model. Is a `return` missing?"
        if model is None
        else "It must be or return a torch.nn.Module or a torch.export.ExportedProgram.",
    )


def _seed_random_numbers(seed: int) -> None:
    """Seed the generators from which models make their weights."""
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    # After the user's module, which may set variables that torch reads when it is imported.
    with suppress(ImportError):
        import torch  # the core does not need it

        torch.manual_seed(seed)


def _check_arguments(function: Callable[..., object], call: FactoryCall) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in callables have none
        return
    attribute = call.attribute
    if call.is_call:
        try:
            signature.bind(*call.positional, **call.named)
        except TypeError as error:
            raise TargetError(
                f"{attribute} cannot be called with these arguments: {error}.",
                hint=f"Its signature is {attribute}{signature}.",
            ) from error
        return
    required = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if required:
        shown = ", ".join(f"{name}=..." for name in required)
        raise TargetError(
            f"{attribute} cannot be called without arguments: it needs {', '.join(required)}.",
            hint=f"Write them: '{call.where}:{attribute}({shown})'. If they are not literals, name "
            f"a function that creates the model instead:\n"
            f"def make_model():\n    return {attribute}({shown})",
        )


def _described(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


@contextmanager
def _explained(what: str, file: str) -> Iterator[None]:
    """Convert any exception of the user's code to a ``TargetError`` that states the cause."""
    try:
        yield
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(f"{what}: {_last_line(error)}.", hint=_place(error, file)) from error


def _last_line(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return lines[-1].rstrip(".")


def _place(error: BaseException, file: str) -> str:
    """Return where it happened: in the user's own file, if that is in the traceback."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {(error.text or '').strip()}"
    frames = traceback.extract_tb(error.__traceback__)
    own = Path(__file__).parent
    outside = [
        frame
        for frame in frames
        if not frame.filename.startswith("<")
        and own not in Path(frame.filename).parents
        and "importlib" not in Path(frame.filename).parts
    ]
    in_file = [frame for frame in outside if frame.filename == file] or outside
    if not in_file:
        return _HOW_TO_WRITE
    frame = in_file[-1]
    return f"{frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}"
