"""What does the model need from the caller's process, apart from itself?

Settings of torch, modules whose import registers operators, and the modules of its
classes. A worker imports the modules first, because the settings are the caller's as
they are now, after these imports. torch is looked up, not imported.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lexer_core.model.torch_settings import apply_torch_settings, read_torch_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    names = [*_modules_of_classes(module), *_modules_with_operators()]
    return CallerState(
        modules=tuple(dict.fromkeys(name for name in names if _is_of_caller(name))),
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


def _modules_with_operators() -> Iterator[str]:
    """Yield the modules that registered operators of torch, as far as torch can tell."""
    from torch._library.custom_ops import OPDEFS  # torch itself has imported it

    for definition in OPDEFS.values():
        yield definition._init_fn.__module__
    files, hidden = _registrations(set(OPDEFS))
    if not files and not hidden:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and _is_of_caller(name) and (file in files or _mentions(module, file, hidden)):
            yield name


def _registrations(by_decorator: set[str]) -> tuple[set[str], set[str]]:
    """Return what was registered outside of torch.

    Parameters
    ----------
    by_decorator
        Operators whose modules are known.

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
    try:
        source = Path(file).read_text(errors="replace")
    except OSError:  # from an archive, or deleted
        return False
    return any(operator.partition(".")[0] in source for operator in operators)


def _is_of_torch(value: object) -> bool:
    name = getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == _TORCH
