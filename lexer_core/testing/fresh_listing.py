"""What does listing an engine do to a process?

Asked in a process that did nothing else: what other checks imported would hide
what the plugin imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.testing.outcomes import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ListingFacts", "list_in_fresh_process"]

LIMIT_SECONDS = 60.0

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from lexer_core.testing.listing_child import main; main(sys.argv[1], sys.argv[3])"
)


@frozen(kw_only=True)
class ListingFacts:
    """What was different after an engine was listed.

    Parameters
    ----------
    imported
        Top-level modules that were imported meanwhile.
    changes
        What else of the process had changed, each in one clause.
    printed
        What was printed, on standard output or standard error.
    """

    imported: frozenset[str]
    changes: tuple[str, ...]
    printed: str


def list_in_fresh_process(name: str, environment: Mapping[str, str]) -> ListingFacts:
    """List one engine in a new process, and compare it before and after.

    Parameters
    ----------
    name
        The engine's.
    environment
        All variables of the new process.

    Raises
    ------
    CheckFailed
        The process ended without an answer, or gave none in time.
    """
    with tempfile.TemporaryDirectory(prefix="lexer-check-") as folder:
        answer_file, log_file = Path(folder, "answer.json"), Path(folder, "log")
        command = [sys.executable, "-c", _BOOTSTRAP, name, json.dumps(sys.path), str(answer_file)]
        with log_file.open("wb") as log:
            try:
                done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
                    command,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=LIMIT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise CheckFailed(
                    f"listing the engine does not end within {LIMIT_SECONDS:g} s.",
                    "The plugin's module and lexer_engine_info must return at once.",
                ) from error
        printed = log_file.read_text(encoding="utf-8", errors="replace")
        if not answer_file.exists():
            raise CheckFailed(
                f"listing the engine ends its process with status {done.returncode}.",
                printed[-2000:],
            )
        answer = json.loads(answer_file.read_text(encoding="utf-8"))
    return ListingFacts(
        imported=frozenset(answer["imported"]),
        changes=tuple(answer["changes"]),
        printed=printed.strip(),
    )
