"""What does listing an engine change in a process?

Checked in a new worker process: what other checks have imported would hide what the
plugin imports. The modules of the worker itself are imported before the comparison
and include no runtime, so they hide nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import WorkerDiedError, WorkerError, WorkerTimeoutError
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FreshListing", "ListingFacts", "list_in_fresh_process"]

_LIMIT_SECONDS = 60.0


@frozen(kw_only=True)
class ListingFacts:
    """What listing an engine changed in a process.

    Parameters
    ----------
    imported
        Top-level modules that were imported.
    changes
        What else changed, each as a clause.
    printed
        The output, to standard output or standard error.
    """

    imported: frozenset[str]
    changes: tuple[str, ...]
    printed: str = ""


class FreshListing:
    """Lists an engine and compares the process before and after; runs in a worker."""

    def list_engine(self, name: str, environment: Mapping[str, str]) -> ListingFacts:
        """Restore the environment variables, list the engine, and return the changes."""
        os.environ.clear()
        os.environ.update(environment)
        registry = EngineRegistry(in_process=True)
        registry.names()  # imports what reading metadata needs
        modules, before = set(sys.modules), _process_state()
        registry.listing(name)
        after = _process_state()
        return ListingFacts(
            imported=frozenset(module.partition(".")[0] for module in set(sys.modules) - modules),
            changes=tuple(f"{what} changed" for what in before if before[what] != after[what]),
        )


def list_in_fresh_process(name: str, environment: Mapping[str, str]) -> ListingFacts:
    """List an engine in a new process, and compare the process before and after.

    Parameters
    ----------
    name
        The engine's name.
    environment
        All environment variables for the new process. Importing the plugin may have
        changed those of this one.

    Raises
    ------
    CheckFailed
        The process ended or raised, or did not finish in time.
    """
    worker = WorkerProcess.start(
        "lexer_core.testing.fresh_listing:FreshListing",
        label=f"the listing of {name}",
        hosted=FreshListing,
    )
    with worker:
        try:
            facts: ListingFacts = worker.call(
                "list_engine", name, dict(environment), timeout=_LIMIT_SECONDS
            )
        except WorkerTimeoutError as error:
            raise CheckFailed(
                f"listing the engine does not finish within {_LIMIT_SECONDS:g} s.",
                "The plugin's module and lexer_engine_info must return at once.",
            ) from error
        except WorkerDiedError as error:
            raise CheckFailed(
                f"listing the engine ends its process: {error.reason}.", error.log
            ) from error
        except WorkerError as error:
            raise CheckFailed(f"listing the engine fails: {error.message}.", error.hint) from error
    return evolve(facts, printed=worker.log_tail(None).strip())


def _process_state() -> Mapping[str, object]:
    """Return what importing a module must not change."""
    handlers = (signal.SIGINT, signal.SIGTERM)
    return {
        "the environment variables": dict(os.environ),
        "the current folder": Path.cwd(),
        "sys.path": list(sys.path),
        "the number of threads": threading.active_count(),
        "the signal handlers": [signal.getsignal(number) for number in handlers],
        "the filters of warnings": list(warnings.filters),
        "the handlers of the root logger": list(logging.getLogger().handlers),
        "sys.stdout or sys.stderr": (id(sys.stdout), id(sys.stderr)),
    }
