"""What does a machine of a fleet do when it is asked?

It describes itself, receives code, measures a run, and hands over the result. Questions
and answers are bytes: JSON, or a part of a file. A result is written on this machine
first and stays until it was fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Protocol

from lexer_core import __version__
from lexer_core.cache_folder import default_directory
from lexer_core.errors import LexerError, OutputFileError
from lexer_core.fleet.code import unpack_code
from lexer_core.fleet.measuring import measure_in_own_process
from lexer_core.fleet.records import MachineFacts, MeasuredFile
from lexer_core.machine.environment import read_environment
from lexer_core.results.attrs_fields import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Link", "perform"]

ANSWER, PART, PROBLEM = b"a", b"p", b"e"
"""The first byte of an answer says whether JSON, raw bytes or a problem follow."""

_SECONDS_KEPT = 30 * 24 * 3600
"""Results that nobody fetched, and code, are removed after this time."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

WORKER_COMMAND = (
    "dask worker ADDRESS --no-nanny --no-dashboard --nworkers 1 --nthreads 1 --memory-limit 0 "
    '--name NAME --resources "machine=1"'
)


class Link(Protocol):
    """What a machine can tell the fleet while it measures, and how it is stopped."""

    @property
    def is_under_nanny(self) -> bool:
        """Whether Dask's nanny started this process."""

    def tell(self, text: str) -> None:
        """Tell what is being done."""

    def is_stopping(self) -> bool:
        """Return whether this machine is to stop."""


def perform(action: str, arguments: str, content: bytes, link: Link) -> bytes:
    """Do one thing that the fleet asks for; raises nothing but an interrupt.

    Parameters
    ----------
    action
        The name of the action.
    arguments
        Its arguments as JSON.
    content
        Bytes that it is about.
    link
        The connection to the fleet.

    Returns
    -------
    bytes
        A byte that says what follows, and JSON or raw bytes.
    """
    try:
        answer = _ACTIONS[action](link, content, **json.loads(arguments))
    except LexerError as error:
        return _problem(error.message, error.hint)
    except OSError as error:
        where = f" {error.filename!r}" if error.filename else ""
        return _problem(f"cannot read or write{where}: {error.strerror or error}.")
    except Exception as error:
        return _problem(f"{type(error).__name__}: {error}")
    return PART + answer if isinstance(answer, bytes) else ANSWER + _json(answer)


def _problem(message: str, hint: str = "") -> bytes:
    return PROBLEM + _json({"message": message, "hint": hint})


def _json(value: object) -> bytes:
    return json.dumps(plain(value)).encode()


def _describe(link: Link, content: bytes, *, order: str, version: str) -> MachineFacts:
    """Say what this machine is, and whether it may measure."""
    del content
    folder = _folder("results")
    _remove_old(folder)
    _remove_old(_folder("code"))
    problem, hint = _why_not(link, version)
    return MachineFacts(
        environment=read_environment(),
        problem=problem,
        hint=hint,
        finished=tuple(
            path.stem.partition("-")[2] for path in sorted(folder.glob(f"{order}-*.lexer"))
        ),
        code=tuple(path.name for path in _folder("code").iterdir()),
    )


def _why_not(link: Link, version: str) -> tuple[str, str]:
    if version != __version__:
        return (
            f"it has Lexer {__version__}, and this plan is from Lexer {version}.",
            f"Install the same version there: pip install lexer-core=={version}",
        )
    set_variables = [name for name in _THREAD_VARIABLES if name in os.environ]
    if link.is_under_nanny and set_variables:
        named = ", ".join(set_variables)
        return (
            f"its worker was started with a nanny, which limits what is measured by {named}.",
            f"Start it with --no-nanny: {WORKER_COMMAND}",
        )
    return "", ""


def _receive(
    link: Link, content: bytes, *, digest: str, receiver: str, offset: int, size: int
) -> dict[str, Any]:
    """Add a part of the code; the last one is unpacked."""
    del link
    packed = _folder("code") / f"{receiver}.zip"
    with packed.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.truncate()
        file.write(content)
    if offset + len(content) == size:
        whole = packed.read_bytes()
        packed.unlink()
        if hashlib.sha256(whole).hexdigest() != digest:
            raise OutputFileError("the code that was received is damaged.", hint="Try again.")
        unpack_code(whole, _folder("code") / digest)
    return {}


def _measure(
    link: Link, content: bytes, *, order: str, key: str, code: str, plan: Mapping[str, Any]
) -> MeasuredFile:
    """Measure one run, and write its result on this machine."""
    del content
    path = _result(order, key)
    if not path.exists():
        measure_in_own_process(
            plan, path, folder=_folder("code") / code if code else None, link=link
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return MeasuredFile(size_bytes=path.stat().st_size, sha256=digest)


def _hand_over(
    link: Link, content: bytes, *, order: str, key: str, offset: int, size: int
) -> bytes:
    """Return a part of a result."""
    del link, content
    with _result(order, key).open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _forget(link: Link, content: bytes, *, order: str, key: str) -> dict[str, Any]:
    """Remove a result that was fetched."""
    del link, content
    _result(order, key).unlink(missing_ok=True)
    return {}


_ACTIONS: Mapping[str, Callable[..., object]] = {
    "describe": _describe,
    "receive": _receive,
    "measure": _measure,
    "hand_over": _hand_over,
    "forget": _forget,
}


def _folder(name: str) -> Path:
    folder = default_directory() / "fleet" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _result(order: str, key: str) -> Path:
    return _folder("results") / f"{order}-{key}.lexer"


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another worker of this machine removes it as well
            if time.time() - path.stat().st_mtime > _SECONDS_KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
