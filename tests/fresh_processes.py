"""Is something the same in every process, whatever its hash seed?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["printed_by_fresh_processes"]


def printed_by_fresh_processes(code: str) -> set[str]:
    """Run code that may import test files in processes with other hash seeds."""
    return {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
