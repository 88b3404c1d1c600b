"""What does a report know about the model of a row?

Importing this module is cheap: every report does.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.results import Environment, SavedModel

__all__ = ["LiveModel", "RowModel"]


class LiveModel:
    """The model that a program benchmarked, and its example inputs.

    It does not keep the model alive. An unpickled object has no model.

    Parameters
    ----------
    model, input, input_names, output_names
        As for :meth:`lexer_core.context.LexerContext.benchmark`.
    resize
        Returns the model with inputs of the sizes that a row had, by the row's label.
        Default: all rows had the example inputs.
    """

    def __init__(
        self,
        model: Any,
        input: object = None,
        *,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        resize: Callable[[str, AdaptedModel], AdaptedModel] | None = None,
    ) -> None:
        self._reference = None if isinstance(model, (str, Path)) else _weak(model)
        self.input = input
        self.input_names = input_names
        self.output_names = output_names
        self.resize = resize

    def with_resize(self, resize: Callable[[str, AdaptedModel], AdaptedModel]) -> LiveModel:
        """Return the same model for a report whose rows had inputs of other sizes."""
        return LiveModel(
            self.model,
            self.input,
            input_names=self.input_names,
            output_names=self.output_names,
            resize=resize,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _without_model, ()

    def __copy__(self) -> LiveModel:
        return self

    def __deepcopy__(self, memo: object) -> LiveModel:
        return self

    @property
    def model(self) -> Any:
        """The model; ``None`` if it does not exist any more."""
        return None if self._reference is None else self._reference()


@frozen(kw_only=True, eq=False)
class RowModel:
    """What a report knows about the model of one row.

    Parameters
    ----------
    saved
        The model in the format that the row ran; ``None`` if it is a live object or was
        not kept.
    live
        The user's model, to export it again; ``None`` for a loaded report.
    model_name, created_at, environment
        As in the report.
    input_names
        Names of the example inputs.
    weights_digest
        Digest of the weights; empty if unknown.
    others
        Labels of the rows whose models are saved.
    settings
        The settings of the benchmark, as JSON types.
    """

    saved: SavedModel | None = None
    live: LiveModel | None = None
    model_name: str = ""
    created_at: str = ""
    environment: Environment
    input_names: tuple[str, ...] = ()
    weights_digest: str = ""
    others: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(factory=dict)


def _weak(model: Any) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(model)
    except TypeError:  # not a model; the benchmark has refused it
        return None


def _without_model() -> LiveModel:
    return LiveModel("")
