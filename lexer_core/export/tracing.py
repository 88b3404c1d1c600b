"""What is the graph of a model?"""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import LexerError
from lexer_core.export.trace_errors import explain_trace_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

__all__ = ["Trace", "trace"]


@frozen(kw_only=True, eq=False)
class Trace:
    """A ``torch.export`` program, or the reason why tracing failed.

    Exactly one of ``program`` and ``reason`` is set.
    """

    program: Any = None
    reason: str = ""


def trace(
    flat_module: torch.nn.Module,
    tensors: Sequence[torch.Tensor],
    input_names: Sequence[str] = (),
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
) -> Trace:
    """Trace a flattened module with its example inputs.

    Parameters
    ----------
    flat_module
        ``forward(*tensors)`` returns a tuple of tensors.
    tensors
        Example inputs, on the device of the module's parameters.
    input_names
        Names of the tensors; needed for dynamic axes.
    dynamic_axes
        For each input name: dimension → name of the axis. Empty: static shapes.

    Returns
    -------
    Trace
        No error for a model that cannot be traced: an exporter may still
        be able to export it.

    Raises
    ------
    LexerError
        The wrapper refused the model's outputs.
    """
    import torch  # only here: the core works without it

    shapes = None
    if dynamic_axes and any(dynamic_axes.values()):
        # Not Dim(name): such a dimension must not have size 0 or 1, and a batch
        # of 1 is the usual example of a dynamic axis.
        dynamic = torch.export.Dim.DYNAMIC
        shapes = (
            tuple(dict.fromkeys(dynamic_axes.get(name, {}), dynamic) for name in input_names),
        )
    try:
        with _silence(), torch.no_grad(), _any_length():
            program = torch.export.export(
                flat_module, tuple(tensors), dynamic_shapes=shapes, strict=False
            )
    except LexerError:
        raise
    except Exception as error:
        return Trace(reason=explain_trace_error(error, input_names).reason)
    return Trace(program=program)


@contextlib.contextmanager
def _any_length() -> Iterator[None]:
    """Keep dynamic dimensions of size 0 and 1 dynamic, as torch's own exporters do."""
    from torch.fx.experimental import _config  # see trace

    patch = getattr(_config, "patch", None)
    if patch is None or not hasattr(_config, "backed_size_oblivious"):
        yield
        return
    with patch(backed_size_oblivious=True):
        yield


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Silence warnings and logs: the caller reports a failure in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
