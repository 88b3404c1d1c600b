"""What does a session change in its process, and how is it restored?"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lexer_core.records import SessionConfig

__all__ = ["compiled_folder", "set_matmul_precision", "set_threads", "use_own_inductor_cache"]

_INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def set_threads(config: SessionConfig, undo: ExitStack) -> None:
    """Set the number of threads per operator."""
    before = torch.get_num_threads()
    if before != config.threads:
        torch.set_num_threads(config.threads)
        undo.callback(torch.set_num_threads, before)


def set_matmul_precision(config: SessionConfig, undo: ExitStack) -> None:
    """Set the precision of float32 matrix products, if the option is set."""
    wanted = config.options.get("float32_matmul_precision")
    if wanted is not None:
        undo.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision(str(wanted))


def use_own_inductor_cache(config: SessionConfig) -> None:
    """Make Inductor use the session's cache folder instead of the user's.

    With the user's cache, the compile time would depend on earlier programs. In
    the user's own process it stays in use, because torch keeps paths into it.
    """
    if config.isolated:
        os.environ[_INDUCTOR_CACHE] = str(compiled_folder(config))


def compiled_folder(config: SessionConfig) -> Path:
    """Return the folder for compiled code: the session's, or a temporary one."""
    return config.cache_dir or Path(_folder_of_this_process().name)


@functools.cache
def _folder_of_this_process() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lexer-compiled-")
