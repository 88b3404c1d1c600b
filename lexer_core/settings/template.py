"""What does a configuration file look like that says nothing yet?"""

from __future__ import annotations

import textwrap
from typing import Any

import attrs

from lexer_core.settings.table import Settings
from lexer_core.settings.values import range_text, spelled

__all__ = ["template"]

_WIDTH = 88

_HEAD = """\
# Settings of Lexer, all of them, with their defaults.
#
# A line that begins with # says nothing: take the # away from a key to set it, and
# give it your own value. Arguments of a call and options of a command are stronger
# than this file, and so is the environment: LEXER_THREADS=2, for instance.
# `lexer config show` prints every setting with its value and where that came from.
"""

_ENGINES = """
# Options of an engine, in a section with its name. `lexer engines show onnxruntime`
# lists them.

#[engines.onnxruntime]
# Whether it is measured where no engine is named.
#enabled = true
# Another interpreter that runs it, where it cannot share this environment.
#python = "/path/to/venv/bin/python"
#graph_optimization_level = "all"
"""


def template() -> str:
    """Write a file with every setting, its help, range and default, all of it commented out."""
    lines = [_HEAD]
    section = ""
    for setting in attrs.fields(Settings):
        if setting.metadata["section"] != section:
            section = setting.metadata["section"]
            lines.append(f"\n[{section}]\n")
        lines += _described(setting)
    return "".join(lines) + _ENGINES


def _described(setting: attrs.Attribute[Any]) -> list[str]:
    facts = setting.metadata
    allowed = range_text(setting)
    text = facts["help"] + (f" It is {allowed}." if allowed else "")
    value = spelled(setting.default)
    if setting.default is None:
        value = facts["example"]
        text += " Not set unless you do; for example:"
    comment = textwrap.fill(
        text, _WIDTH, initial_indent="\n# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return [f"{comment}\n", f"#{setting.name} = {value}\n"]
