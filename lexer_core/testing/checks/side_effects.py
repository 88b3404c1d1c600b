"""What else does an engine change: the process, the files, the streams?"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import io
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.testing.outcomes import CheckFailed
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import ExportedModel
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Side effects")

_CALLS = 20
_WARM_UP_CALLS = 3


@SUITE.check("full", "An export is left as it is, for the engines that load it next.")
def exports_are_not_written_to(fixture: EngineFixture) -> None:
    """Compare the files of an export before and after a session."""
    exported = fixture.new_model("one_input")
    before = _contents(exported)
    with fixture.session(exported=exported) as opened:
        opened.answer(opened.case.trials()[0])
        opened.engine.describe_placement(opened.session)
    after = _contents(exported)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    if changed:
        raise CheckFailed(
            f"a session changes the files of the export: {', '.join(changed)}.",
            "Other engines load the same export. Write to config.cache_dir, or to a temporary "
            "folder that close() removes.",
        )


@SUITE.check("full", "A session leaves no files in the user's folder.")
def current_folder_is_left_alone(fixture: EngineFixture) -> None:
    """Open a session in an empty folder."""
    with contextlib.chdir(fixture.new_folder()):
        folder = Path.cwd()
        with fixture.session() as opened:
            opened.answer(opened.case.trials()[0])
            opened.engine.describe_placement(opened.session)
        left = sorted(path.name for path in folder.iterdir())
    if left:
        raise CheckFailed(
            f"a session writes to the current folder: {', '.join(left)}.",
            "Write to config.cache_dir, or to a temporary folder that close() removes.",
        )


@SUITE.check("full", "Outside a process of its own, a session leaves the process as it was.")
def process_is_left_alone(fixture: EngineFixture) -> None:
    """Compare the state of the process before and after a session that is not isolated."""
    config = fixture.config(isolated=False)
    with fixture.session(config=config) as opened:  # what importing the runtime changes
        opened.answer(opened.case.trials()[0])
    with _known_state(fixture):
        before = _state()
        with fixture.session(config=config) as opened:
            call = opened.call(opened.case.trials()[0])
            for _ in range(_WARM_UP_CALLS):
                opened.fetch(opened.run(call))
            opened.engine.describe_placement(opened.session)
        after = _state()
    changed = [what for what, value in before.items() if after[what] != value]
    if changed:
        raise CheckFailed(
            f"a session changes {' and '.join(changed)}.",
            "With config.isolated=False, the session shares the user's process: change nothing "
            "in it, or restore it in close().",
        )


@SUITE.check("full", "A call prints nothing: thousands of calls must not flood a terminal.")
def calls_print_nothing(fixture: EngineFixture) -> None:
    """Capture what calls write to standard output and standard error."""
    with fixture.session() as opened:
        call = opened.call(opened.case.trials()[0])
        for _ in range(_WARM_UP_CALLS):
            opened.fetch(opened.run(call))
        with _captured() as captured:
            for _ in range(_CALLS):
                opened.fetch(opened.run(call))
    text = captured()
    if text.strip():
        raise CheckFailed(
            f"{_CALLS} calls print {text.strip().splitlines()[0][:80]!r}.",
            "Print at most when a session is created.",
        )


def _contents(exported: ExportedModel) -> dict[str, str]:
    """Return the digests of the files in an export's folder; empty for a live model."""
    if exported.path is None:
        return {}
    folder = exported.path.parent
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _state() -> dict[str, object]:
    """Return what a session must not change, by name."""
    logger = logging.getLogger()
    state: dict[str, object] = {
        "the environment variables": dict(os.environ),
        "the current folder": Path.cwd(),
        "sys.path": list(sys.path),
        "the warning filters": list(warnings.filters),
        "Python's random state": random.getstate(),
        "numpy's random state": _digest(np.random.get_state(legacy=True)),
        "numpy's treatment of errors": np.geterr(),
        "numpy's print options": str(np.get_printoptions()),
        "garbage collection": (gc.isenabled(), gc.get_threshold()),
        "the recursion limit": sys.getrecursionlimit(),
        "the switch interval": sys.getswitchinterval(),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the root logger": (logger.level, list(logger.handlers), logging.root.manager.disable),
        "sys.stdout or sys.stderr": (id(sys.stdout), id(sys.stderr)),
        "the exception hook": id(sys.excepthook),
        "the signal handlers": [signal.getsignal(number) for number in _SIGNALS],
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        state |= {
            "torch's random state": torch.get_rng_state().numpy().tobytes(),
            "torch's number of threads": torch.get_num_threads(),
            "torch's gradient mode": torch.is_grad_enabled(),
            "torch's default type": torch.get_default_dtype(),
            "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
            "torch's matmul precision": torch.get_float32_matmul_precision(),
        }
    return state


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode() + value[1].tobytes()).hexdigest()


@contextlib.contextmanager
def _known_state(fixture: EngineFixture) -> Iterator[None]:
    """Put the process into a known state, which an earlier session did not leave."""
    environment = dict(os.environ)
    python_random, numpy_random = random.getstate(), np.random.get_state()
    errors, collecting, thresholds = np.geterr(), gc.isenabled(), gc.get_threshold()
    handlers = (
        {number: signal.getsignal(number) for number in _SIGNALS}
        if threading.current_thread() is threading.main_thread()
        else {}
    )
    try:
        with contextlib.chdir(fixture.new_folder()), warnings.catch_warnings():
            warnings.resetwarnings()
            os.environ.clear()
            os.environ.update(fixture.original_environment)
            random.seed(20_240_229)
            np.random.seed(20_240_229)
            np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
            gc.enable()
            gc.set_threshold(701, 11, 11)
            for number in handlers:
                signal.signal(number, _ignore_signal)
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.set_threshold(*thresholds)
        if not collecting:
            gc.disable()
        np.seterr(**errors)
        np.random.set_state(numpy_random)
        random.setstate(python_random)
        os.environ.clear()
        os.environ.update(environment)


def _ignore_signal(*_: object) -> None:
    """Stand in for a handler of the user's."""


@contextlib.contextmanager
def _captured() -> Iterator[Any]:
    """Capture both streams, also of code in C; yields a function that returns the text."""
    text = io.StringIO()
    parts: list[str] = []
    with tempfile.TemporaryFile() as file:
        _flush()
        copies = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield lambda: "".join(parts)
        finally:
            _flush()
            for number, copy in zip((1, 2), copies, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            parts += [text.getvalue(), file.read().decode(errors="replace")]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
