"""How many items does one call process?

Only the user knows. The guess is the size of dimension 0 that all inputs share, and it
is made only if nothing suggests that this dimension is another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.model.structure import names_in_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from lexer_core.records import CallInputs, TensorSpec

__all__ = ["BatchSize", "confirm_batch_size", "guess_batch_size"]

_MOST_DIMENSIONS_OF_SEQUENCES = 3
"""Batch, time and features. With more, dimension 0 is not the time of a sequence module."""

_SEQUENCE_MODULES = ("RNN", "LSTM", "GRU", "MultiheadAttention")
"""Modules with a setting ``batch_first``, which a trace does not keep."""

_SEQUENCE_OPERATORS = ("aten.rnn", "aten.lstm", "aten.gru")
"""The same in a program. Their last argument is ``batch_first``."""


@frozen(kw_only=True)
class BatchSize:
    """The items per call, or the reason why they are unknown."""

    items: int | None = None
    unknown_because: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """A note for the reader of the report, if the items per call are unknown."""
        if not self.unknown_because:
            return ()
        because = self.unknown_because
        return (f"each call counts as 1 item ({because}); set items_per_call to count its items",)


def guess_batch_size(
    inputs: CallInputs, module: torch.nn.Module | None = None, program: Any = None
) -> BatchSize:
    """Guess how many items a call processes.

    Parameters
    ----------
    inputs
        The inputs of the call. The size of dimension 0 counts if all inputs with two or
        more dimensions share it, and one of them is not in a list: tensors in a list
        may be items themselves.
    module, program
        The model, if it is known. A module with ``batch_first=False`` takes time in
        dimension 0.
    """
    ranked = {name: array for name, array in inputs.arrays.items() if array.ndim > 1}
    if not ranked:
        return BatchSize(unknown_because="no input has two dimensions")
    if ranked.keys() <= names_in_lists(inputs.structure):
        return BatchSize(unknown_because="the inputs are in a list")
    sizes = {array.shape[0] for array in ranked.values()}
    if len(sizes) > 1 or sizes == {0}:
        return BatchSize(
            unknown_because="the inputs differ in dimension 0"
            if len(sizes) > 1
            else "dimension 0 is empty"
        )
    if min(array.ndim for array in ranked.values()) <= _MOST_DIMENSIONS_OF_SEQUENCES:
        sequence = next(_time_first(module, program), None)
        if sequence is not None:
            return BatchSize(
                unknown_because=f"dimension 0 may be time: {sequence} has batch_first=False"
            )
    return BatchSize(items=sizes.pop())


def confirm_batch_size(guess: BatchSize, outputs: Iterable[TensorSpec]) -> BatchSize:
    """Return the guess if an output has the same size in dimension 0.

    If none has, that dimension of the inputs is probably another one, such as the
    channels of a single image.
    """
    if guess.items is None:
        return guess
    # The size of a dynamic dimension is a name.
    firsts = [spec.shape[0] for spec in outputs if spec.shape]
    if any(isinstance(first, str) or first == guess.items for first in firsts):
        return guess
    return BatchSize(
        unknown_because=f"no output has {guess.items} in dimension 0, as the inputs do"
    )


def _time_first(module: torch.nn.Module | None, program: Any) -> Iterator[str]:
    """Yield the modules that take time in dimension 0."""
    for path, each in module.named_modules() if module is not None else ():
        kind = str(getattr(each, "original_name", type(each).__name__))
        batch_first = getattr(each, "batch_first", kind not in _SEQUENCE_MODULES)
        if batch_first is False:
            yield f"{kind} {path!r}" if path else kind
    for node in program.graph.nodes if program is not None else ():
        if str(node.target).startswith(_SEQUENCE_OPERATORS) and node.args[-1] is False:
            yield str(node.target)
