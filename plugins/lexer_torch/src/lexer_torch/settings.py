"""What does a session set in its process, and how is it put back?"""

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
    """Let operators use as many threads as the run says."""
    before = torch.get_num_threads()
    if before != config.threads:
        torch.set_num_threads(config.threads)
        undo.callback(torch.set_num_threads, before)


def set_matmul_precision(config: SessionConfig, undo: ExitStack) -> None:
    """Let float32 products be computed in less, where the option says so."""
    wanted = config.options.get("float32_matmul_precision")
    if wanted is not None:
        undo.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision(str(wanted))


def use_own_inductor_cache(config: SessionConfig) -> None:
    """Compile into the session's cache folder, else into one that ends with the process.

    What was compiled on this machine before, by whomever, would make the time
    of compiling that of finding it again. A process that is the user's goes on
    compiling into the user's own cache: paths into it are kept by torch.
    """
    if config.isolated:
        os.environ[_INDUCTOR_CACHE] = str(compiled_folder(config))


def compiled_folder(config: SessionConfig) -> Path:
    """Where compiled code is kept: the session's own folder, or one that ends with the process."""
    return config.cache_dir or Path(_folder_of_this_process().name)


@functools.cache
def _folder_of_this_process() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lexer-compiled-")
