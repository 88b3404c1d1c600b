"""Does a fault cost more than its own row? ``python faults/inject.py [--jobs N] [WORD …]``

Injects every fault whose group or name contains one of the words (default: all), in
real runs with engines that need no framework, and prints a table of cases and
outcomes. Exits with 1 if a row was lost.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fault_cases import CASES, Case, Lost
from fault_place import Place
from rich.console import Console
from rich.table import Table

__all__ = ["inject", "main"]

_WIDTH = 150


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


def _outcome_of(case: Case) -> tuple[str, bool, float]:
    """Return what happened, whether a row was lost, and how many seconds it took."""
    start = time.monotonic()
    try:
        return inject(case), False, time.monotonic() - start
    except Lost as error:
        return f"LOST: {error}", True, time.monotonic() - start


def main(words: list[str]) -> int:
    """Inject the faults, print the table, and return the exit status."""
    jobs = int(words[1]) if words[:1] == ["--jobs"] else 1
    words = words[2:] if jobs > 1 else words
    chosen = [
        case
        for case in CASES
        if not words or any(word in f"{case.group} {case.name}" for word in words)
    ]
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    table = Table("group", "fault", "outcome", "s", title=time.strftime("Faults, %Y-%m-%d"))
    lost = skipped = 0
    outcomes: dict[str, Counter[str]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        results = pool.map(_outcome_of, chosen)
        for number, (case, (outcome, is_lost, seconds)) in enumerate(
            zip(chosen, results, strict=True), 1
        ):
            lost += is_lost
            skipped += outcome.startswith("skipped")
            said = outcome if is_lost else outcome.splitlines()[0]
            line = f"{number}/{len(chosen)} {case.group}: {case.name}: {said}"
            print(line, file=sys.stderr, flush=True)
            outcomes.setdefault(case.group, Counter())[outcome.splitlines()[0]] += 1
            table.add_row(case.group, case.name, outcome.splitlines()[0], f"{seconds:.1f}")
    console.print(table)
    for group, counts in outcomes.items():
        print(f"{group}: {counts.total()} faults")
        for outcome, count in counts.most_common():
            print(f"  {count} x {outcome}")
    print(f"{len(chosen)} faults, {skipped} skipped, {lost} lost a row or ended undocumented")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
