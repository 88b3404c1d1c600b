"""Write the pages of ``docs/reference`` from the code: ``python docs/generate.py``.

``--check`` writes nothing, lists the pages that are out of date, and exits with 1
if there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reference_pages import FOLDER, reference_pages

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Write or compare the pages and return the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(__doc__ or "")
        return 2
    folder = ROOT / FOLDER
    pages = reference_pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    stale = sorted(name for name in {*pages, *present} if pages.get(name) != present.get(name))
    for name in stale:
        sys.stdout.write(f"{FOLDER}/{name}\n")
        if arguments:
            continue
        if name in pages:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(pages[name], encoding="utf-8", newline="\n")
        else:
            (folder / name).unlink()
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
