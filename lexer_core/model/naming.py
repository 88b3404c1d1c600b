"""What are the names of a model's inputs and outputs?

Inputs are named after ``forward``'s parameters, outputs after what the model
returns. Names that the user declares replace these, in the same order. If names
and model do not match, the error shows both.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lexer_core.errors import InputError
from lexer_core.model.structure import FlatCall, flatten_call, names_in_objects, rename
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    import torch

__all__ = ["Forward", "name_inputs", "name_outputs", "read_forward"]

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LONGEST_DEFAULT = 12


@frozen(kw_only=True)
class Forward:
    """The signature of a model's ``forward``, with the model's name."""

    model_name: str
    signature: inspect.Signature = field(repr=str)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters without ``*args`` and ``**kwargs``."""
        return tuple(
            parameter
            for parameter in self.signature.parameters.values()
            if parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of :attr:`parameters`."""
        return tuple(parameter.name for parameter in self.parameters)

    def unnamed(self, keywords: Iterable[str]) -> tuple[str, ...]:
        """Return the keyword arguments that no parameter names; empty if none is named."""
        return tuple(name for name in keywords if self.names and name not in self.names)

    @property
    def title(self) -> str:
        """The signature as errors show it: ``AmazingNet.forward(pixels, mask=None)``."""
        shown = ", ".join(map(_show, self.signature.parameters.values()))
        return f"{self.model_name}.forward({shown})"


@frozen(kw_only=True, eq=False)
class _Arguments:
    """A call, with the parameter name of each positional argument."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    arg_names: tuple[str, ...]


def read_forward(module: torch.nn.Module, model_name: str) -> Forward:
    """Read the signature of the ``forward`` of a module, scripted or not.

    If it cannot be read, the result accepts any arguments.
    """
    try:
        # Of TorchScript, Python sees only (*args, **kwargs).
        schema = getattr(module.forward, "schema", None)
        signature = inspect.signature(module.forward) if schema is None else _signature_of(schema)
    except (AttributeError, TypeError, ValueError):  # no forward, or none that can be read
        signature = inspect.Signature(
            [
                Parameter("args", Parameter.VAR_POSITIONAL),
                Parameter("kwargs", Parameter.VAR_KEYWORD),
            ]
        )
    return Forward(model_name=model_name, signature=signature)


def _signature_of(schema: Any) -> inspect.Signature:
    """Return the signature that a TorchScript schema describes."""
    return inspect.Signature(
        [
            Parameter(
                argument.name,
                Parameter.KEYWORD_ONLY if argument.kwarg_only else Parameter.POSITIONAL_OR_KEYWORD,
                default=argument.default_value if argument.has_default_value() else Parameter.empty,
            )
            for argument in schema.arguments[1:]
        ]
    )


def name_inputs(forward: Forward, input: object, declared: Sequence[str] | None) -> FlatCall:
    """Determine how ``forward`` is called with ``input``, and name the tensors.

    Parameters
    ----------
    forward
        The signature.
    input
        A tuple: the positional arguments. A mapping: the arguments by parameter
        name or declared name. Anything else, including a list or named tuple, is
        the only argument; to pass a mapping or tuple as one argument, wrap it in a
        tuple.
    declared
        Names for the tensors in the order of ``forward``'s parameters, and within a
        container in its order; ``None`` for ``forward``'s names.

    Returns
    -------
    FlatCall
        The tensors by name in ``forward``'s order, and the call's structure.

    Raises
    ------
    InputError
        The input or the declared names do not fit ``forward``.
    """
    if declared is not None:
        _check_distinct(declared, "input_names", forward.model_name)
    arguments = _arguments(forward, input, declared)
    try:
        forward.signature.bind(*arguments.args, **arguments.kwargs)
    except TypeError as error:
        raise _does_not_bind(forward, str(error), declared) from None
    flat = flatten_call(arguments.args, arguments.kwargs, arguments.arg_names)
    if not flat.leaves:
        raise InputError(
            f"the input of {forward.title} contains no tensor.",
            hint=f"It is {_describe(input)}. Pass a tensor, a numpy array, a tuple of positional "
            "arguments or a dict of keyword arguments.",
        )
    if declared is None:
        return flat
    in_objects = names_in_objects(flat.structure)
    return rename(flat, _declared_names(forward, list(flat.leaves), declared, in_objects))


def name_outputs(
    found: Sequence[str],
    declared: Sequence[str] | None,
    *,
    model_name: str,
    input_names: Sequence[str] = (),
) -> tuple[str, ...]:
    """Name the tensors that a model returns.

    Parameters
    ----------
    found
        The model's own names, in order.
    declared
        Names that replace them in order, or ``None``.
    model_name
        The model's name in errors.
    input_names
        Names that are taken, because inputs and outputs of a graph share one
        namespace. An output with the name of an input becomes ``NAME_output``.

    Raises
    ------
    InputError
        The number of declared names differs from that of the tensors, or a name is
        taken.
    """
    taken = set(input_names)
    if declared is None:
        names: list[str] = []
        for name in found:
            free = name
            while free in taken:
                free += "_output"
            taken.add(free)
            names.append(free)
        return tuple(names)
    _check_distinct(declared, "output_names", model_name)
    if len(declared) != len(found):
        raise InputError(
            f"{_count(len(declared), 'output name')} for {model_name}, "
            f"which returns {_count(len(found), 'tensor')}: {', '.join(found)}.",
            hint=f"Name all of them, in this order: "
            f"@Lexer(output_names={_quoted(found)}, ...), or omit output_names.",
        )
    for name in declared:
        if name in taken:
            raise InputError(
                f"{name!r} names both an input and an output of {model_name}.",
                hint="Give the output another name; a graph needs distinct names.",
            )
    return tuple(declared)


def _arguments(forward: Forward, input: object, declared: Sequence[str] | None) -> _Arguments:
    if isinstance(input, Mapping):
        return _by_name(forward, input, declared)
    is_plain_tuple = isinstance(input, tuple) and not hasattr(input, "_fields")
    args: tuple[object, ...] = tuple(input) if is_plain_tuple else (input,)  # type: ignore[arg-type]
    names = [
        parameter.name
        for parameter in forward.signature.parameters.values()
        if parameter.kind in _POSITIONAL
    ]
    rest = _variable(forward, Parameter.VAR_POSITIONAL) or "args"
    names += [f"{rest}.{position}" for position in range(len(args) - len(names))]
    return _Arguments(args=args, kwargs={}, arg_names=tuple(names[: len(args)]))


def _by_name(
    forward: Forward, input: Mapping[object, object], declared: Sequence[str] | None
) -> _Arguments:
    """Return the arguments in a mapping, in ``forward``'s order."""
    aliases = _aliases(forward, declared or ())
    accepts_any = _variable(forward, Parameter.VAR_KEYWORD) is not None
    given: dict[str, object] = {}
    for key, value in input.items():
        name = key if key in forward.names else aliases.get(str(key), key)
        if not isinstance(name, str) or (name not in forward.names and not accepts_any):
            raise _unknown_key(forward, key, declared)
        if name in given:
            raise InputError(f"the input of {forward.title} has {name!r} twice, also as {key!r}.")
        given[name] = value
    args: list[object] = []
    arg_names: list[str] = []
    kwargs: dict[str, object] = {}
    for parameter in forward.parameters:
        if parameter.name not in given:
            continue
        value = given.pop(parameter.name)
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            args.append(value)
            arg_names.append(parameter.name)
        else:
            kwargs[parameter.name] = value
    return _Arguments(args=tuple(args), kwargs=kwargs | given, arg_names=tuple(arg_names))


def _aliases(forward: Forward, declared: Sequence[str]) -> dict[str, str]:
    """Return the parameter of each declared name that is not a parameter itself."""
    named = set(declared) & set(forward.names)
    free = iter([name for name in forward.names if name not in named])
    return dict(zip([name for name in declared if name not in named], free, strict=False))


def _declared_names(
    forward: Forward, found: Sequence[str], declared: Sequence[str], in_objects: Collection[str]
) -> dict[str, str]:
    """Return the declared name of each tensor.

    Tensors in objects, such as caches, need not be declared: they are named by their path.
    """
    others = [name for name in found if name not in in_objects]
    by_path = {name: name for name in in_objects}
    fits = len(declared) == len(forward.names) and set(others) <= set(forward.names)
    if len(declared) == len(found) and not (in_objects and fits):
        names = dict(zip(found, declared, strict=True))
    elif fits:
        # The decorator names every parameter, but this call omits optional ones.
        by_parameter = dict(zip(forward.names, declared, strict=True))
        names = {name: by_parameter[name] for name in others} | by_path
    elif len(declared) == len(others):
        names = dict(zip(others, declared, strict=True)) | by_path
    else:
        raise _wrong_count(forward, found, declared)
    for parameter, name in names.items():
        if name != parameter and name in forward.names:
            raise InputError(
                f"input_names has {name!r} at the position of {parameter!r} in {forward.title}.",
                hint="input_names must be in the order of forward's parameters: "
                f"@Lexer(input_names={_quoted(found)}, ...)",
            )
    return names


def _wrong_count(forward: Forward, found: Sequence[str], declared: Sequence[str]) -> InputError:
    one = len(declared) == 1
    shown = ", ".join(map(repr, declared)) or "(none)"
    if set(found) == set(forward.names):
        takes = f"forward takes {len(found)}: {', '.join(found)}."
    else:
        takes = (
            f"this input contains {_count(len(found), 'tensor')}: {', '.join(found)}.\n"
            f"forward takes {', '.join(forward.names) or 'anything'}."
        )
    return InputError(
        f"{'input' if one else 'inputs'} {shown} {'does' if one else 'do'} not match "
        f"{forward.title}.",
        hint=f"@Lexer(input_names={_quoted(declared)}) names {_count(len(declared), 'input')}; "
        f"{takes}\nName them in order: @Lexer(input_names={_quoted(found)}, ...)",
    )


def _does_not_bind(forward: Forward, reason: str, declared: Sequence[str] | None) -> InputError:
    required = [
        parameter.name for parameter in forward.parameters if parameter.default is Parameter.empty
    ]
    if declared is not None and len(declared) < len(required):
        return _wrong_count(forward, required, declared)
    return InputError(
        f"the input does not match {forward.title}: {reason}.",
        hint="A tuple contains positional arguments, a dict keyword arguments; anything else is "
        f"the only argument.\nforward requires: {', '.join(required) or 'nothing'}.",
    )


def _unknown_key(forward: Forward, key: object, declared: Sequence[str] | None) -> InputError:
    known = [*forward.names, *(declared or ())]
    close = nearest(str(key), known)
    hint = f"Did you mean {close!r}?\n" if close else ""
    return InputError(
        f"input {key!r} does not match {forward.title}.",
        hint=f"{hint}The keys of a dict must be forward's parameters"
        f"{': ' + ', '.join(forward.names) if forward.names else ''}.\n"
        "To pass the dict itself as one argument, wrap it in a tuple: input=({...},)",
    )


def _check_distinct(names: Sequence[str], what: str, model_name: str) -> None:
    if isinstance(names, str):
        raise InputError(
            f"{what} of {model_name} must be a list of names, not the string {names!r}.",
            hint=f"Write {what}=[{names!r}].",
        )
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(
                f"{what} of {model_name} contains {name!r}, which is not a valid name."
            )
        if list(names).count(name) > 1:
            raise InputError(
                f"{what} of {model_name} contains {name!r} twice.",
                hint="Each tensor needs its own name.",
            )


def _variable(forward: Forward, kind: object) -> str | None:
    for parameter in forward.signature.parameters.values():
        if parameter.kind is kind:
            return parameter.name
    return None


def _show(parameter: Parameter) -> str:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.kind is Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if parameter.default is Parameter.empty:
        return parameter.name
    default = _repr(parameter.default)
    return f"{parameter.name}={default if len(default) <= _LONGEST_DEFAULT else '...'}"


def _quoted(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a class of the user's may raise anything
        return f"<{type(value).__name__}>"


def _describe(value: Any) -> str:
    text = _repr(value)
    return text if len(text) <= 40 else f"of type {type(value).__name__}"  # noqa: PLR2004
