"""Is it still the same model, and if not, what changed?

Digests for a reader who compares two runs, separately for the weights and for
the computation. They are informative only; :mod:`lexer_core.export.fingerprint`
decides which exports are the same.
"""

from __future__ import annotations

import hashlib
import re
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lexer_core.engine_helpers import error_summary
from lexer_core.errors import CacheError
from lexer_core.export.external_data import EXTERNAL
from lexer_core.export.fingerprint import digest_graph, digest_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import torch

__all__ = ["Identity", "describe_code", "file_identity", "module_identity", "program_identity"]

_DIGEST_BYTES = 16
_CHUNK = 1 << 22


@frozen(kw_only=True)
class Identity:
    """Digests of a model by part, and notes that say why a part has none."""

    digests: Mapping[str, str] = field(factory=dict)
    notes: tuple[str, ...] = ()

    def with_parts(self, other: Identity) -> Identity:
        """Return the digests and notes of both."""
        return Identity(
            digests={**self.digests, **other.digests}, notes=(*self.notes, *other.notes)
        )


def module_identity(module: torch.nn.Module) -> Identity:
    """Return digests of a module.

    Returns
    -------
    Identity
        ``"weights"``: names, types, shapes and values of parameters and
        buffers. ``"modules"``: the tree of modules, with the settings that they
        print and the code of the classes that are not torch's own. A part that
        cannot be identified is left out, with a note.

    Notes
    -----
    The code is the compiled code, so comments do not matter. Functions that a
    class calls are not included; :func:`program_identity` covers them. Both
    depend on the versions of Python and torch.
    """
    return _identity(
        modules=lambda: _digest(_describe_modules(module)),
        weights=lambda: digest_tensors({**dict(module.named_buffers()), **module.state_dict()}),
    )


def program_identity(program: Any) -> Identity:
    """Return digests of a ``torch.export.ExportedProgram``.

    Returns
    -------
    Identity
        ``"graph"`` and ``"constants"``: the traced graph, and its tensors that
        are neither parameters nor buffers. A part that cannot be identified is
        left out, with a note.
    """
    return _identity(
        graph=lambda: digest_graph(program), constants=lambda: digest_tensors(_constants(program))
    )


def _constants(program: Any) -> dict[str, Any]:
    # Non-persistent buffers are among the constants, but belong to the weights.
    buffers = set(program.graph_signature.buffers)
    return {name: value for name, value in program.constants.items() if name not in buffers}


def _identity(**parts: Callable[[], str]) -> Identity:
    digests = {}
    notes = []
    for name, make in parts.items():
        try:
            digests[name] = make()
        except Exception as error:  # the model's own code may raise anything
            reason = error.message if isinstance(error, CacheError) else error_summary(error)
            notes.append(
                f"a later comparison cannot tell whether the model's {name} changed: "
                f"{reason.rstrip('.')}"
            )
    return Identity(digests=digests, notes=tuple(notes))


def file_identity(path: Path) -> dict[str, str]:
    """Return digests of an ``.onnx`` file.

    Parameters
    ----------
    path
        The file. Its external data is read, too.

    Returns
    -------
    dict of str to str
        ``"weights"`` and ``"graph"`` if onnx is installed and can read the
        file, otherwise ``"file"``.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    parts = _onnx_parts(path)
    return parts if parts is not None else {"file": _digest(_content(path))}


def _onnx_parts(path: Path) -> dict[str, str] | None:
    try:
        import onnx  # comes with the engines that need it
    except ImportError:
        return None
    try:
        model = onnx.load_model(path, load_external_data=False)
    except OSError:
        raise
    except Exception:  # protobuf's own errors are not public: not a valid onnx file
        return None
    if not model.graph.node:
        return None  # readable by chance, but not a model
    weights = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    external: set[str] = set()
    for tensor in model.graph.initializer:
        weights.update(tensor.SerializeToString(deterministic=True))
        if tensor.data_location == EXTERNAL:
            external |= {entry.value for entry in tensor.external_data if entry.key == "location"}
        kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        tensor.CopyFrom(kept)
    for name in sorted(external):
        for chunk in _content(path.parent / name):
            weights.update(chunk)
    # Metadata that does not affect the results.
    for metadata in ("producer_name", "producer_version", "doc_string", "metadata_props"):
        model.ClearField(metadata)
    model.graph.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return {
        "weights": weights.hexdigest(),
        "graph": _digest([model.SerializeToString(deterministic=True)]),
    }


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _describe_modules(module: torch.nn.Module) -> Iterator[bytes]:
    described: set[type] = set()
    for name, part in module.named_modules(remove_duplicate=False):
        kind = type(part)
        home = _without_path(kind.__module__)
        yield f"{name} {home}.{kind.__qualname__} {part.extra_repr()}\n".encode()
        code = getattr(part, "code", None)  # of TorchScript
        if isinstance(code, str):
            yield code.encode()
        for base in kind.__mro__:
            if base in described or base.__module__.partition(".")[0] in ("torch", "builtins"):
                continue
            described.add(base)
            for attribute in sorted(vars(base)):
                value = vars(base)[attribute]
                value = getattr(value, "__func__", value)  # of a static or class method
                if isinstance(value, FunctionType):
                    yield f"{attribute} {describe_code(value.__code__)}\n".encode()


def _without_path(module: str) -> str:
    """Return a module's name without the digest of the path of a TARGET's file."""
    return re.sub(r"^(lexer_target_\w+)_[0-9a-f]{8}$", r"\1", module)


def describe_code(code: CodeType) -> str:
    """Describe compiled code without file names and line numbers.

    Parameters
    ----------
    code
        The code of a function.

    Returns
    -------
    str
        Equal texts mean equal code, within one version of Python.
    """
    constants = ", ".join(_describe_constant(value) for value in code.co_consts)
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} ({constants})"


def _describe_constant(value: object) -> str:
    if isinstance(value, CodeType):
        return describe_code(value)
    if isinstance(value, frozenset):  # its order differs between processes
        return f"{{{', '.join(sorted(map(_describe_constant, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_describe_constant, value))})"
    return f"{type(value).__name__}:{value!r}"
