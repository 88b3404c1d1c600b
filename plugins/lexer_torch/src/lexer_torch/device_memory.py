"""How much memory of an accelerator does a session use, and what if there is too little?"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from lexer_core.engine_helpers import first_line
from lexer_core.errors import EngineError, HookError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["explain_exhaustion", "is_exhaustion", "peak_memory", "reset_peak"]

_SIZES = re.compile(
    r"Tried to allocate (?P<asked>[\d.]+ \w+).*?total capacity of (?P<total>[\d.]+ \w+) "
    r"of which (?P<free>[\d.]+ \w+) is free",
    re.DOTALL,
)


def reset_peak(device: torch.device) -> None:
    """Start the peak again at the memory in use, which torch counts for each CUDA device."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that tensors occupied at once; ``None`` if torch does not count.

    It is the memory that torch *allocated*. The memory that its allocator *reserved* is
    more, by what it keeps for later tensors, which it would return before it runs out;
    the CUDA context takes some hundred MiB in addition to both.
    """
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def is_exhaustion(error: BaseException | None) -> bool:
    """Whether an error, or its cause in a hook, is an allocation for which memory was short."""
    if isinstance(error, HookError):
        error = error.__cause__
    return isinstance(error, torch.OutOfMemoryError)


@contextmanager
def explain_exhaustion(device: torch.device) -> Iterator[None]:
    """Explain the error of torch's allocator in Lexer's words.

    Raises
    ------
    EngineError
        The device has too little memory.
    """
    try:
        yield
    except Exception as error:
        if not is_exhaustion(error):
            raise
        cause = error.__cause__ if isinstance(error, HookError) else error
        raise EngineError(
            f"{device} ran out of memory: {_what_was_asked(str(cause))}",
            hint="Use a smaller batch or a smaller element type, or measure fewer engines at "
            "once: their models share the device.",
        ) from error


def _what_was_asked(message: str) -> str:
    found = _SIZES.search(message)
    if found is None:
        return first_line(message)
    return (
        f"a tensor of {found['asked']} was needed, and {found['free']} of {found['total']} "
        "were free."
    )
