"""Was this model traced before? Answered without tracing it again.

Tracing takes seconds, and most runs measure a model that an earlier run traced. The
digest covers what a trace depends on: the tree of modules with their attributes, every
tensor, the code of every class and function that is reachable from them and that no
installed distribution versions, and the versions of the installed distributions.
Whatever cannot be described reliably, such as a hook or an object of a compiled class,
leaves the model without a digest, and it is traced.

A model that changed although its digest did not, for example because an installed
package was edited in place, is found by the comparison of outputs: a cached export that
gives wrong outputs is discarded, and made again from a new trace.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import sys
import sysconfig
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lexer_core.export.fingerprint import digest_tensors
from lexer_core.export.identity import describe_code
from lexer_core.model.torch_settings import read_torch_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch

    from lexer_core.records import ModelSource

__all__ = ["untraced_digest"]

_T = TypeVar("_T")
_SCHEMA = 1
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis))
_TREE = frozenset({"_parameters", "_buffers", "_modules"})
"""Attributes of a module that are described as its tensors and submodules."""


class _UndescribedError(Exception):
    """Something that cannot be described so that equal text means equal behaviour."""


def untraced_digest(source: ModelSource) -> str | None:
    """Hash what a trace of a module depends on.

    Parameters
    ----------
    source
        A module in eval mode, with its example inputs, names and axes.

    Returns
    -------
    str or None
        64 hexadecimal digits, the same in every process; ``None`` if the source has no
        module, or something in it cannot be described reliably.
    """
    if source.module is None:
        return None
    digest = hashlib.blake2b(digest_size=32)
    try:
        for part in _describe(source):
            digest.update(part.encode(errors="surrogatepass"))
            digest.update(b"\0")
    except Exception:  # also one that an object of the user's raises
        return None
    return digest.hexdigest()


def _describe(source: ModelSource) -> Iterator[str]:
    values = _Values(source.module)
    yield f"schema {_SCHEMA} python {sys.version}"
    yield from _installed_distributions()
    yield from _torch_settings()
    structure = source.inputs.structure
    yield f"args {values.text(structure.args)} kwargs {values.text(structure.kwargs)}"
    for name in source.input_names:
        array = source.inputs.arrays[name]
        yield f"input {name} {array.dtype} {array.shape}"
    yield f"outputs {source.output_names} axes {values.text(dict(source.dynamic_axes))}"
    for name, module in source.module.named_modules(remove_duplicate=False):
        yield f"module {name} {values.of_class(type(module))}"
        for attribute, value in sorted(vars(module).items()):
            if attribute not in _TREE:
                yield f"{attribute}={values.text(value)}"
    tensors = dict(source.module.named_buffers(remove_duplicate=False))
    tensors |= dict(source.module.named_parameters(remove_duplicate=False))
    yield f"tensors {digest_tensors(tensors)} aliases {_aliases(tensors)}"


def _aliases(tensors: Mapping[str, torch.Tensor]) -> list[int]:
    """For each tensor in order of names, the place of the first that is the same object."""
    first: dict[int, int] = {}
    return [
        first.setdefault(id(tensors[name]), place) for place, name in enumerate(sorted(tensors))
    ]


class _Values:
    """Descriptions of values; equal text means equal values in every process.

    Code is followed into the functions, classes and modules that it names, each of
    which is described once.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        # A reference to a module of the tree, such as a bound method's, names its place.
        self._kept: list[object] = list(model.modules())
        """What was described, so that no new object gets the ``id`` of one of them."""
        self._places = {id(module): place for place, module in enumerate(self._kept)}

    def text(self, value: object) -> str:
        if isinstance(value, _PLAIN):
            return f"{type(value).__name__}:{value!r}"
        if isinstance(value, type):
            return self.of_class(value)
        if isinstance(value, ModuleType):
            return self._once(value, self._module)
        if isinstance(value, FunctionType):
            return self._once(value, self._function)
        if isinstance(value, MethodType):
            return f"method{self._join((value.__self__, value.__func__))}"
        if isinstance(value, functools.partial):
            return f"partial{self._join((value.func, value.args, value.keywords))}"
        if isinstance(value, Enum):
            return f"{self.of_class(type(value))}.{value.name}"
        return self._container(value) or _leaf(value) or self._once(value, self._instance)

    def _container(self, value: object) -> str | None:
        if isinstance(value, list | tuple):
            return self._once(value, lambda value: self._kind(value) + self._join(value))
        if isinstance(value, set | frozenset):
            return f"{self._kind(value)}{sorted(map(self.text, value))}"
        if isinstance(value, dict):
            return self._once(value, lambda value: self._kind(value) + self._items(value))
        return None

    def of_class(self, kind: type) -> str:
        """Describe a class, with its code unless an installed distribution versions it."""
        return self._once(kind, self._class)

    def _once(self, value: _T, describe: Callable[[_T], str]) -> str:
        place = self._places.get(id(value))
        if place is not None:
            return f"seen:{place}"
        self._places[id(value)] = len(self._places)
        self._kept.append(value)
        return describe(value)

    def _join(self, values: Iterable[object]) -> str:
        return f"({', '.join(map(self.text, values))})"

    def _items(self, values: Mapping[Any, Any]) -> str:
        items = (f"{self.text(key)}:{self.text(value)}" for key, value in values.items())
        return f"{{{', '.join(items)}}}"

    def _kind(self, value: object) -> str:
        kind = type(value)
        return kind.__name__ if kind.__module__ == "builtins" else self.of_class(kind)

    def _class(self, kind: type) -> str:
        name = f"class {kind.__module__}.{kind.__qualname__}"
        if kind.__module__ == "builtins":
            return name
        module = sys.modules.get(kind.__module__)
        if module is not None and _found(module, kind.__qualname__) is kind:
            version = _version(module)
            if version is not None:
                return f"{name} {version}"
        bases = self._join(base for base in kind.__bases__ if base is not object)
        body = {
            attribute: value
            for attribute, value in sorted(vars(kind).items())
            if attribute not in _OF_EVERY_CLASS
        }
        return f"{name} {bases} {self._body(body)}"

    def _body(self, body: Mapping[str, object]) -> str:
        parts = []
        for attribute, value in body.items():
            if isinstance(value, staticmethod | classmethod):
                described = f"{type(value).__name__} {self.text(value.__func__)}"
            elif isinstance(value, property):
                described = f"property {self._join((value.fget, value.fset, value.fdel))}"
            else:
                described = self.text(value)
            parts.append(f"{attribute}={described}")
        return "; ".join(parts)

    def _function(self, function: FunctionType) -> str:
        name = f"function {function.__module__}.{function.__qualname__}"
        module = sys.modules.get(function.__module__ or "")
        if module is not None and _found(module, function.__qualname__) is function:
            version = _version(module)
            if version is not None:
                return f"{name} {version}"
        defaults = self._join((function.__defaults__, function.__kwdefaults__))
        cells = self._join(_content(cell) for cell in function.__closure__ or ())
        attributes = self._items(vars(function))
        used = {
            name: function.__globals__[name]
            for name in sorted(_names(function.__code__))
            if name in function.__globals__
        }
        code = describe_code(function.__code__)
        return f"{name} {code} {defaults} {cells} {attributes} {self._items(used)}"

    def _module(self, module: ModuleType) -> str:
        version = _version(module)
        if version is not None:
            return f"module {module.__name__} {version}"
        file = getattr(module, "__file__", None)
        if file is None:
            raise _UndescribedError(f"module {module.__name__} has no file")
        source = hashlib.blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
        body = {name: value for name, value in sorted(vars(module).items()) if not _is_dunder(name)}
        return f"module {module.__name__} {source} {self._items(body)}"

    def _instance(self, value: object) -> str:
        """Describe an object by its class and attributes, which is all that it has."""
        kind = type(value)
        for base in kind.__mro__[:-1]:
            file = getattr(sys.modules.get(base.__module__), "__file__", None) or ""
            in_python = file.endswith(".py") or _is_by_value(base)
            if not in_python or "__slots__" in vars(base) or not hasattr(value, "__dict__"):
                raise _UndescribedError(kind.__qualname__)
        return f"{self.of_class(kind)} {self._items(vars(value))}"


_OF_EVERY_CLASS = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__"}
    | {"__annotations__", "__annotate_func__", "__annotate__", "__annotations_cache__"}
    | {"__abstractmethods__", "_abc_impl"}
)


def _is_by_value(kind: type) -> bool:
    """Return whether a class was sent to this process by value, so it has Python code."""
    module = sys.modules.get(kind.__module__)
    return module is None or _found(module, kind.__qualname__) is not kind


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _found(module: ModuleType, qualname: str) -> object:
    found: object = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _names(code: CodeType) -> set[str]:
    """Return the global names and attributes in a function's code and nested code."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _leaf(value: object) -> str | None:
    """Describe a value that contains no others."""
    if isinstance(value, BuiltinFunctionType):
        return _builtin(value)
    if isinstance(value, logging.Logger):  # has a lock, and no effect on a trace
        return f"logger:{value.name}"
    if isinstance(value, np.ndarray | np.generic):
        return _array(np.asarray(value))
    return _torch_text(value)


def _builtin(value: Any) -> str:
    owner = value.__self__
    if owner is None or isinstance(owner, ModuleType | type):
        return f"builtin {getattr(owner, '__name__', '')}.{value.__module__}.{value.__qualname__}"
    raise _UndescribedError(f"a bound {value.__qualname__}")


def _array(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.hasobject:
        raise _UndescribedError("an array of objects")
    content = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
    return f"array {array.dtype} {array.shape} {content}"


def _torch_text(value: object) -> str | None:
    import torch  # a module to describe exists only where torch does

    from lexer_core.records import TensorRef

    if isinstance(value, torch.dtype | torch.device | torch.memory_format | torch.layout):
        return str(value)
    if isinstance(value, torch.Tensor):
        return f"tensor {value.requires_grad} {digest_tensors({'': value})}"
    if isinstance(value, TensorRef):
        return f"reference {value.name}"
    return None


def _torch_settings() -> Iterator[str]:
    yield f"settings {sorted(read_torch_settings().items())}"


def _installed_distributions() -> Iterator[str]:
    """Name every installed distribution with its version, as its metadata folder does."""
    for folder in dict.fromkeys(sys.path):
        try:
            entries = sorted(entry.name for entry in Path(folder or ".").iterdir())
        except OSError:  # a zip file, or missing
            continue
        yield from (name for name in entries if name.endswith((".dist-info", ".egg-info")))


def _version(module: ModuleType) -> str | None:
    """Return the size and time of a versioned module's file; ``None`` if it is the user's."""
    file = getattr(module, "__file__", None)
    if file is None:
        return "builtin" if module.__name__ in sys.builtin_module_names else None
    path = Path(file).resolve()
    if not str(path).startswith(_versioned_folders()) and "/site-packages/" not in path.as_posix():
        return None
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


@functools.cache
def _versioned_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    # The core's own version is among those of an export.
    core = str(Path(__file__).parents[1])
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(f"{Path(folder).resolve()}/" for folder in (*folders, core))
