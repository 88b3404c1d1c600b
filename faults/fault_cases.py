"""Which faults are injected, and what must come of each?

A case returns what happened in a few words. It raises ``Lost`` if the row of a
healthy engine was lost, or if a run ended otherwise than documented.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fault_place import Done, Place

__all__ = ["CASES", "Case", "Lost"]

GOOD = "good=toy"
INTERRUPTED = 130
LINUX = sys.platform == "linux"


class Lost(Exception):  # noqa: N818
    """A row was lost, or a run ended otherwise than documented."""


@frozen
class Case:
    """A fault.

    Parameters
    ----------
    group, name
        What is broken, and how.
    run
        Injects it and returns what happened.
    quick
        Whether the ordinary tests inject it, too.
    """

    group: str
    name: str
    run: Callable[[Place], str]
    quick: bool = False


CASES: list[Case] = []


def case(group: str, name: str, run: Callable[[Place], str], *, quick: bool = False) -> None:
    CASES.append(Case(group, name, run, quick))


def measured(done: Done, *labels: str) -> str:
    """Return "measured" if these rows and the run are all right."""
    _require(done, not done.problems, ", ".join(done.problems))
    _require(done, done.rows is not None, f"no results (exit status {done.status})")
    assert done.rows is not None
    for label in labels or ("good",):
        _require(done, done.rows.get(label) == "ok", f"row {label!r}: {done.rows.get(label)}")
    return "measured"


def measured_or_refused(done: Done) -> str:
    """Return "measured", or the error with which Lexer refused to measure."""
    if done.rows is None and done.error and done.status in (2, 3, 4):
        _require(done, not done.problems, ", ".join(done.problems))
        return f"refused: {done.error}"
    return measured(done)


def _require(done: Done, holds: bool, otherwise: str) -> None:
    if not holds:
        end = "\n".join(f"    | {line}" for line in done.text.splitlines()[-12:])
        raise Lost(f"{otherwise}\n{end}")


# -- one engine among others ---------------------------------------------------------


def faulty_engine(fault: str) -> Callable[[Place], str]:
    def run(place: Place) -> str:
        options = ("--load-timeout", "5", "--call-timeout", "2", "--memory-limit-mb", "400")
        engines = (f"bad=toy[fault={fault}]", GOOD)
        done = place.benchmark(*options, engines=engines)
        measured(done, "good")
        assert done.rows is not None
        return f"its own row {done.rows['bad']}, the other measured"

    return run


for fault in [
    "raise_in_load",
    "segv_in_load",
    "exit_in_load",
    "kill_in_load",
    "hang_in_load",
    "hog_in_load",
    "chatter_in_load",
    "closefds_in_load",
    "litter_in_load",
    "raise_in_place",
    "segv_in_place",
    "hang_in_place",
    "segv_in_call",
    "kill_in_call",
    "exit_in_call",
    "hang_in_call",
    "hog_in_call",
    "litter_in_call",
    "raise_in_fetch",
    "segv_in_fetch",
    "hang_in_fetch",
    "raise_in_time",
    "segv_in_placement",
    "none_from_create_session",
    "none_from_fetch",
    "wrong_type",
    "wrong_name",
    "wrong",
    "nan",
    "negative_times",
    "too_few_times",
    "async",
]:
    quick = fault in ("segv_in_load", "litter_in_load", "kill_in_call")
    case("an engine", fault.replace("_", " "), faulty_engine(fault), quick=quick)


def failing_export(engine: str) -> Callable[[Place], str]:
    def run(place: Place) -> str:
        options = ("--load-timeout", "6", "--no-cache")
        done = place.benchmark(*options, engines=(engine, GOOD))
        measured(done, "good")
        assert done.rows is not None
        return f"its own row {done.rows[engine]}, the other measured"

    return run


for engine in ("segv_in_export", "exit_in_export", "hang_in_export"):
    case("an engine", engine.replace("_", " "), failing_export(engine))


_NET = "import torch\n\n\ndef net():\n    torch.manual_seed(0)\n    return torch.nn.Linear(3, 4)\n"
_EXPORT = ("export", "net.py:net", "--input", "input=float32[2,3]")


def _exports_torch() -> bool:
    probe = [sys.executable, "-c", "import torch, onnxruntime, lexer_ort"]
    return not subprocess.run(probe, check=False, capture_output=True).returncode


def export_to_file(place: Place) -> str:
    """Export with the faulty exporters, which are asked before and after the right one."""
    if not _exports_torch():
        return "skipped: it needs torch and lexer-ort"
    (place.folder / "net.py").write_text(_NET, encoding="utf-8")
    done = place.run(*_EXPORT, "-o", "net.onnx", environment={"LEXER_LOAD_TIMEOUT": "30"})
    _require(done, not done.problems, ", ".join(done.problems))
    _require(done, (place.folder / "net.onnx").is_file(), "no file")
    for engine in ("exit_in_export", "hang_in_export"):
        _require(done, f"{engine!r} was left out" in done.text, f"nothing is said of {engine}")
    return "the next engine asked, the file written"


case("an engine", "exporters that exit and hang, before lexer export", export_to_file)


def interrupted_tuning(place: Place) -> str:
    """Press Ctrl-C before anything is measured; an earlier file must stay."""
    earlier = place.folder / "tuned.lexer"
    earlier.write_bytes(b"an earlier tuning")

    def press(process: subprocess.Popen[str]) -> None:
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGINT)

    command = ("tune", str(place.model), "--input", "x=float32[2,3]", "--engine", "toy")
    done = place.run(*command, "--vary", "toy.work=1,2", "-o", str(earlier), during=press)
    _require(done, not done.problems, ", ".join(done.problems))
    _require(done, done.status == INTERRUPTED, f"exit status {done.status}")
    _require(done, earlier.read_bytes() == b"an earlier tuning", "the earlier file is lost")
    return "exit status 130, the earlier file kept"


# -- limits and environment -----------------------------------------------------------


def with_shell(shell: str, *options: str, refusable: bool = True) -> Callable[[Place], str]:
    def run(place: Place) -> str:
        done = place.benchmark(*options, shell=shell)
        return measured_or_refused(done) if refusable else measured(done)

    return run


def with_variables(**variables: str | None) -> Callable[[Place], str]:
    return lambda place: measured(place.benchmark(environment=variables))


for count in (16, 24, 32, 40, 48, 64, 80, 96, 105, 128):
    shell = f'ulimit -n {count}; exec "$@"'
    case("limits", f"ulimit -n {count}", with_shell(shell), quick=count == 32)
case("limits", "ulimit -f 8 (files of at most 8 KiB)", with_shell('ulimit -f 8; exec "$@"'))
case("limits", "ulimit -v 400000", with_shell('ulimit -v 400000; exec "$@"'))
case("limits", "ulimit -s 256", with_shell('ulimit -s 256; exec "$@"'))
for limit in ("1", "20", "200"):
    case(
        "limits",
        f"--memory-limit-mb {limit}",
        lambda place, limit=limit: rows_or_refused(place.benchmark("--memory-limit-mb", limit)),
    )


def rows_or_refused(done: Done) -> str:
    """Accept rows that failed for a reason: the limit is for all."""
    _require(done, not done.problems, ", ".join(done.problems))
    if done.rows is None:
        _require(done, bool(done.error), "no results and no error")
        return f"refused: {done.error}"
    return ", ".join(f"row {status}" for status in done.rows.values())


case("environment", "no HOME", with_variables(HOME=None), quick=True)
case("environment", "HOME does not exist", with_variables(HOME="/nonexistent/home"))
case("environment", "LEXER_CACHE_DIR=~/x", with_variables(LEXER_CACHE_DIR="~/x"))
case("environment", "OMP_NUM_THREADS=rubbish", with_variables(OMP_NUM_THREADS="many!"))
case("environment", "MKL_NUM_THREADS=-1", with_variables(MKL_NUM_THREADS="-1"))
case(
    "environment",
    "LC_ALL=C, no UTF-8",
    with_variables(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
)
case("environment", "PYTHONIOENCODING=ascii", with_variables(PYTHONIOENCODING="ascii"))
case(
    "environment",
    "LANG that is not text",
    with_shell("export LANG=$'\\xff\\xfe' LC_ALL=$'\\xff'; exec \"$@\"", refusable=False),
    quick=True,
)
case("environment", "PYTHONOPTIMIZE=2", with_variables(PYTHONOPTIMIZE="2"))
case("environment", "PYTHONWARNINGS=error", with_variables(PYTHONWARNINGS="error"))
case("environment", "PYTHONSAFEPATH=1", with_variables(PYTHONSAFEPATH="1"))
case("environment", "an empty PATH", with_variables(PATH=""))
case(
    "environment",
    "SIGCHLD, SIGPIPE and SIGHUP ignored",
    with_shell("trap '' CHLD PIPE HUP; exec \"$@\"", refusable=False),
)
case(
    "environment",
    "the current folder was deleted",
    with_shell('mkdir gone; cd gone; rmdir ../gone; exec "$@"', refusable=False),
    quick=True,
)


# -- files ----------------------------------------------------------------------------


def with_tmpfs(options: str, variable: str = "TMPDIR") -> Callable[[Place], str]:
    """Mount a file system with these options on the folder that a variable names."""
    mount = f'mount -t tmpfs -o {options} none "${variable}" && exec "$@"'
    shell = f"exec unshare -m bash -c '{mount}' bash \"$@\""

    def run(place: Place) -> str:
        if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
            return "skipped: it needs a mount"
        return measured_or_refused(place.benchmark(shell=shell))

    return run


if LINUX:
    for size in ("4k", "64k", "1m,nr_inodes=2", "1m,nr_inodes=6"):
        case("files", f"a temporary folder of {size}", with_tmpfs(f"size={size}"))
    case("files", "a read-only temporary folder", with_tmpfs("ro"))
    case("files", "a read-only cache", with_tmpfs("ro", "LEXER_CACHE_DIR"))
    case("files", "a cache that cannot be created", with_variables(LEXER_CACHE_DIR="/proc/x"))
case("files", "a temporary folder that does not exist", with_variables(TMPDIR="/nonexistent/tmp"))
case(
    "files",
    "the temporary folder is deleted during the run",
    lambda place: other_rows_say_why(
        place.benchmark(engines=("bad=toy[fault=delete_in_load]", GOOD))
    ),
    quick=True,
)


def other_rows_say_why(done: Done) -> str:
    _require(done, not done.problems, ", ".join(done.problems))
    _require(done, done.rows is not None, "no results")
    assert done.rows is not None
    _require(done, set(done.rows) == {"bad", "good"}, f"rows {list(done.rows)}")
    return ", ".join(f"{label} {status}" for label, status in done.rows.items())


# -- sizes ----------------------------------------------------------------------------


def many_cases(place: Place) -> str:
    labels = [f"case {number}" for number in range(64)]
    done = place.benchmark(engines=[f"{label}=toy" for label in labels])
    measured(done, *labels)
    return "64 rows measured"


def many_samples(place: Place) -> str:
    options = ("--iterations", "2000000", "--warm-up-seconds", "0.05", "--no-canary")
    done = place.benchmark(*options, engines=("good=toy[fault=fast]",), short=False)
    measured(done)
    return "measured"


def shared_cold_cache(place: Place) -> str:
    """Ten processes export the same model at once."""
    if not _exports_torch():
        return "skipped: it needs torch and lexer-ort"
    (place.folder / "net.py").write_text(_NET, encoding="utf-8")
    one = '"$@" -o out$i.onnx > log$i 2>&1 &'
    shell = (
        f"for i in 1 2 3 4 5 6 7 8 9 10; do {one} done; "
        'for job in $(jobs -p); do wait "$job" || { cat log*; exit 70; }; done'
    )
    # Without the faulty engines, each of which an export would wait for.
    done = place.run(*_EXPORT, shell=shell, environment={"PYTHONPATH": None})
    _require(done, not done.problems, ", ".join(done.problems))
    files = {path.read_bytes() for path in place.folder.glob("out*.onnx")}
    written = len(list(place.folder.glob("out*.onnx")))
    _require(done, written == 10, f"{written} of 10 files written")
    return f"10 files written, {len(files)} different"


case("sizes", "64 cases in one table", many_cases)
case("sizes", "2 million samples", many_samples)
case("sizes", "ten exports share a cold cache", shared_cold_cache)


# -- streams --------------------------------------------------------------------------


def streams(redirections: str, status: Sequence[int]) -> Callable[[Place], str]:
    def run(place: Place) -> str:
        done = place.benchmark(shell=f'set -o pipefail; "$@" {redirections}')
        measured(done)
        _require(done, done.status in status, f"exit status {done.status}")
        return f"measured and written, exit status {done.status}"

    return run


for redirections, statuses in {
    "1>&-": (0,),
    "2>&-": (0,),
    "0<&- 1>&- 2>&-": (0,),
    "1>/dev/full": (2,),
    "2>/dev/full": (0,),
    "1>/dev/full 2>/dev/full": (2,),
    "| head -1": (0,),
    "| true": (0,),
}.items():
    if LINUX or "/dev/full" not in redirections:
        case("streams", redirections, streams(redirections, statuses))


# -- signals --------------------------------------------------------------------------

PAUSES = (
    "pause_in_export",
    "toy[fault=pause_in_load]",
    "toy[fault=pause_in_place]",
    "toy[fault=pause_in_call]",
    "toy[fault=pause_in_placement]",
)
"""Engines that pause in a phase: export, load, first call, warm-up, and after the rounds."""

MEASURING = "measuring"


def _until(place: Place, process: subprocess.Popen[str], phase: str) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if phase in place.printed() if phase == MEASURING else place.reached:
            return
        time.sleep(0.01)


def _named(phase: str) -> str:
    return phase.removeprefix("toy[fault=").removesuffix("]").replace("pause_in_", "in ")


def pressed(when: float | str, gap: float | None) -> Callable[[Place], str]:
    """Press Ctrl-C some seconds after the start or in a phase, and again after a gap."""

    def run(place: Place) -> str:
        def press(process: subprocess.Popen[str]) -> None:
            if isinstance(when, str):
                _until(place, process, when)
            else:
                time.sleep(when)
            for pause in (0.0,) if gap is None else (0.0, gap):
                time.sleep(pause)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)

        pausing = [f"pausing={when}"] if when in PAUSES[1:] else [when] if when in PAUSES else []
        rounds = "20" if when == PAUSES[-1] else "100000"
        done = place.benchmark(
            *("--rounds", rounds, "--warm-up-seconds", "0.5", "--no-canary"),
            engines=(*pausing, GOOD, "other=toy"),  # the first one is asked to export
            short=False,
            during=press,
        )
        _require(done, not done.problems, ", ".join(done.problems))
        _require(done, done.status == INTERRUPTED, f"exit status {done.status}")
        if done.rows is None:
            _require(done, "failed" not in done.text, "a row is called failed")
            return "exit status 130, nothing measured"
        states = sorted(set(done.rows.values()))
        _require(done, set(states) <= {"ok", "interrupted"}, f"rows {states}")
        return f"exit status 130, rows {' and '.join(states)}"

    return run


for seconds in (0.15, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.0):
    for gap in (None, 0.3):
        again = "" if gap is None else f", again after {gap} s"
        case("Ctrl-C", f"{seconds} s after the start{again}", pressed(seconds, gap))
for phase in (*PAUSES, MEASURING):
    for gap in (None, 0.2, 0.5):
        again = "" if gap is None else f", again after {gap} s"
        quick = phase == PAUSES[1] and gap == 0.5
        case("Ctrl-C", f"{_named(phase)}{again}", pressed(phase, gap), quick=quick)


case("Ctrl-C", "a tuning, 1.5 s after the start", interrupted_tuning)


def signalled(name: str, phase: str) -> Callable[[Place], str]:
    def run(place: Place) -> str:
        number = getattr(signal, name)

        def send(process: subprocess.Popen[str]) -> None:
            _until(place, process, phase)
            process.send_signal(number)

        pausing = ["pausing=" + phase] if phase in PAUSES else []
        done = place.benchmark(
            *("--rounds", "100000", "--warm-up-seconds", "0.5", "--no-canary"),
            engines=("bad=toy[fault=litter_in_load]", *pausing, GOOD),
            short=False,
            during=send,
        )
        _require(done, done.status == -number, f"exit status {done.status}")
        _require(done, not done.left, f"left behind: {', '.join(done.left)}")
        return f"ended by {name}, nothing left behind"

    return run


for name in ("SIGTERM", "SIGHUP", "SIGKILL"):
    for phase in (*PAUSES[1:4], MEASURING):
        case("signals", f"{name}, {_named(phase)}", signalled(name, phase))
