"""Do worker processes run calls, and are their failures contained and reported?"""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from lexer_core.errors import (
    DeviceUnavailableError,
    RemoteError,
    WorkerDiedError,
    WorkerError,
    WorkerTimeoutError,
)
from lexer_core.records import CallInputs, CallStructure, TensorRef
from lexer_core.worker.process import WorkerProcess
from lexer_core.worker.transport import LOOPBACK, LoopbackListener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tests Linux features")

LONG = 30.0  # seconds, so that a failing test does not hang
TOYS = str(Path(__file__).parent)


@pytest.fixture
def start():
    """Start workers that host a Toy, and check that none is left behind."""
    workers = []

    def start_one(factory="hosted_toys:Toy", *, label="toy", **settings):
        worker = WorkerProcess.start(factory, label=label, sys_path=[*sys.path, TOYS], **settings)
        workers.append(worker)
        return worker

    yield start_one
    for worker in workers:
        worker.close()
    assert not [worker for worker in workers if psutil.pid_exists(worker.pid)]


def wait_until(condition, what):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        time.sleep(0.005)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# Calls


def test_a_method_runs_in_another_process(start):
    worker = start()

    assert worker.call("echo", 3, timeout=LONG) == 3
    assert worker.call("echo", 3, unit="ms", timeout=LONG) == (3, {"unit": "ms"})
    assert worker.call("look_around", timeout=LONG)["pid"] == worker.pid != os.getpid()


def test_a_timeout_may_be_longer_than_the_system_can_wait(start):
    assert start().call("echo", 1, timeout=1e300) == 1


def test_large_arrays_arrive_unchanged_and_writable(start):
    array = np.random.default_rng(1).random(50 * 2**17)

    back = start().call("echo", {"big": array, "small": array[:3]}, timeout=LONG)

    assert np.array_equal(back["big"], array)
    assert np.array_equal(back["small"], array[:3])
    back["big"][0] = 2.0
    assert array[0] != 2.0


def test_arrays_of_any_memory_layout_arrive_unchanged(start):
    worker = start()
    plain = np.arange(60_000.0).reshape(200, 300)

    for array in (
        plain,
        plain.T,
        plain[::2, ::3],
        np.asfortranarray(plain),
        plain[:0],
        plain[0, 0, ...],
    ):
        back = worker.call("echo", array, timeout=LONG)
        assert np.array_equal(back, array)
        assert back.shape == array.shape
        assert back.dtype == array.dtype


def test_the_structure_of_a_call_may_be_of_a_class_that_the_worker_cannot_import(start):
    class Question(NamedTuple):
        x: object

    structure = CallStructure(args=(Question(TensorRef("x")),))

    inputs = start().call("echo", CallInputs(arrays={"x": 1}, structure=structure), timeout=LONG)

    assert inputs["arrays"] == {"x": 1}
    # The parent cannot look into what a worker returned, but another worker can.
    assert inputs["structure"].args == ()
    names = start().call("names_of_structure", inputs["structure"], timeout=LONG)
    assert names == ("Question", "x")


def test_a_worker_has_the_parents_path_folder_and_variables_and_empty_input(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")

    seen = start(environment={"OMP_NUM_THREADS": "3"}).call("look_around", timeout=LONG)

    assert seen["sys_path"] == [*sys.path, TOYS]
    assert seen["cwd"] == str(Path.cwd())
    assert seen["environment"]["OMP_NUM_THREADS"] == "3"
    assert seen["environment"]["PYTHONPATH"] == "/nowhere"
    assert seen["stdin"] == ""


def test_a_worker_has_no_pythonpath_if_the_parent_has_none(start, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert "PYTHONPATH" not in start().call("look_around", timeout=LONG)["environment"]


def test_a_file_in_the_current_folder_does_not_shadow_a_standard_module(
    start, tmp_path, monkeypatch
):
    (tmp_path / "socket.py").write_text("raise SystemExit('the wrong socket')")
    monkeypatch.chdir(tmp_path)

    assert start().call("echo", 1, timeout=LONG) == 1


def test_nothing_slow_is_imported_before_it_is_needed(start):
    modules = set(start().call("modules", timeout=LONG))

    assert not modules & {"numpy", "torch", "onnxruntime", "psutil", "attrs", "click", "scipy"}


def test_the_users_main_is_not_imported_again(start):
    assert start().call("main_file", timeout=LONG) == "lexer_core.worker.main"


def test_modules_are_preloaded_and_failing_imports_are_noted(start):
    worker = start(preload=["json.tool", "no_such_module"])

    assert "json.tool" in worker.call("modules", timeout=LONG)
    assert any("no_such_module could not be imported" in note for note in worker.notes)


def test_sending_large_arguments_to_a_busy_worker_times_out_and_is_completed_later(start, tmp_path):
    worker = start()
    worker.call("echo", 1, timeout=LONG)
    array = np.ones(4_000_000)  # does not fit in the socket's buffer
    with pytest.raises(WorkerTimeoutError):
        worker.call("wait_for_signal", str(tmp_path / "waiting"), timeout=0.01)

    with pytest.raises(WorkerTimeoutError, match=r"'wait_for_signal' within 0\.05 s"):
        worker.call("total", array, timeout=0.05)
    wait_until((tmp_path / "waiting").exists, "the worker waits")
    os.kill(worker.pid, signal.SIGUSR1)

    assert worker.call("total", array, timeout=LONG) == 4_000_000.0


def test_a_worker_is_pinned_before_it_starts_threads(start):
    cpu = min(os.sched_getaffinity(0))
    worker = start(cpus=[cpu])

    assert worker.call("cpus_of_a_new_thread", timeout=LONG) == {cpu}


def test_a_worker_that_cannot_be_pinned_works_and_has_a_note(start):
    worker = start(cpus=[100_000])

    assert worker.call("echo", 1, timeout=LONG) == 1
    assert any("could not be pinned" in note for note in worker.notes)


def test_peak_memory_is_that_of_the_worker(start):
    hoard = np.ones(12_500_000)  # 100 MB in the parent do not count
    worker = start()
    worker.call("echo", 1, timeout=LONG)
    before = worker.peak_memory_bytes
    worker.call("echo", hoard, timeout=LONG)
    after = worker.peak_memory_bytes
    worker.close()

    assert before < 60e6
    assert after > before + 95e6
    assert worker.peak_memory_bytes >= after


# Exceptions of the hosted object


def test_a_lexer_error_arrives_as_itself(start):
    worker = start()

    with pytest.raises(DeviceUnavailableError) as caught:
        worker.call("raise_lexer_error", timeout=LONG)

    assert (caught.value.message, caught.value.engine) == ("there is no cuda:7", "toy")
    assert caught.value.hint == "Take the CPU."
    assert any("raise_lexer_error" in note for note in caught.value.__notes__)
    assert worker.call("echo", 1, timeout=LONG) == 1


def test_a_plugins_own_lexer_error_arrives_as_the_one_it_derives_from(start):
    worker = start()

    with pytest.raises(DeviceUnavailableError) as caught:
        worker.call("raise_own_lexer_error", timeout=LONG)

    assert type(caught.value) is DeviceUnavailableError
    assert caught.value.message == "known only here"
    assert any("LocalError" in note for note in caught.value.__notes__)
    assert worker.call("echo", 1, timeout=LONG) == 1


def test_any_other_exception_arrives_as_text(start):
    with pytest.raises(RemoteError, match="'raise_value_error' raised ValueError: first line") as c:
        start().call("raise_value_error", timeout=LONG)

    assert c.value.type_name == "ValueError"
    assert c.value.remote_message == "first line\nsecond line"
    assert 'raise ValueError("first line' in c.value.traceback


@pytest.mark.parametrize(
    ("method", "type_name"),
    [
        ("raise_strange", "hosted_toys.StrangeError"),
        ("leave", "SystemExit"),
        ("raise_memory_error", "MemoryError"),
        ("no_such_method", "AttributeError"),
    ],
)
def test_a_worker_continues_after_any_exception(start, method, type_name):
    worker = start()

    with pytest.raises(RemoteError) as caught:
        worker.call(method, timeout=LONG)

    assert caught.value.type_name.endswith(type_name)
    assert worker.call("echo", 1, timeout=LONG) == 1


@pytest.mark.parametrize(
    ("factory", "type_name"),
    [
        ("hosted_toys:broken_factory", "ValueError"),
        ("hosted_toys:Nothing", "AttributeError"),
        ("no_such_module:Toy", "ModuleNotFoundError"),
    ],
)
def test_an_object_that_cannot_be_created_fails_the_first_call(start, factory, type_name):
    with pytest.raises(RemoteError) as caught:
        start(factory).call("echo", 1, timeout=LONG)

    assert caught.value.type_name == type_name


def test_a_result_that_cannot_be_sent_fails_only_its_call(start):
    worker = start()

    with pytest.raises(RemoteError, match=r"of 'unpicklable' \(function\) cannot be sent"):
        worker.call("unpicklable", timeout=LONG)
    with pytest.raises(RemoteError, match=r"of 'unreadable' \(Unreadable\) cannot be sent"):
        worker.call("unreadable", timeout=LONG)
    assert worker.call("echo", 1, timeout=LONG) == 1


def test_an_argument_that_cannot_be_sent_fails_only_its_call(start):
    worker = start()

    with pytest.raises(WorkerError, match="arguments of 'echo' cannot be sent"):
        worker.call("echo", lambda: None, timeout=LONG)
    assert worker.call("echo", 1, timeout=LONG) == 1


def test_an_argument_that_the_worker_cannot_read_fails_only_its_call(start):
    import hosted_toys

    worker = start()

    with pytest.raises(RemoteError, match="invalid literal"):
        worker.call("echo", hosted_toys.Unreadable(), timeout=LONG)
    assert worker.call("echo", 1, timeout=LONG) == 1


def test_an_invalid_reply_is_an_error_and_kills_the_worker(start):
    worker = start("hosted_toys:InvalidReply")

    with pytest.raises(WorkerError, match="sent an invalid message in 'write'"):
        worker.call("write", timeout=LONG)
    with pytest.raises(WorkerError, match="sent an invalid message"):
        worker.call("write", timeout=LONG)
    assert not worker.alive


def test_a_note_with_the_number_of_a_call_is_not_its_reply(start):
    assert start("hosted_toys:InvalidReply").call("write_note", timeout=LONG) == "the reply"


# Workers that die


def test_a_segmentation_fault_is_reported_with_the_output_before_it(start):
    worker = start(label="ort-basic")

    with pytest.raises(WorkerDiedError, match="'ort-basic' died in 'segfault'") as caught:
        worker.call("segfault", timeout=LONG)

    assert caught.value.signal_name == "SIGSEGV"
    assert caught.value.cause == "signal"
    assert caught.value.reason == "killed by SIGSEGV (segmentation fault)"
    assert "about to crash" in caught.value.log
    # The fault handler's location.
    assert re.search(r"hosted_toys\.py\", line \d+ in segfault", caught.value.log)
    assert "in segfault" in caught.value.hint
    assert not worker.alive
    assert worker.exit_description == caught.value.reason


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGSEGV"])
def test_a_signal_is_reported_by_name(start, name):
    with pytest.raises(WorkerDiedError, match=name) as caught:
        start().call("kill_self", name, timeout=LONG)

    assert (caught.value.signal_name, caught.value.exit_code) == (name, None)


def test_an_exit_code_is_reported(start):
    with pytest.raises(WorkerDiedError, match="exit code 3") as caught:
        start().call("leave_at_once", 3, timeout=LONG)

    assert (caught.value.cause, caught.value.exit_code) == ("exit", 3)


def test_every_call_to_a_dead_worker_reports_its_end(start):
    worker = start()
    with pytest.raises(WorkerDiedError):
        worker.call("leave_at_once", 0, timeout=LONG)

    with pytest.raises(WorkerDiedError, match="exit code 0"):
        worker.call("echo", 1, timeout=LONG)


def test_a_worker_that_dies_in_an_import_names_the_module(tmp_path):
    (tmp_path / "deadly.py").write_text("import os; os._exit(5)")
    worker = WorkerProcess.start(
        "hosted_toys:Toy", label="toy", sys_path=[*sys.path, str(tmp_path)], preload=["deadly"]
    )

    with worker, pytest.raises(WorkerDiedError, match=r"died in 'import of deadly': exit code 5"):
        worker.call("echo", 1, timeout=LONG)


def test_an_invalid_interpreter_is_an_error(start, tmp_path):
    with pytest.raises(WorkerError, match="could not be started"):
        start(python=str(tmp_path / "python"))
    with pytest.raises(WorkerDiedError, match="'start': exit code"):
        start(python="/bin/false").call("echo", 1, timeout=LONG)


def test_exceeding_the_memory_limit_is_reported(start):
    worker = start(memory_limit_bytes=200 << 20)

    with pytest.raises(WorkerDiedError, match="died in 'hoard': memory limit exceeded") as caught:
        worker.call("hoard", 800, timeout=LONG)

    assert caught.value.cause == "memory_limit"
    assert "200 MiB allowed" in caught.value.reason
    assert worker.peak_memory_bytes > 200 << 20


def test_a_sigkill_when_memory_runs_out_is_reported_as_out_of_memory(start, monkeypatch):
    counts = iter([4, 5])
    monkeypatch.setattr("lexer_core.machine.memory.oom_kills", lambda: next(counts))

    with pytest.raises(WorkerDiedError, match="out of memory") as caught:
        start().call("kill_self", "SIGKILL", timeout=LONG)

    assert caught.value.cause == "out_of_memory"
    assert caught.value.hint


def test_the_kernel_kills_a_worker_before_its_parent(start):
    worker = start()
    worker.call("echo", 1, timeout=LONG)

    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{worker.pid}/oom_score_adj").read_text()) >= max(own, 800)


# Workers that hang


def test_a_late_reply_is_not_taken_for_the_next_one(start):
    worker = start()
    worker.call("echo", 0, timeout=LONG)

    with pytest.raises(WorkerTimeoutError, match=r"'sleep' within 0\.05 s") as caught:
        worker.call("sleep", 0.3, timeout=0.05)

    assert (caught.value.method, caught.value.seconds) == ("sleep", 0.05)
    assert worker.alive
    assert worker.call("echo", "next", timeout=LONG) == "next"


def test_a_worker_that_stopped_itself_times_out_and_can_be_closed(start):
    worker = start()

    with pytest.raises(WorkerTimeoutError):
        worker.call("kill_self", "SIGSTOP", timeout=0.5)
    worker.close()

    assert gone(worker.pid)


def test_a_hang_in_an_import_names_the_module(start):
    worker = start(preload=["slow_to_import"])
    wait_until(lambda: is_importing(worker), "the worker imports the module")

    with pytest.raises(WorkerTimeoutError, match=r"'import of slow_to_import' within 0\.1 s"):
        worker.call("echo", 1, timeout=0.1)


def is_importing(worker):
    with pytest.raises(WorkerTimeoutError) as caught:
        worker.call("echo", 1, timeout=0.05)
    return "import" in caught.value.method


# Output


def test_the_log_has_the_output_of_python_native_code_and_child_processes(start, capfd):
    worker = start()

    worker.call("open_and_print", os.devnull, "hello", timeout=LONG)
    worker.call("print_in_child", "from a child", timeout=LONG)

    assert set(worker.log_tail().splitlines()) == {"hello", "raw hello", "from a child"}
    worker.close()
    assert "from a child" in worker.log_tail()
    assert capfd.readouterr() == ("", "")


def log_file(worker):
    """The worker's log, which has no name of its own."""
    return Path(f"/proc/{worker.pid}/fd/1")


def test_megabytes_of_output_neither_block_the_worker_nor_fill_the_disk(start):
    worker = start()

    assert worker.call("write_much", 20, timeout=LONG) == 20

    assert log_file(worker).stat().st_size <= 1 << 20
    assert worker.log_tail(1) == "the end"
    note, _, rest = log_file(worker).read_text().partition("\n")
    dropped = int(re.fullmatch(r"\[\.\.\. (\d+) bytes of output dropped here \.\.\.\]", note)[1])
    assert dropped + len(rest) == (40 << 20) + len("the end\n")


def test_a_log_is_trimmed_while_no_call_waits_for_a_reply(start):
    worker = start()

    with pytest.raises(WorkerTimeoutError):
        worker.call("write_much_and_sleep", 5, timeout=0.05)
    wait_until(lambda: worker.log_tail(1) == "the end", "everything is written")

    wait_until(lambda: log_file(worker).stat().st_size <= 1 << 20, "the log is trimmed")


def test_closed_standard_descriptors_break_neither_the_connection_nor_later_calls(start, tmp_path):
    worker = start()

    assert worker.call("close_standard_streams", timeout=LONG) == "closed"
    assert worker.call("open_and_print", str(tmp_path / "file"), "still here", timeout=LONG) > 2

    assert (tmp_path / "file").read_text() == ""
    assert "raw still here" in worker.log_tail()
    assert "still here" in worker.log_tail().splitlines()


def test_closed_streams_are_reopened(start):
    worker = start()

    worker.call("close_stream_objects", timeout=LONG)
    worker.call("open_and_print", os.devnull, "again", timeout=LONG)

    assert set(worker.log_tail().splitlines()) == {"again", "raw again"}


# Suspending


def test_a_suspended_worker_does_not_run_until_it_is_resumed(start, tmp_path):
    counter = tmp_path / "counter"
    counter.write_bytes(b"0" * 20)
    worker = start()
    worker.call("count_into", str(counter), timeout=LONG)
    wait_until(lambda: int(counter.read_bytes() or 0) > 3, "the counter advances")

    worker.suspend()
    stopped = counter.read_bytes()
    time.sleep(0.1)

    assert worker.suspended
    assert counter.read_bytes() == stopped
    worker.resume()
    wait_until(lambda: counter.read_bytes() > stopped, "the counter advances again")
    assert not worker.suspended


def test_a_call_to_a_suspended_worker_is_refused(start):
    worker = start()
    worker.suspend()

    with pytest.raises(WorkerError, match="is suspended and cannot run 'echo'"):
        worker.call("echo", 1, timeout=LONG)
    worker.resume()

    assert worker.call("echo", 2, timeout=LONG) == 2


def test_a_worker_can_be_suspended_and_resumed_many_times(start):
    worker = start()

    for number in range(50):
        worker.suspend()
        worker.suspend()
        worker.resume()
        worker.resume()
        assert worker.call("echo", number, timeout=LONG) == number


def test_a_suspended_worker_can_be_closed(start, tmp_path):
    worker = start()
    worker.call("leave_trace_when_closed", str(tmp_path / "trace"), timeout=LONG)
    worker.suspend()

    worker.close()

    assert (tmp_path / "trace").read_text() == "closed"
    assert worker.exit_description == "exit code 0"


# Closing


def test_closing_twice_closes_the_hosted_object_once(start, tmp_path):
    with start() as worker:
        worker.call("leave_trace_when_closed", str(tmp_path / "trace"), timeout=LONG)
        assert worker.alive
    worker.close()

    assert (tmp_path / "trace").read_text() == "closed"
    assert not worker.alive
    with pytest.raises(WorkerError, match="is closed"):
        worker.call("echo", 1, timeout=LONG)


def test_closing_a_busy_worker_does_not_wait_for_it(start):
    worker = start()
    worker.call("echo", 1, timeout=LONG)
    with pytest.raises(WorkerTimeoutError):
        worker.call("sleep", 600, timeout=0.05)

    worker.close(timeout=600)

    assert worker.exit_description == "ended by its parent (killed by SIGTERM)"


def test_closing_ends_the_programs_that_the_worker_started(start):
    worker = start()
    sleeper = worker.call("spawn_sleeper", timeout=LONG)

    worker.close()

    wait_until(lambda: gone(sleeper), "the program is gone")


def test_a_garbage_collected_worker_is_killed():
    worker = WorkerProcess.start("hosted_toys:Toy", label="toy", sys_path=[*sys.path, TOYS])
    worker.call("echo", 1, timeout=LONG)
    pid = worker.pid

    del worker
    gc.collect()

    wait_until(lambda: gone(pid), "the worker is gone")


def test_closing_leaves_no_descriptor_open(start):
    start().close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        worker = start()
        worker.call("echo", np.ones(100_000), timeout=LONG)
        worker.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


PARENT = """
    import os, signal, sys, time
    sys.path[:0] = [{root!r}, {toys!r}]
    from lexer_core.worker.process import WorkerProcess

    worker = WorkerProcess.start("hosted_toys:Toy", label="toy")
    worker.call("echo", 1, timeout=30)
    print(worker.pid, flush=True)
    {then}
"""


def run_parent(then, **settings):
    root = str(Path(__file__).parents[1])
    script = textwrap.dedent(PARENT).format(
        root=root, toys=TOYS, then=textwrap.dedent(then).strip()
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def test_a_program_that_ends_without_closing_leaves_no_worker():
    parent = run_parent("pass")
    out, err = parent.communicate(timeout=LONG)

    assert (parent.returncode, err) == (0, "")
    wait_until(lambda: gone(int(out)), "the worker is gone")


def test_a_parent_killed_while_its_worker_is_suspended_leaves_no_worker_and_no_open_pipe():
    parent = run_parent("worker.suspend(); print('suspended', flush=True); time.sleep(600)")
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "suspended\n"
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED

    parent.kill()
    out, _ = parent.communicate(timeout=LONG)  # returns once no process holds the pipe

    assert out == ""
    wait_until(lambda: gone(pid), "the worker is gone")


def test_a_parent_killed_while_its_worker_is_busy_leaves_no_worker():
    parent = run_parent("worker.call('sleep', 600, timeout=None)")
    pid = int(parent.stdout.readline())

    parent.kill()
    parent.communicate(timeout=LONG)

    wait_until(lambda: gone(pid), "the worker is gone")


def test_a_worker_outlives_the_thread_that_started_it():
    parent = run_parent("""
import threading
started = []
def start():
    started.append(WorkerProcess.start("hosted_toys:Toy", label="of a thread"))
    started[0].call("echo", 1, timeout=30)
thread = threading.Thread(target=start)
thread.start()
thread.join()
time.sleep(0.2)
print(started[0].call("echo", "alive", timeout=30))
    """)
    out, err = parent.communicate(timeout=LONG)

    assert err == ""
    assert out.splitlines()[1] == "alive"


def test_ctrl_c_interrupts_only_the_parent_which_can_then_call_its_worker(tmp_path):
    waiting = tmp_path / "waiting"
    parent = run_parent(
        f"""
try:
    worker.call("wait_for_signal", {str(waiting)!r}, timeout=None)
except KeyboardInterrupt:
    os.kill(worker.pid, signal.SIGUSR1)
    print(worker.call("echo", "what was measured", timeout=30))
    raise SystemExit(130)
    """,
        start_new_session=True,
    )
    parent.stdout.readline()
    wait_until(waiting.exists, "the worker waits")

    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=LONG)

    assert (out, err, parent.returncode) == ("what was measured\n", "", 130)


BUSY = """
try:
    worker.call("sleep", 600, timeout=0.05)
except Exception:
    pass
"""


@pytest.mark.parametrize("doing", ["worker.suspend()\n", BUSY], ids=["suspended", "busy"])
def test_a_worker_ends_with_its_parent_even_without_a_parent_death_signal(doing, tmp_path):
    # An interpreter without ctypes cannot set the parent-death signal.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['ctypes'] = None")
    parent = run_parent(
        doing + "print(worker.notes, flush=True)\ntime.sleep(600)",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    pid = int(parent.stdout.readline())
    assert "does not end this worker with its parent" in parent.stdout.readline()

    parent.kill()
    parent.communicate(timeout=LONG)

    wait_until(lambda: gone(pid), "the worker is gone")


def test_an_interrupt_of_the_worker_does_not_end_it(start):
    worker = start()
    worker.call("echo", 1, timeout=LONG)

    os.kill(worker.pid, signal.SIGINT)

    assert worker.call("echo", 1, timeout=LONG) == 1


def test_the_end_of_a_forked_process_does_not_affect_its_parents_worker():
    parent = run_parent(
        """
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print(worker.call("echo", "alive", timeout=30))
    """,
        # Python 3.12 and later warn when a process with threads forks.
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    out, err = parent.communicate(timeout=LONG)

    assert err == ""
    assert out.splitlines()[1:] == ["alive"]


def test_the_log_explains_an_interpreter_behind_a_wrapper_script(start, tmp_path):
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nexit $?\n')
    wrapper.chmod(0o755)

    with pytest.raises(WorkerDiedError) as caught:
        start(python=str(wrapper)).call("echo", 1, timeout=LONG)

    assert "is not its parent" in caught.value.log


def test_a_program_that_ignores_sigchld_can_use_workers():
    parent = run_parent("""
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
try:
    worker.call("leave_at_once", 3, timeout=30)
except Exception as error:
    print(type(error).__name__)
    """)
    out, err = parent.communicate(timeout=LONG)

    assert err == ""
    assert out.splitlines()[1] == "WorkerDiedError"


def test_a_script_without_a_main_guard_can_start_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(PARENT).format(
            root=str(Path(__file__).parents[1]), toys=TOYS, then="worker.close()"
        )
    )

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=LONG, check=False
    )

    assert (done.returncode, done.stderr, len(done.stdout.split())) == (0, "", 1)


def test_a_worker_works_with_closed_standard_descriptors_in_the_parent():
    parent = run_parent("""
answer = os.dup(1)
for fd in range(3):
    os.close(fd)
second = WorkerProcess.start("hosted_toys:Toy", label="second")
os.write(answer, second.call("echo", b"alive", timeout=30))
    """)
    out, _ = parent.communicate(timeout=LONG)

    assert out.splitlines()[1] == "alive"


# Where descriptors cannot be inherited


def test_a_worker_can_connect_with_credentials_from_its_standard_input(start, monkeypatch):
    monkeypatch.setattr("lexer_core.worker.transport.METHOD", LOOPBACK)
    worker = start()
    array = np.arange(1_000_000.0)

    assert np.array_equal(worker.call("echo", array, timeout=LONG), array)
    assert worker.call("look_around", timeout=LONG)["stdin"] == ""
    worker.close()
    assert worker.exit_description == "exit code 0"


def test_a_worker_that_does_not_connect_is_an_error(start, monkeypatch):
    monkeypatch.setattr("lexer_core.worker.transport.METHOD", LOOPBACK)

    with pytest.raises(WorkerError, match="'toy' did not connect"):
        start(python="/bin/false")


def test_a_connection_without_the_key_is_rejected():
    listener = LoopbackListener()
    port, key = listener.credentials.split()

    def present(data):
        with socket.create_connection(("127.0.0.1", int(port))) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)

    intruder = threading.Thread(target=present, args=(b"x" * len(key),))
    intruder.start()
    worker = threading.Thread(target=lambda: (intruder.join(), present(key)))
    worker.start()
    with listener:
        accepted = listener.accept(lambda: True, LONG)
    assert accepted is not None
    assert not intruder.is_alive()
    accepted.close()
    worker.join()
