"""Would a change of the contract be noticed?

The signatures of the hooks are recorded: plugins that are installed somewhere
were written against them.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from lexer_core import hookspecs

RECORDED = Path(__file__).with_name("recorded_hooks.txt")


def signatures() -> str:
    hooks = [
        f"{name}{inspect.signature(hook)}"
        for name, hook in vars(hookspecs).items()
        if name.startswith("lexer_")
    ]
    return "\n".join([f"contract {hookspecs.CONTRACT_VERSION}", *sorted(hooks), ""])


def test_the_hooks_are_those_that_plugins_were_written_against():
    assert signatures() == RECORDED.read_text(encoding="utf-8"), (
        "The contract has changed. An argument or a hook that was added breaks no plugin: "
        "describe it in docs/writing-an-engine.md and record it by\n"
        "  python tests/test_contract_is_kept.py\n"
        "Anything else breaks them: see 'How the contract changes' there first."
    )


if __name__ == "__main__":
    RECORDED.write_text(signatures(), encoding="utf-8")
