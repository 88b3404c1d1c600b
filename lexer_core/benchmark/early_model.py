"""Which process imports torch while the user's model is loaded?

The one that the model will be sent to. Both need seconds for it, and at first the
command would use one core only.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lexer_core.engines.find_module import module_spec
from lexer_core.machine.affinity import usable_threads
from lexer_core.worker.executor import start_early

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.settings.table import Settings

__all__ = ["MODEL_LABEL", "model_process_started_early"]

MODEL_LABEL = "the model"
"""The label of the worker that holds a model while it is prepared."""

_FRAMEWORK = "torch"


@contextmanager
def model_process_started_early(settings: Settings) -> Iterator[None]:
    """Start the model's process before the model is loaded, in the ``with`` block.

    Does nothing if the model will not have a process, or torch is not installed.
    """
    if settings.isolation != "process" or module_spec(_FRAMEWORK) is None:
        yield
        return
    threads = settings.threads or usable_threads()
    with start_early(MODEL_LABEL, threads=threads, preload=(_FRAMEWORK,)):
        yield
