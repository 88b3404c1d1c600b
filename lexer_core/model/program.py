"""How is a ``torch.export`` program called?

As it was exported: a positional argument cannot be passed by name, nor the other way
round. Its call specification says which is which.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["example_input", "program_signature"]


def program_signature(program: torch.export.ExportedProgram) -> Signature:
    """Return the signature of a program's module."""
    in_spec: Any = program.call_spec.in_spec
    assert in_spec is not None  # torch.export always sets it
    # Before torch 2.9, the children are an attribute.
    children = in_spec.children() if hasattr(in_spec, "children") else in_spec.children_specs
    positional, keyword = children
    names = list(program.module_call_graph[0].signature.forward_arg_names or ())
    count, keywords = positional.num_children, list(keyword.context)
    if names[count:] != keywords:  # exported with *args, or in an old version
        names = [f"arg_{number}" for number in range(count)]
    return Signature(
        [Parameter(name, Parameter.POSITIONAL_ONLY) for name in names[:count]]
        + [Parameter(name, Parameter.KEYWORD_ONLY) for name in keywords]
    )


def example_input(program: torch.export.ExportedProgram) -> dict[str, Any] | None:
    """Return the arguments that the program was exported with, by name; ``None`` if unknown."""
    if program.example_inputs is None:
        return None
    args, kwargs = program.example_inputs
    names = program_signature(program).parameters
    return dict(zip(names, args, strict=False)) | dict(kwargs)
