"""What does the model need from the caller's process, apart from itself?

Settings of torch, modules whose import registers operators, and the modules of its
classes. A worker imports the modules first, because the settings are the caller's as
they are now, after these imports. torch is looked up, not imported.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
from attrs import field, frozen

from lexer_core.model.torch_settings import apply_torch_settings, read_torch_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch

__all__ = ["CallerState", "read_caller_state", "restore_caller_state"]

_REGISTERED_AT = re.compile(r"registered at (.+?):\d+")
_TORCH = "torch"
_NOT_OF_CALLER = (_TORCH, "lexer_core", "__main__", "__mp_main__")
_BACKENDS = ("CPU", "CUDA", "MPS", "XPU", "CompositeImplicitAutograd")
_OWN_NAMESPACES = frozenset(
    {
        "_c10d_functional",
        "_c10d_functional_autograd",
        "_dtensor",
        "_inductor_test",
        "_native",
        "_quantized",
        "_test",
        "aten",
        "c10d",
        "c10d_functional",
        "debug_mode_ops",
        "debugprims",
        "export",
        "flex_lib",
        "fsdp",
        "higher_order",
        "inductor",
        "inductor_prims",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "onnx",
        "onnx_symbolic",
        "prim",
        "prims",
        "profiler",
        "quantization",
        "quantized",
        "quantized_decomposed",
        "rngprims",
        "sparse",
        "static_runtime",
        "streams",
        "symm_mem",
        "triton",
    }
)
"""The namespaces of torch's own operators."""


@frozen(kw_only=True)
class CallerState:
    """What a worker takes over from the process that has the model.

    Parameters
    ----------
    modules
        Modules to import, by name.
    libraries
        Shared libraries that ``torch.ops.load_library`` loaded.
    torch_settings
        See :func:`read_torch_settings`.
    """

    modules: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    torch_settings: Mapping[str, object] = field(factory=dict)

    @property
    def initializer(self) -> tuple[str, object]:
        """What a worker calls once the modules are imported, and the argument."""
        function = f"{__name__}:{restore_caller_state.__name__}"
        return function, {"libraries": self.libraries, "torch_settings": dict(self.torch_settings)}


def read_caller_state(module: torch.nn.Module | None = None) -> CallerState:
    """Return the state of this process, to be restored in a worker.

    Parameters
    ----------
    module
        The model, if this process has it.
    """
    torch = sys.modules.get(_TORCH)
    if torch is None:
        return CallerState()
    names = [*_modules_of_classes(module), *_modules_with_operators(module)]
    sent = cloudpickle.list_registry_pickle_by_value()  # so no other process can import them
    return CallerState(
        modules=tuple(
            dict.fromkeys(name for name in names if name not in sent and _is_of_caller(name))
        ),
        libraries=tuple(sorted(torch.ops.loaded_libraries)),
        torch_settings=read_torch_settings(),
    )


def restore_caller_state(state: Mapping[str, Any]) -> list[str]:
    """Load the libraries and apply the settings; return notes about what failed."""
    notes = []
    if state["libraries"]:
        import torch  # only with libraries that torch loaded in the caller's process

        for path in state["libraries"]:
            if path in torch.ops.loaded_libraries:
                continue  # one of the modules has loaded it
            try:
                torch.ops.load_library(path)  # type: ignore[no-untyped-call]
            except Exception as error:  # a library may need others
                notes.append(f"the worker could not load {path}: {error}")
    return notes + apply_torch_settings(state["torch_settings"])


def _is_of_caller(name: str) -> bool:
    """Whether a module is importable code of the caller's, and not torch's own."""
    package = name.partition(".")[0]
    return name in sys.modules and package not in _NOT_OF_CALLER


def _modules_of_classes(module: torch.nn.Module | None) -> Iterator[str]:
    if module is None:
        return
    for part in module.modules():
        yield type(part).__module__


def _modules_with_operators(model: torch.nn.Module | None) -> Iterator[str]:
    """Yield the modules that registered operators that the model may use.

    Others may have been imported for another model, and take seconds to import.
    """
    from torch._library.custom_ops import OPDEFS  # torch itself has imported it

    code = _code_of(model)

    def may_be_used(operator: str) -> bool:
        return code is None or operator.partition("::")[0] in code

    for name, definition in OPDEFS.items():
        if may_be_used(name):
            yield definition._init_fn.__module__
    files, hidden = _registrations(set(OPDEFS), may_be_used)
    if not files and not hidden:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and _is_of_caller(name) and (file in files or _mentions(module, file, hidden)):
            yield name


def _code_of(model: torch.nn.Module | None) -> str | None:
    """Return what the code of a model mentions: the sources of its classes, or their names.

    ``None`` if there is no model.
    """
    if model is None:
        return None
    words: list[str] = []
    seen: set[int] = set()
    for kind in {type(part) for part in model.modules()}:
        home = sys.modules.get(kind.__module__)
        if home is not None and getattr(home, kind.__qualname__, None) is kind:
            words.append(_source_of(home))
            continue
        functions = [value for base in kind.__mro__[:-1] for value in vars(base).values()]
        words += _mentioned_by([each for each in functions if isinstance(each, FunctionType)], seen)
    return "\n".join(words)


def _source_of(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    if file is None or not _is_of_caller(module.__name__):
        return ""
    try:
        return Path(file).read_text(errors="replace")
    except OSError:  # from an archive, or deleted
        return ""


def _mentioned_by(functions: Iterable[FunctionType], seen: set[int]) -> Iterator[str]:
    """Yield the names and texts in functions, and in what they refer to."""
    for function in functions:
        if id(function) in seen or not _is_of_caller_or_cell(function):
            continue
        seen.add(id(function))
        for name in _names_and_texts(function.__code__):
            yield name
            value = function.__globals__.get(name)
            if isinstance(value, FunctionType):
                yield from _mentioned_by([value], seen)
            elif isinstance(value, ModuleType):
                yield f"{value.__name__}\n{_source_of(value)}"
            elif _is_of_torch(type(value)):
                yield repr(value)  # an operator's has its namespace


def _is_of_caller_or_cell(function: FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] not in (_TORCH, "lexer_core")


def _names_and_texts(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _names_and_texts(constant)


def _registrations(
    by_decorator: set[str], may_be_used: Callable[[str], bool]
) -> tuple[set[str], set[str]]:
    """Return what was registered outside of torch.

    Parameters
    ----------
    by_decorator
        Operators whose modules are known.
    may_be_used
        Whether the model may use an operator of a library.

    Returns
    -------
    set of str, set of str
        The files that registered operators, and the operators that a function of
        torch registered on behalf of an unknown file.
    """
    import torch  # imported already

    own_folder = str(Path(torch.__file__).parent)
    files: set[str] = set()
    hidden: set[str] = set()
    registered = {f"{name.replace('::', '/')}/" for name in torch.library._defs}
    for entry in registered | torch.library._impls:
        namespace, name, key = entry.split("/", 2)
        operator = f"{namespace}::{name}"
        is_own = namespace in _OWN_NAMESPACES
        # torch itself registers thousands of these.
        if operator in by_decorator or (is_own and key not in _BACKENDS):
            continue
        if not is_own and not may_be_used(operator):
            continue
        places = set(_REGISTERED_AT.findall(torch._C._dispatch_dump(operator)))
        elsewhere = {place for place in places if not place.startswith(own_folder)}
        files |= elsewhere
        if not elsewhere and not is_own:
            hidden.add(operator)
    return files, hidden


def _mentions(module: ModuleType, file: str, operators: set[str]) -> bool:
    """Whether the source of a module that uses torch mentions one of the operators."""
    if not operators or not file.endswith(".py"):
        return False
    if not any(_is_of_torch(value) for value in list(vars(module).values())):
        return False
    source = _source_of(module)
    return any(operator.partition(".")[0] in source for operator in operators)


def _is_of_torch(value: object) -> bool:
    name = getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == _TORCH
