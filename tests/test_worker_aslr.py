"""Do workers get the same addresses, and does the caller keep its own?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lexer_core.machine.aslr import disable_aslr, hash_seed_environment
from lexer_core.worker.executor import start_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tests Linux features")

PRINT_IDS = "print(id(object.__new__), id(print))"


def can_disable_aslr() -> bool:
    code = "from lexer_core.machine.aslr import disable_aslr; print(disable_aslr())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return done.stdout.strip() == b"True"


def aslr_disabled(process: int | str) -> bool:
    return bool(int(Path(f"/proc/{process}/personality").read_text(), 16) & 0x0040000)


def test_workers_have_the_same_addresses_and_the_caller_keeps_its_own() -> None:
    if not can_disable_aslr():
        pytest.skip("this container does not allow disabling ASLR")
    before = aslr_disabled("self")
    workers = [
        start_worker("hosted_toys:Toy", label=label, threads=1, pinned=False) for label in "ab"
    ]
    try:
        for worker in workers:
            worker.call("echo", 1, timeout=30.0)
        assert all(aslr_disabled(worker.pid) for worker in workers)
    finally:
        for worker in workers:
            worker.close()

    assert aslr_disabled("self") == before
    assert aslr_disabled("thread-self") == before


def test_processes_started_by_a_thread_without_aslr_get_the_same_addresses() -> None:
    if not can_disable_aslr():
        pytest.skip("this container does not allow disabling ASLR")
    code = f"""
        import subprocess, sys, threading
        from lexer_core.machine.aslr import disable_aslr

        def start_three():
            disable_aslr()
            addresses.update(
                subprocess.run([sys.executable, "-c", {PRINT_IDS!r}], capture_output=True).stdout
                for _ in range(3)
            )

        addresses = set()
        thread = threading.Thread(target=start_three)
        thread.start()
        thread.join()
        print(len(addresses))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1"


def test_each_launch_has_a_different_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)

    assert hash_seed_environment(0) != hash_seed_environment(1)


def test_a_hash_seed_set_by_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "17")

    assert hash_seed_environment(0) == hash_seed_environment(1) == {}


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_aslr_is_not_disabled_outside_linux(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert not disable_aslr()
