"""What does a new configuration file contain?"""

from __future__ import annotations

import textwrap
from typing import Any

import attrs

from lexer_core.settings.table import Settings
from lexer_core.settings.values import describe_range, to_toml

__all__ = ["template"]

_WIDTH = 88

_HEAD = """\
# All settings of Lexer, with their defaults.
#
# To set one, remove the # in front of its key and change the value. Environment
# variables (LEXER_THREADS=2), command-line options and arguments of a call override
# this file. `lexer config show` prints the effective value of every setting and
# where it is set.
"""

_ENGINES = """
# Settings of one engine. To list its options, run `lexer engines show onnxruntime`.

#[engines.onnxruntime]
# Whether the engine runs when no engine is named.
#enabled = true
# Another Python interpreter that runs the engine, if it cannot share this environment.
#python = "/path/to/venv/bin/python"
#graph_optimization_level = "all"
"""


def template() -> str:
    """Return a file with the help, range and default of every setting, all commented out."""
    lines = [_HEAD]
    section = ""
    for setting in attrs.fields(Settings):
        if setting.metadata["section"] != section:
            section = setting.metadata["section"]
            lines.append(f"\n[{section}]\n")
        lines += _setting_lines(setting)
    return "".join(lines) + _ENGINES


def _setting_lines(setting: attrs.Attribute[Any]) -> list[str]:
    metadata = setting.metadata
    allowed = describe_range(setting)
    text = metadata["help"] + (f" Allowed: {allowed}." if allowed else "")
    value = to_toml(setting.default)
    if setting.default is None:
        value = metadata["example"]
        text += " For example:"
    comment = textwrap.fill(
        text, _WIDTH, initial_indent="\n# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return [f"{comment}\n", f"#{setting.name} = {value}\n"]
