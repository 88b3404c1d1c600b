"""Which state of the process must a session leave as it was?

Each part is read, and put into a state that no session sets by itself, so that a change
is noticed even if an earlier session has already made it.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import decimal
import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["known_state", "original_state", "process_state"]


@frozen
class _Part:
    """A part of the state.

    Parameters
    ----------
    name
        What a message calls it.
    read
        Returns its value, to be compared and written.
    write
        Sets a value that was read before, if that is possible.
    unusual
        A value to start from. Default: the value before the plugin was imported.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    unusual: Any = None


def process_state() -> dict[str, object]:
    """Return what a session must not change, by name."""
    return {part.name: part.read() for part in _parts()} | _torch_state()


def original_state() -> dict[str, object]:
    """Return the parts that can be set again; read before a plugin is imported."""
    return {part.name: part.read() for part in _parts() if part.write is not None}


@contextlib.contextmanager
def known_state(original: Mapping[str, Any], folder: Path) -> Iterator[None]:
    """Put the process into a known state, which an earlier session did not leave.

    Parameters
    ----------
    original
        The state before the plugin was imported, from :func:`original_state`.
    folder
        An empty folder, which becomes the current one.
    """
    found = [(part, part.read()) for part in _parts() if part.write is not None]
    try:
        with contextlib.chdir(folder), warnings.catch_warnings():
            warnings.resetwarnings()
            for part, value in found:
                wanted = original.get(part.name, value) if part.unusual is None else part.unusual
                _write(part, wanted)
            yield
    finally:
        for part, value in reversed(found):
            _write(part, value)


def _write(part: _Part, value: Any) -> None:
    assert part.write is not None
    # What the system does not permit stays as it is; it is compared all the same.
    with contextlib.suppress(OSError, ValueError, locale.Error):
        part.write(value)


def _parts() -> tuple[_Part, ...]:
    return (*_PARTS, *(_posix_parts() if os.name == "posix" else ()), *_signal_parts())


def _write_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _write_collection(state: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if state[0] else gc.disable)()
    gc.set_threshold(*state[1])


def _set_levels(levels: tuple[int, int]) -> None:
    logging.getLogger().setLevel(levels[0])
    logging.disable(levels[1])


def _read_numpy_random() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return name, tuple(np.asarray(keys).tolist()), *rest  # comparable, which an array is not


def _write_numpy_random(state: tuple[Any, ...]) -> None:
    np.random.set_state((state[0], np.array(state[1], dtype=np.uint32), *state[2:]))


def _subnormals() -> tuple[bool, bool]:
    """Whether the smallest numbers are kept as operands and as results."""
    tiny, small = np.float32(1e-40), np.float32(1e-30)
    with np.errstate(all="ignore"):
        return bool(tiny * np.float32(2**30) > 0), bool(small * np.float32(1e-10) > 0)


_PARTS = (
    _Part("the environment variables", lambda: dict(os.environ), _write_environment),
    _Part("the current folder", Path.cwd),
    _Part("sys.path", lambda: list(sys.path)),
    _Part("the warning filters", lambda: list(warnings.filters)),
    _Part("Python's random state", random.getstate, random.setstate),
    _Part("numpy's random state", _read_numpy_random, _write_numpy_random),
    _Part(
        "numpy's treatment of errors",
        np.geterr,
        lambda errors: np.seterr(**errors),
        {"divide": "warn", "over": "warn", "under": "warn", "invalid": "warn"},
    ),
    _Part(
        "numpy's print options",
        np.get_printoptions,
        lambda options: np.set_printoptions(**options),
        {**np.get_printoptions(), "edgeitems": 4},
    ),
    _Part(
        "garbage collection",
        lambda: (gc.isenabled(), gc.get_threshold()),
        _write_collection,
        (True, (701, 11, 11)),
    ),
    _Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, 3017),
    _Part("the switch interval", sys.getswitchinterval, sys.setswitchinterval, 0.00390625),
    _Part(
        "the longest integer that is converted",
        sys.get_int_max_str_digits,
        sys.set_int_max_str_digits,
        5017,
    ),
    _Part(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda name: locale.setlocale(locale.LC_ALL, name),
        "C.UTF-8",
    ),
    _Part(
        "the level of logging",
        lambda: (logging.getLogger().level, logging.root.manager.disable),
        _set_levels,
        (37, 3),
    ),
    _Part("the root logger's handlers", lambda: list(logging.getLogger().handlers)),
    _Part("the default time limit of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Part(
        "the precision of decimal numbers",
        lambda: decimal.getcontext().prec,
        lambda digits: setattr(decimal.getcontext(), "prec", digits),
        29,
    ),
    _Part("the temporary folder", lambda: tempfile.tempdir),
    _Part("sys.stdout or sys.stderr", lambda: (id(sys.stdout), id(sys.stderr))),
    _Part(
        "a hook of the interpreter",
        lambda: [
            id(hook)
            for hook in (
                sys.excepthook,
                sys.unraisablehook,
                sys.displayhook,
                sys.getprofile(),
                sys.gettrace(),
                threading.excepthook,
            )
        ],
    ),
    _Part(
        "a function of the standard library",
        lambda: [
            id(function)
            for function in (
                *(getattr(builtins, name) for name in ("__import__", "open", "print")),
                *(getattr(time, name) for name in ("perf_counter", "perf_counter_ns", "sleep")),
                *(getattr(os, name) for name in ("cpu_count", "getenv", "getpid")),
            )
        ],
    ),
    _Part("the functions to call at exit", atexit._ncallbacks),
    _Part("the treatment of subnormal numbers", _subnormals),
)


def _posix_parts() -> Iterator[_Part]:
    import resource  # not on Windows

    def read_mask() -> int:
        mask = os.umask(0o077)
        os.umask(mask)
        return mask

    yield _Part("the umask", read_mask, os.umask, 0o027)
    yield _Part("the priority", lambda: os.getpriority(os.PRIO_PROCESS, 0))
    if hasattr(os, "sched_setaffinity"):
        yield _Part(
            "the processors to run on",
            lambda: os.sched_getaffinity(0),
            lambda processors: os.sched_setaffinity(0, processors),
        )
    for name in ("AS", "CORE", "CPU", "DATA", "FSIZE", "NOFILE", "STACK"):
        number = getattr(resource, f"RLIMIT_{name}")
        yield _Part(
            f"the limit {name} of the process",
            lambda number=number: resource.getrlimit(number),  # type: ignore[misc]
            lambda limit, number=number: resource.setrlimit(number, limit),  # type: ignore[misc]
        )


def _ignore_signal(*_: object) -> None:
    """Stand in for a handler of the user's."""


def _signal_parts() -> Iterator[_Part]:
    in_main = threading.current_thread() is threading.main_thread()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE"):
        number = getattr(signal, name, None)  # on Windows, only the first two exist
        if number is None:
            continue
        settable = in_main and signal.getsignal(number) is not None and name != "SIGPIPE"
        yield _Part(
            f"the handler of {name}",
            lambda number=number: signal.getsignal(number),  # type: ignore[misc]
            (lambda handler, number=number: signal.signal(number, handler)) if settable else None,  # type: ignore[misc]
            _ignore_signal if settable else None,
        )


def _torch_state() -> dict[str, object]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    return {
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's default type": torch.get_default_dtype(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
    }
