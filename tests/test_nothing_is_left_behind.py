"""Are processes and temporary files gone after a run, however it ends?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from fake_engines import FakeSite
from tiny_onnx import identity_model
from toy_engine import TOY_ENGINE

from lexer_core.worker.leftovers import MARK, end_marked, find_marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sessions of POSIX")

WAIT = 20.0
LITTER = '''
import multiprocessing
import subprocess
import tempfile
from pathlib import Path


def litter(token):
    """Leave temporary files, processes and a semaphore behind."""
    Path(tempfile.gettempdir(), "torchinductor_toy").mkdir()
    tempfile.mkdtemp()
    program = [sys.executable, "-c", "import time; time.sleep(3000)  # " + token]
    subprocess.Popen(program)
    subprocess.Popen(program, start_new_session=True)
    daemon = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    subprocess.run([sys.executable, "-c", daemon, *program])
    if os.environ.get("UNMARKED"):
        subprocess.run([sys.executable, "-c", daemon, *program], env={})
    ToySession.semaphore = multiprocessing.get_context("spawn").Semaphore()
    Path(os.environ["SEMAPHORE"]).write_text(ToySession.semaphore._semlock.name)


'''


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    site = FakeSite(tmp_path / "site")
    start = "def lexer_create_session(exported, device, config):\n"
    littering = TOY_ENGINE.replace(start, f'{start}    litter(os.environ["TOKEN"])\n')
    site.add_engine("toy", littering.replace("class ToySession:", LITTER + "class ToySession:"))
    return site


class Run:
    """``lexer benchmark`` of the littering toy, with a temporary folder of its own."""

    def __init__(self, site: FakeSite, place: Path, *options: str, unmarked: str = "") -> None:
        self.temporary = place / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.token = f"litter of {place}"
        self.semaphore = place / "semaphore"
        self.output = place / "output"
        environment = {
            **site.environment(),
            "TMPDIR": str(self.temporary),
            "TOKEN": self.token,
            "SEMAPHORE": str(self.semaphore),
            "UNMARKED": unmarked,
            "LEXER_CACHE_DIR": str(place / "cache"),
        }
        model = place / "model.onnx"
        model.write_bytes(identity_model((2, 3), "x"))
        command = ["benchmark", str(model), "--input", "x=float32[2,3]", "--engine", "toy"]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lexer_core", *command, "--no-canary", *options],
                env=environment,
                stdout=output,
                stderr=output,
            )

    def left_behind(self) -> list[str]:
        found = [path.name for path in self.temporary.iterdir()]
        for process in psutil.process_iter():
            try:
                if self.token in " ".join(process.cmdline()):
                    found.append(f"process {process.pid}")
            except psutil.Error:
                continue
        if Path("/dev/shm").is_dir() and self.semaphore.is_file():
            name = self.semaphore.read_text().lstrip("/")
            found += [str(path) for path in Path("/dev/shm").glob(f"sem.{name}")]
        return found

    def await_litter(self) -> None:
        wait_until(self.semaphore.is_file)
        wait_until(lambda: len([each for each in self.left_behind() if "process" in each]) >= 3)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.fixture
def lasting_run(site: FakeSite, tmp_path: Path) -> Iterator[Run]:
    run = Run(site, tmp_path, "--rounds", "1000000")
    yield run
    run.process.kill()
    run.process.wait()


def test_nothing_is_left_behind_by_a_run(site: FakeSite, tmp_path: Path) -> None:
    run = Run(site, tmp_path, "--iterations", "20", unmarked="also")

    assert run.process.wait(WAIT) == 0
    assert run.semaphore.is_file()
    assert run.left_behind() == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_is_left_behind_by_a_run_that_a_signal_ends(lasting_run: Run, name: str) -> None:
    lasting_run.await_litter()
    number = getattr(signal, name)

    lasting_run.process.send_signal(number)

    assert lasting_run.process.wait(WAIT) == (130 if name == "SIGINT" else -number)
    wait_until(lambda: not lasting_run.left_behind())
    assert lasting_run.left_behind() == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="semaphores are not files here")
def test_the_semaphore_of_a_process_that_will_not_end_is_removed() -> None:
    mark = f"semaphore of {os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    semaphore = Path("/dev/shm", f"sem.{process.stdout.readline().decode().strip().lstrip('/')}")
    assert semaphore.exists()

    end_marked(mark)

    assert process.wait() == -signal.SIGKILL
    assert find_marked(mark) == []
    assert not semaphore.exists()
    process.stdout.close()


STUBBORN = """
import multiprocessing, signal, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
semaphore = multiprocessing.get_context("spawn").Semaphore()
print(semaphore._semlock.name, flush=True)
time.sleep(600)
"""


def test_the_folder_of_a_killed_process_is_removed_by_the_next_one(tmp_path: Path) -> None:
    kept = folder_of_a_killed_process(tmp_path)
    in_use = subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment(tmp_path), stdout=subprocess.PIPE
    )
    assert in_use.stdout is not None
    folder = Path(in_use.stdout.readline().decode().strip()).parent

    assert not kept.exists()
    assert folder.is_dir()

    done = subprocess.run([sys.executable, "-c", CREATE], env=environment(tmp_path), check=True)

    assert done.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    in_use.kill()
    in_use.wait()
    in_use.stdout.close()


def test_a_folder_of_another_name_or_without_a_lock_is_never_removed(tmp_path: Path) -> None:
    kept = folder_of_a_killed_process(tmp_path)
    kept.rename(tmp_path / "lexer-examples-of-mine")
    (tmp_path / "lexer-examples").mkdir()

    subprocess.run([sys.executable, "-c", CREATE], env=environment(tmp_path), check=True)

    assert {path.name for path in tmp_path.iterdir()} == {
        "lexer-examples-of-mine",
        "lexer-examples",
    }


CREATE = """
from lexer_core.temporary_folders import TemporaryFolder

folder = TemporaryFolder("part")
print(folder.path, flush=True)
"""
HOLD = CREATE + "import time; time.sleep(600)"


def environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


def folder_of_a_killed_process(temporary: Path) -> Path:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment(temporary), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    part = Path(process.stdout.readline().decode().strip())
    process.kill()
    process.wait()
    process.stdout.close()
    assert part.is_dir()
    return part.parent


# -- files that are being written ----------------------------------------------------

WRITING = {
    "a file": """
from lexer_core.output_files import replaced_file

with replaced_file(target) as file:
    file.write(b"half")
    wait()
""",
    "a folder": """
from lexer_core.deploy.folder import new_folder
from lexer_core.temporary_folders import TemporaryFolder

extracted = TemporaryFolder("kept")
with new_folder(target, overwrite=False) as folder:
    (folder / "half").write_bytes(b"half")
    wait()
""",
}
WRITE = """
import sys
import time
from pathlib import Path


def wait():
    print("writing", flush=True)
    time.sleep(600)


target = Path(sys.argv[1])
"""


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGHUP"])
def test_what_is_being_written_is_removed_by_a_signal(
    name: str, signal_name: str, tmp_path: Path
) -> None:
    number = getattr(signal, signal_name)
    for folder in ("tmp", "mine"):
        (tmp_path / folder).mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE + WRITING[name], str(tmp_path / "mine" / "new")],
        env=environment(tmp_path / "tmp"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    assert list((tmp_path / "mine").iterdir())

    process.send_signal(number)

    assert process.wait(WAIT) == -number
    process.stdout.close()
    assert not [*(tmp_path / "mine").iterdir(), *(tmp_path / "tmp").iterdir()]
