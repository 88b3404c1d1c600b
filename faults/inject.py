"""Does a fault cost more than its own row? ``python faults/inject.py [WORD …]``

Injects every fault whose group or name contains one of the words (default: all), in
real runs with engines that need no framework, and prints a table of cases and
outcomes. Exits with 1 if a row was lost.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from fault_cases import CASES, Case, Lost
from fault_place import Place
from rich.console import Console
from rich.table import Table

__all__ = ["inject", "main"]


def inject(case: Case) -> str:
    """Inject one fault in an empty folder and return what happened.

    Raises
    ------
    Lost
        A row was lost, or the run ended otherwise than documented.
    """
    # The names of sockets in it must stay short.
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        return case.run(Place(Path(folder)))


def main(words: list[str]) -> int:
    """Inject the faults, print the table, and return the exit status."""
    chosen = [
        case
        for case in CASES
        if not words or any(word in f"{case.group} {case.name}" for word in words)
    ]
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table("group", "fault", "outcome", "s", title=time.strftime("Faults, %Y-%m-%d"))
    lost = skipped = 0
    for number, case in enumerate(chosen, 1):
        start = time.monotonic()
        try:
            outcome = inject(case)
        except Lost as error:
            lost += 1
            outcome = f"LOST: {error}"
            print(f"{case.group}: {case.name}: {outcome}", file=sys.stderr)
        skipped += outcome.startswith("skipped")
        seconds = time.monotonic() - start
        print(f"{number}/{len(chosen)} {case.group}: {case.name}", file=sys.stderr, flush=True)
        table.add_row(case.group, case.name, outcome.splitlines()[0], f"{seconds:.1f}")
    console.print(table)
    print(f"{len(chosen)} faults, {skipped} skipped, {lost} lost a row or ended undocumented")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
