"""Do workers lie at the same addresses, and does nobody else?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lexer_core.machine.aslr import disable_aslr, hash_seed_environment
from lexer_core.worker.executor import start_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is tested is Linux's")

WHERE = "print(id(object.__new__), id(print))"


def can_be_fixed() -> bool:
    code = "from lexer_core.machine.aslr import disable_aslr; print(disable_aslr())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return answer.stdout.strip() == b"True"


def addresses_fixed(process: int | str) -> bool:
    return bool(int(Path(f"/proc/{process}/personality").read_text(), 16) & 0x0040000)


def test_workers_have_the_same_addresses_and_the_caller_keeps_its_own() -> None:
    if not can_be_fixed():
        pytest.skip("this container does not allow it")
    before = addresses_fixed("self")
    hosts = [
        start_worker("hosted_toys:Toy", label=label, threads=1, pinned=False) for label in "ab"
    ]
    try:
        pids = [host.call("look_around", timeout=30.0)["pid"] for host in hosts]
        assert all(addresses_fixed(pid) for pid in pids)
    finally:
        for host in hosts:
            host.close()

    assert addresses_fixed("self") == before
    assert addresses_fixed("thread-self") == before


def test_what_a_thread_starts_after_fixing_lies_at_the_same_place() -> None:
    if not can_be_fixed():
        pytest.skip("this container does not allow it")
    code = f"""
        import subprocess, sys, threading
        from lexer_core.machine.aslr import disable_aslr

        def start_three():
            disable_aslr()
            places.update(
                subprocess.run([sys.executable, "-c", {WHERE!r}], capture_output=True).stdout
                for _ in range(3)
            )

        places = set()
        thread = threading.Thread(target=start_three)
        thread.start()
        thread.join()
        print(len(places))
    """
    answer = subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "1"


def test_each_launch_has_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)

    assert hash_seed_environment(0) != hash_seed_environment(1)


def test_a_seed_that_the_user_has_set_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "17")

    assert hash_seed_environment(0) == hash_seed_environment(1) == {}


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_off_linux_nothing_is_fixed(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert not disable_aslr()
