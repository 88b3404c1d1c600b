"""Are two exports the same export?

They are if the traced graph, all its tensors, the names, the axes, the options
and the versions of everything involved are the same. Hashes of pickles differ
between processes, and hashes of source code miss a changed helper function, so
the hash covers what ``torch.export`` traced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from lexer_core.errors import CacheError
from lexer_core.model.tensors import dense_parts

if TYPE_CHECKING:
    import torch

    from lexer_core.records import ModelSource, OptionValue

__all__ = [
    "EXPORT_DISTRIBUTIONS",
    "digest_graph",
    "digest_program",
    "digest_tensors",
    "fingerprint",
    "installed_versions",
]

EXPORT_DISTRIBUTIONS = ("lexer-core", "torch", "onnx", "onnxscript", "onnx-ir")
"""Distributions whose version may change the content of an export."""

_SCHEMA = 2
"""Raised whenever the description of the same model changes."""

_CHUNK = 1 << 24


def fingerprint(
    source: ModelSource,
    options: Mapping[str, OptionValue],
    versions: Mapping[str, str],
    *,
    format: str = "",
    exporter: str = "",
    program_digest: str | None = None,
) -> str | None:
    """Return the key under which an export is cached.

    Equal keys mean equal exports, also between processes.

    Parameters
    ----------
    source
        The model; an ``.onnx`` file is used as is and has no key.
    options
        Export options.
    versions
        Versions by distribution, as :func:`installed_versions` returns them.
    format, exporter
        The format, and the name of the engine that exports to it.
    program_digest
        :func:`digest_program` of the traced program, if already known.

    Returns
    -------
    str or None
        64 hexadecimal digits; ``None`` without a program or its digest.

    Raises
    ------
    CacheError
        The program contains something that cannot be identified.
    """
    if program_digest is None:
        if source.program is None:
            return None
        program_digest = digest_program(source.program)
    described = {
        "schema": _SCHEMA,
        "program": program_digest,
        "format": format,
        "exporter": exporter,
        "input_names": list(source.input_names),
        "output_names": list(source.output_names),
        "dynamic_axes": {
            name: {str(axis): label for axis, label in axes.items()}
            for name, axes in source.dynamic_axes.items()
            if axes
        },
        # The type tells True from 1.
        "options": {name: [type(value).__name__, value] for name, value in options.items()},
        "versions": dict(versions),
    }
    text = json.dumps(described, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def installed_versions(*more: str) -> dict[str, str]:
    """Return the versions of the distributions involved in an export, from metadata.

    Distributions that are not installed are left out.
    """
    found = {}
    for name in (*EXPORT_DISTRIBUTIONS, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def digest_program(program: Any) -> str:
    """Hash everything that determines the results of a ``torch.export.ExportedProgram``.

    This covers each node of the graph and its nested graphs (kind, target,
    arguments, shapes and types of its values), the graph's signature and
    ranges, and the bits of each parameter, buffer and constant. Tensors are
    hashed one after the other, so that at most one is copied at a time.

    Returns
    -------
    str
        64 hexadecimal digits, the same in every process.

    Raises
    ------
    CacheError
        A node or constant is of a kind that cannot be identified.
    """
    digest = hashlib.blake2b(digest_size=32)
    _update_with_graph(digest, program)
    _update_with_tensors(digest, {**program.constants, **program.state_dict})
    return digest.hexdigest()


def digest_graph(program: Any) -> str:
    """Hash what a ``torch.export.ExportedProgram`` computes, regardless of tensor values.

    Returns
    -------
    str
        32 hexadecimal digits, the same in every process.

    Raises
    ------
    CacheError
        A node is of a kind that cannot be identified.
    """
    digest = hashlib.blake2b(digest_size=16)
    _update_with_graph(digest, program)
    return digest.hexdigest()


def digest_tensors(tensors: Mapping[str, Any]) -> str:
    """Hash the bits, types and shapes of tensors by name.

    Returns
    -------
    str
        32 hexadecimal digits, the same in every process.

    Raises
    ------
    CacheError
        A tensor is of a kind that cannot be identified.
    """
    digest = hashlib.blake2b(digest_size=16)
    _update_with_tensors(digest, tensors)
    return digest.hexdigest()


def _update_with_graph(digest: Any, program: Any) -> None:
    for line in _describe_program(program):
        digest.update(line.encode())
        digest.update(b"\n")


def _update_with_tensors(digest: Any, tensors: Mapping[str, Any]) -> None:
    for name in sorted(tensors):
        _update_with_tensor(digest, name, tensors[name])


def _describe_program(program: Any) -> Iterator[str]:
    for name, module in program.graph_module.named_modules(remove_duplicate=False):
        graph = getattr(module, "graph", None)
        if graph is None:
            continue
        yield f"graph {name}"
        # The names that torch gives to nodes do not affect the results.
        places = {node: place for place, node in enumerate(graph.nodes)}
        for node in graph.nodes:
            yield (
                f"{places[node]} {node.op} {_target(node)} {_value(node.args, places)} "
                f"{_value(node.kwargs, places)} -> {_result(node.meta.get('val'))}"
            )
    signature = program.graph_signature
    for spec in (*signature.input_specs, *signature.output_specs):
        kind = spec.kind.name
        persistent = getattr(spec, "persistent", None)
        yield f"{kind} {type(spec.arg).__name__} {spec.target} {persistent} {_constant(spec.arg)}"
    for symbol, bounds in sorted(program.range_constraints.items(), key=lambda item: str(item[0])):
        yield f"range {symbol} {bounds}"


def _constant(argument: Any) -> str:
    return _value(getattr(argument, "value", None), {})


def _target(node: Any) -> str:
    if node.op != "call_function":
        return str(node.target) if node.op != "placeholder" else ""
    target = node.target
    schema = getattr(target, "_schema", None)
    if schema is not None:  # an operator: its overload and its whole signature
        return str(schema)
    name = getattr(target, "__qualname__", None) or getattr(target, "__name__", None)
    if name is None:
        name = getattr(target, "_name", None)
    if name is None:
        raise CacheError(f"the graph calls {type(target).__name__}, which has no name.")
    return f"{getattr(target, '__module__', '')}.{name}"


def _value(value: Any, places: Mapping[Any, int]) -> str:
    """Write an argument of a node so that equal text means equal value."""
    if value is None or isinstance(value, bool | int | str | bytes | complex):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, float):
        return f"float:{value.hex()}"
    if isinstance(value, slice):
        return f"slice{_value((value.start, value.stop, value.step), places)}"
    if isinstance(value, Mapping):
        items = [f"{_value(key, places)}={_value(item, places)}" for key, item in value.items()]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(_value(item, places) for item in value)
        return f"{'list' if isinstance(value, list) else 'tuple'}({inner})"
    return _torch_value(value, places)


def _torch_value(value: Any, places: Mapping[Any, int]) -> str:
    import torch  # only needed for a program, which torch made

    if isinstance(value, torch.fx.Node):
        return f"node:{places[value]}"
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return f"symbol:{value}"
    if isinstance(value, torch.dtype | torch.device | torch.memory_format | torch.layout):
        return str(value)
    if hasattr(value, "_schema"):
        return f"operator:{value._schema}"
    raise CacheError(f"the graph holds a value of type {type(value).__name__}.")


def _result(value: Any) -> str:
    """Write the shapes and types of a node's results."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_result, value))})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        dims = ", ".join(map(str, value.shape))
        return f"{value.dtype}[{dims}] {value.device}"
    return f"{type(value).__name__}:{value}"


def _update_with_tensor(digest: Any, name: str, tensor: Any) -> None:
    import torch  # see _torch_value

    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise CacheError(f"constant {name!r} is of type {type(tensor).__name__}.")
    if tensor.device.type == "meta":
        raise CacheError(f"tensor {name!r} has no values (it is on the meta device).")
    if tensor.is_nested:
        raise CacheError(f"tensor {name!r} is nested.")
    if tensor.is_quantized or tensor.layout != torch.strided:
        parts = dense_parts(tensor)
        shape = ", ".join(map(str, tensor.shape))
        kind = tensor.qscheme() if tensor.is_quantized else tensor.layout
        digest.update(f"parts {name} {tensor.dtype}[{shape}] {kind}\n".encode())
        for number, part in enumerate(parts):
            _update_with_tensor(digest, f"{name} {number}", part)
        return
    shape = ", ".join(map(str, tensor.shape))
    digest.update(f"tensor {name} {tensor.dtype}[{shape}]\n".encode())
    for chunk in _chunks(tensor):
        digest.update(chunk)


def _chunks(tensor: torch.Tensor) -> Iterator[Any]:
    import torch  # see _torch_value

    if not tensor.numel():
        return
    # Every element type has an unsigned view, so bfloat16 needs no numpy type.
    flat = tensor.detach().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)
    for start in range(0, flat.numel(), _CHUNK):
        yield flat[start : start + _CHUNK].cpu().numpy().data
