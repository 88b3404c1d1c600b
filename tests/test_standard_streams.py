"""Does a command work when its standard streams are closed, full or not read?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs a device that is always full"
)

COMMANDS = ("--help", "engines list", "config show", "cache path")
LEXER = f"{sys.executable} -m lexer_core"


def run(shell: str) -> tuple[int, str]:
    """Return the exit status of a command and what a shell printed."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell}"],
        env={**os.environ, "LEXER_NO_CONFIG": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("streams", ["1>&-", "2>&-", "0<&- 1>&- 2>&-", "2>/dev/full", "| head -1"])
def test_a_stream_that_nobody_reads_changes_nothing(command: str, streams: str) -> None:
    status, printed = run(f"{LEXER} {command} {streams}")

    assert status == 0
    assert "Traceback" not in printed
    assert "Exception" not in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_full_standard_output_is_an_error(command: str) -> None:
    status, printed = run(f"{LEXER} {command} 1>/dev/full")

    assert status == 2
    assert printed.startswith("Error: cannot write to standard output: No space left on device.")
    assert "Traceback" not in printed


@pytest.mark.parametrize("streams", ["1>&-", "2>&-", "1>/dev/full 2>/dev/full"])
def test_an_error_keeps_its_status_if_it_cannot_be_printed(streams: str) -> None:
    status, printed = run(f"{LEXER} show no_such_file.lexer {streams}")

    assert status == 2
    assert "Traceback" not in printed
