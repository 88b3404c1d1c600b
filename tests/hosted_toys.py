"""Objects that tests host in worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from lexer_core.errors import DeviceUnavailableError


class StrangeError(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


class Unreadable:
    """Can be pickled, but unpickling it runs code, which fails."""

    def __reduce__(self):
        return (int, ("not a number",))


class Toy:
    def __init__(self):
        self.closed_file = None

    def echo(self, value, **more):
        return (value, more) if more else value

    def total(self, array):
        return float(array.sum())

    def modules(self):
        return sorted(sys.modules)

    def main_file(self):
        return sys.modules["__main__"].__spec__.name

    def look_around(self):
        return {
            "sys_path": list(sys.path),
            "cwd": str(Path.cwd()),
            "environment": dict(os.environ),
            "stdin": sys.stdin.read(),
            "pid": os.getpid(),
        }

    def cpus_of_a_new_thread(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
        return seen[0]

    def raise_lexer_error(self):
        raise DeviceUnavailableError("there is no cuda:7", engine="toy", hint="Take the CPU.")

    def raise_own_lexer_error(self):
        class LocalError(DeviceUnavailableError):
            pass

        raise LocalError("known only here")

    def names_of_structure(self, structure):
        (argument,) = structure.args
        return type(argument).__name__, argument.x.name

    def raise_value_error(self):
        raise ValueError("first line\nsecond line")

    def raise_strange(self):
        raise StrangeError

    def raise_memory_error(self):
        return bytearray(1 << 62)

    def leave(self):
        sys.exit(4)

    def leave_at_once(self, code):
        os._exit(code)

    def segfault(self):
        print("about to crash", flush=True)
        import ctypes  # some workers in these tests have none

        ctypes.string_at(0)

    def kill_self(self, name):
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(60)

    def sleep(self, seconds):
        time.sleep(seconds)
        return seconds

    def wait_for_signal(self, path):
        """Touch a file, and wait for SIGUSR1."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        Path(path).touch()
        signal.sigwait({signal.SIGUSR1})
        return "signalled"

    def unpicklable(self):
        return lambda: None

    def unreadable(self):
        return Unreadable()

    def write_much(self, megabytes):
        line = b"x" * 1023 + b"\n"
        for _ in range(megabytes * 1024):
            os.write(1, line)
            os.write(2, line)
        print("the end")
        return megabytes

    def write_much_and_sleep(self, megabytes):
        self.write_much(megabytes)
        time.sleep(600)

    def close_standard_streams(self):
        for fd in range(3):
            os.close(fd)
        return "closed"

    def close_stream_objects(self):
        sys.stdout.close()
        sys.stderr.close()

    def open_and_print(self, path, text):
        with Path(path).open("w") as file:
            print(text)
            os.write(1, b"raw " + text.encode() + b"\n")
            return file.fileno()

    def print_in_child(self, text):
        subprocess.run([sys.executable, "-c", f"print({text!r})"], check=True)

    def spawn_sleeper(self):
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid

    def hoard(self, megabytes):
        kept = []
        for _ in range(megabytes // 8):
            kept.append(b"\1" * (8 << 20))
            time.sleep(0.002)
        time.sleep(60)

    def count_into(self, path):
        """Count in a file, in a thread that goes on after this call."""

        def count():
            number = 0
            while True:
                number += 1
                with Path(path).open("r+b") as file:
                    file.write(b"%020d" % number)
                time.sleep(0.001)

        threading.Thread(target=count, daemon=True).start()

    def leave_trace_when_closed(self, path):
        self.closed_file = path

    def close(self):
        if self.closed_file is not None:
            Path(self.closed_file).write_text("closed")


class InvalidReply:
    """Writes to the worker's connection."""

    def write(self):
        self._write(b"not a frame, and long enough to be read as a header")

    def write_note(self):
        """Write a note that has the number of the first call, then reply to it."""
        from lexer_core.worker import framing

        parts = framing.encode_plain(framing.NOTE, 1, ("note", "forged"))
        self._write(b"".join(bytes(part) for part in parts))
        return "the reply"

    def _write(self, content):
        for fd in range(100, 200):
            try:
                os.write(fd, content)
            except OSError:
                continue


def broken_factory():
    raise ValueError("cannot be made")
