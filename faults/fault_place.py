"""Where does a faulty run happen, and what is left of it?

Every run has its own home, temporary and cache folder, its own engines, and a model
that needs no framework.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from attrs import field, frozen

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from fake_engines import FakeSite  # noqa: E402  a module of the tests
from tiny_onnx import identity_model  # noqa: E402
from toy_engine import TOY_ENGINE  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["DOCUMENTED", "Done", "Place"]

DOCUMENTED = (0, 1, 2, 3, 4, 130)
"""Exit statuses that the help explains and that are not a bug."""

_TIMEOUT = 600.0
_BASH = shutil.which("bash") or "bash"  # also where a case changes the PATH
_GONE_SECONDS = 5.0
_INPUT = ("--input", "x=float32[2,3]")
_SHORT = ("--iterations", "20", "--warm-up-seconds", "0.05", "--no-canary")

_MORE_FAULTS = """
    if kind == "litter":
        import subprocess
        import tempfile

        tempfile.mkdtemp(prefix="litter-")
        program = [sys.executable, "-c", "import time; time.sleep(3000)"]
        subprocess.Popen(program)
        subprocess.Popen(program, start_new_session=True)
    if kind == "pause":
        open(os.path.join(os.environ["_FAULTS"], "reached"), "w").close()
        time.sleep(1.5)
    if kind == "delete":
        import shutil
        import tempfile

        shutil.rmtree(os.path.dirname(tempfile.gettempdir()))
"""


@frozen
class Done:
    """How a command ended.

    Parameters
    ----------
    status
        Its exit status; minus the number of a signal.
    text
        What it printed to standard output and error.
    rows
        By label, the status of each row in the file that it wrote; ``None`` if none.
    left
        Files and processes that it left behind.
    """

    status: int
    text: str
    rows: Mapping[str, str] | None = None
    left: Sequence[str] = ()

    @property
    def error(self) -> str:
        """The first line of the error that it printed; empty if there is none."""
        lines = [line for line in self.text.splitlines() if line.startswith("Error: ")]
        return lines[0].removeprefix("Error: ") if lines else ""

    @property
    def problems(self) -> list[str]:
        """What must not happen in any run."""
        found = []
        if self.status not in DOCUMENTED:
            found.append(f"exit status {self.status}")
        found += [text for text in ("Traceback", "bug in Lexer") if text in self.text]
        if self.status in (1, 2, 4) and not self.error and self.rows is None:
            found.append(f"exit status {self.status} without an error")
        return [*found, *(f"left behind: {each}" for each in self.left)]


@frozen
class Place:
    """Folders and engines for one case.

    Parameters
    ----------
    folder
        An empty folder.
    """

    folder: Path
    environment: dict[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        for name in ("home", "tmp", "cache"):
            (self.folder / name).mkdir()
        site = FakeSite(self.folder / "site")
        start = "def misbehave(fault, phase):\n"
        end = "        return\n"
        before, _, after = TOY_ENGINE.partition(start)
        head, _, body = after.partition(end)
        toy = before + start + head + end + _MORE_FAULTS.strip("\n") + "\n" + body
        busy = "200_000 * self.work"
        toy = toy.replace(busy, f'(12_000 if fault == "fast" else {busy})')
        site.add_engine("toy", toy)
        hook = "def lexer_export_model(source, format):\n"
        for fault in ("segv", "hang", "exit", "pause"):
            failing = toy.replace(hook, f'{hook}    misbehave("{fault}_in_x", "x")\n')
            site.add_engine(f"{fault}_in_export", failing)
        self.model.write_bytes(identity_model((2, 3), "x"))
        object.__setattr__(
            self,
            "environment",
            {
                **site.environment(),
                "HOME": str(self.folder / "home"),
                "TMPDIR": str(self.folder / "tmp"),
                "LEXER_CACHE_DIR": str(self.folder / "cache"),
                "LEXER_NO_CONFIG": "1",
                "_FAULTS": str(self.folder),
            },
        )

    @property
    def model(self) -> Path:
        """The model."""
        return self.folder / "model.onnx"

    @property
    def results(self) -> Path:
        """The file that a benchmark writes."""
        return self.folder / "results.json"

    def benchmark(
        self,
        *options: str,
        engines: Sequence[str] = ("good=toy",),
        short: bool = True,
        **more: object,
    ) -> Done:
        """Run ``lexer benchmark``; see :meth:`run`."""
        return self.run(*self.benchmark_command(*options, engines=engines, short=short), **more)

    def benchmark_command(
        self, *options: str, engines: Sequence[str] = ("good=toy",), short: bool = True
    ) -> list[str]:
        """Return the arguments of a benchmark."""
        chosen = [part for engine in engines for part in ("--engine", engine)]
        length = _SHORT if short else ()
        target = ("benchmark", str(self.model), *_INPUT)
        return [*target, *chosen, *length, "-o", str(self.results), *options]

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str | None] | None = None,
        shell: str = 'exec "$@"',
        during: Callable[[subprocess.Popen[str]], object] | None = None,
    ) -> Done:
        """Run a command of Lexer.

        Parameters
        ----------
        environment
            Variables to set or, if ``None``, to remove.
        shell
            Starts the command, which is ``"$@"``.
        during
            Called with the process while it runs.
        """
        self.results.unlink(missing_ok=True)
        variables: dict[str, str] = dict(self.environment)
        for name, value in (environment or {}).items():
            variables.pop(name, None)
            if value is not None:
                variables[name] = value
        command = [_BASH, "-c", shell, "bash", sys.executable, "-m", "lexer_core", *arguments]
        output = self.folder / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=variables,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                text=True,
                start_new_session=True,
                # Shells start background commands with SIGINT ignored.
                preexec_fn=_default_interrupt,  # noqa: PLW1509
            )
            try:
                if during is not None:
                    during(process)
                status = process.wait(_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = -signal.SIGKILL
        text = output.read_bytes().decode("utf-8", "replace")
        # A cache in the home folder stays there.
        in_home = variables.get("LEXER_CACHE_DIR", "").startswith("~")
        return Done(status, text, self._rows(), self._left(and_home=not in_home))

    def printed(self) -> str:
        """Return what the running command has printed so far."""
        return (self.folder / "output").read_bytes().decode("utf-8", "replace")

    @property
    def reached(self) -> bool:
        """Whether an engine has reached the phase in which it pauses."""
        return (self.folder / "reached").exists()

    def _rows(self) -> dict[str, str] | None:
        if not self.results.is_file() or not self.results.stat().st_size:
            return None
        document = json.loads(self.results.read_text(encoding="utf-8"))
        return {
            row["label"]: (
                "interrupted"
                if (row.get("error") or {}).get("kind") == "Interrupted"
                else row["status"]
            )
            for row in document["results"]
        }

    def _left(self, *, and_home: bool) -> list[str]:
        end = time.monotonic() + _GONE_SECONDS
        while True:
            left = [f"file {path.name}" for path in self._temporary_files(and_home=and_home)]
            left += [f"process {pid}" for pid in self._processes()]
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.1)

    def _temporary_files(self, *, and_home: bool) -> list[Path]:
        folders = [self.folder / "tmp", *([self.folder / "home"] if and_home else [])]
        found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        return [*found, *self.folder.glob(".lexer-*")]

    def _processes(self) -> list[int]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("_FAULTS") == str(self.folder):
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
