"""How does a model class set up its benchmark? With the decorator ``Lexer``.

The decorator returns the class itself, with two more class attributes: the metadata
(names and settings), and ``lexer``, which gives instances ``model.lexer.benchmark``
and ``model.lexer.export`` unless the model defines its own ``lexer``.

Workers import this module with the model, so it stays light: the context is imported
on use.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from lexer_core.errors import InputError
from lexer_core.model.lexer_metadata import METADATA_ATTRIBUTE, LexerMetadata
from lexer_core.settings.layers import argument_layer, merge_layers

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from lexer_core.records import ExportedModel
    from lexer_core.report import BenchmarkReport

__all__ = ["Lexer", "ModelLexer"]

_ClassT = TypeVar("_ClassT", bound=type)


class Lexer:
    """Class decorator that names a model's inputs and outputs and sets its settings.

    Parameters
    ----------
    input_names
        Names of the input tensors, in the order of ``forward``'s parameters.
    output_names
        Names of the output tensors, in order.
    dynamic_axes
        For each input name, the names of the axes that are dynamic in an export:
        ``{"image": {0: "batch"}}``. Benchmarks always use static shapes.
    **settings
        Settings for this model, such as ``num_iterations=500``; see
        :class:`lexer_core.settings.table.Settings`.

    Raises
    ------
    InputError
        The names are not a sequence of distinct, non-empty strings.
    SettingError
        A setting is unknown or has a wrong value.

    Examples
    --------
    ::

        @Lexer(input_names=["image"], output_names=["logits"])
        class AmazingNet(nn.Module): ...
    """

    def __init__(
        self,
        input_names: Sequence[str] = (),
        output_names: Sequence[str] = (),
        *,
        dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
        **settings: object,
    ) -> None:
        # Validate now, so that an error points at the class.
        merge_layers([argument_layer("@Lexer", settings)])
        self._metadata = LexerMetadata(
            input_names=_names("input_names", input_names),
            output_names=_names("output_names", output_names),
            dynamic_axes=dynamic_axes or {},
            settings=settings,
        )

    def __call__(self, cls: _ClassT) -> _ClassT:
        """Attach the metadata to the class and return the class."""
        if not isinstance(cls, type):
            raise InputError(
                f"@Lexer must decorate a class, not {type(cls).__name__} {cls!r}.",
                hint="Write it above `class MyModel(nn.Module):`. "
                "Models without the decorator can be benchmarked, too.",
            )
        setattr(cls, METADATA_ATTRIBUTE, self._metadata)
        if not hasattr(cls, "lexer"):
            cls.lexer = _Convenience()  # type: ignore[attr-defined]
        return cls


def _names(argument: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InputError(
            f"@Lexer({argument}={names!r}) is a string, not a list of names.",
            hint=f"Write {argument}=[{names!r}].",
        )
    result = tuple(names)
    for name in result:
        if not isinstance(name, str) or not name:
            raise InputError(f"@Lexer({argument}=…) contains {name!r}, which is not a name.")
    if len(set(result)) < len(result):
        twice = next(name for name in result if result.count(name) > 1)
        raise InputError(f"@Lexer({argument}=…) contains the name {twice!r} twice.")
    return result


@frozen(eq=False)
class ModelLexer:
    """``model.lexer``: benchmarks and exports a decorated model."""

    model: Any

    def benchmark(
        self, input: object = None, num_iterations: int | None = None, **options: Any
    ) -> BenchmarkReport:
        """Benchmark the model; see :meth:`LexerContext.benchmark`."""
        from lexer_core.context import LexerContext  # on use, see above

        return LexerContext().benchmark(self.model, input, num_iterations, **options)

    def export(self, input: object, path: str | os.PathLike[str], **options: Any) -> ExportedModel:
        """Export the model to a file; see :meth:`LexerContext.export`."""
        from lexer_core.context import LexerContext  # on use, see above

        return LexerContext().export(self.model, input, path, **options)


class _Convenience:
    """The descriptor behind ``model.lexer``, which the model's own attributes override.

    It has no ``__set__``, so an instance attribute has priority. Submodules,
    parameters and buffers are stored in dictionaries that attribute lookup does not
    search first, so they are looked up here.
    """

    def __get__(self, model: Any, owner: type) -> Any:
        if model is None:
            return self
        for registry in ("_modules", "_parameters", "_buffers"):
            registered = model.__dict__.get(registry) or {}
            if "lexer" in registered:
                return registered["lexer"]
        # register_module, register_buffer and register_parameter reject a name that
        # hasattr() finds, but a model may register its own "lexer".
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") == "torch.nn.modules.module":
            raise AttributeError("lexer")
        return ModelLexer(model)
