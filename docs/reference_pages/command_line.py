"""What does the command-line reference contain?

It is generated from click's objects, not from the output of ``--help``, which
depends on the terminal's width and on click's version.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from textwrap import dedent
from typing import TYPE_CHECKING

import click

from lexer_core.cli.main import lexer
from reference_pages.docstrings import anchor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["command_line_page"]

_VERBATIM = "\b"
"""After this line, click does not rewrap a paragraph."""

_HELP_DEFAULT = re.compile(r"\s*Default: (\S+?)\.(?=\s|$)")
"""The default in the help of a setting's option, which click does not know."""


def command_line_page() -> str:
    """Return the page: every command with its arguments and options."""
    return "\n\n".join(_blocks()) + "\n"


def _blocks() -> Iterator[str]:
    # With its settings: click caches the help option of the first context that asks for it.
    root = click.Context(lexer, info_name="lexer", **lexer.context_settings)
    commands = list(_commands(lexer, root))
    yield "# Commands"
    yield (
        "Every command with its arguments and options. [The command line](../command-line.md) "
        "shows examples. Each command also accepts `-h` and `--help`. An option marked *several "
        "times* takes one value each time."
    )
    yield "\n".join(
        f"- [`{context.command_path}`](#{anchor_of(context.command_path)}): {_summary(command)}"
        for command, context in commands
    )
    for command, context in commands:
        yield from _describe(command, context)


def _commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and its subcommands, each with a context that has its full name."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, click.Context(below, info_name=name, parent=context))


def _describe(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}"
    yield _fenced(" ".join([context.command_path, *_usage(command)]))
    yield from _prose(command.help or "")
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    if arguments:
        rows = ["| argument | |", "|---|---|"]
        rows += [f"| {_code(_metavar(each))} | {_how_often(each)} |" for each in arguments]
        yield "\n".join(rows)
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        rows = ["| option | default | what it does |", "|---|---|---|"]
        rows += [
            f"| {_spelling(each)} | {_default(each)} | {_option_help(each)} |" for each in options
        ]
        yield "\n".join(rows)
    yield from _prose(command.epilog or "")


def _usage(command: click.Command) -> Iterator[str]:
    if any(isinstance(each, click.Option) for each in command.params):
        yield "[OPTIONS]"
    for each in command.params:
        if isinstance(each, click.Argument):
            yield _metavar(each) if each.required else f"[{_metavar(each)}]"
    if isinstance(command, click.Group):
        yield "COMMAND [ARGUMENTS]"


def _summary(command: click.Command) -> str:
    paragraph = cleandoc(command.help or "").split("\n\n")[0]
    return _escaped(" ".join(paragraph.split()))


def _prose(text: str) -> Iterator[str]:
    """Yield paragraphs; those that click does not rewrap become text blocks."""
    for paragraph in cleandoc(text).split("\n\n"):
        if paragraph.startswith(_VERBATIM):
            lines = paragraph.removeprefix(_VERBATIM).strip("\n").splitlines()
            heading = lines[0] if len(lines) > 1 and lines[0].endswith(":") else ""
            if heading:
                yield heading
                del lines[0]
            yield _fenced(dedent("\n".join(lines)))
        elif paragraph.strip():
            yield _escaped(" ".join(paragraph.split()))


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _metavar(parameter: click.Parameter) -> str:
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    if isinstance(parameter, click.Argument):
        return (parameter.name or "").upper()
    return parameter.type.name.split()[0].upper()


def _how_often(argument: click.Argument) -> str:
    needed = "required" if argument.required else "optional"
    return f"{needed}, several" if argument.nargs == -1 else needed


def _spelling(option: click.Option) -> str:
    words = [*option.opts, *option.secondary_opts]
    value = "" if option.is_flag else f" {_metavar(option)}"
    spelled = ", ".join(_code(f"{word}{value}") for word in words)
    often = [
        *(["required"] if option.required else []),
        *(["several times"] if option.multiple else []),
    ]
    return f"{spelled} ({', '.join(often)})" if often else spelled


def _default(option: click.Option) -> str:
    default = _HELP_DEFAULT.search(option.help or "")
    if default is not None:
        return _code(default[1])
    if option.is_flag or not isinstance(option.default, (str, int, float)):
        return ""
    return _code(str(option.default).removesuffix(".0")) if option.default != "" else ""


def _option_help(option: click.Option) -> str:
    return _escaped(_HELP_DEFAULT.sub("", option.help or "", count=1))


def _code(text: str) -> str:
    # In a table, a bar must be escaped even in code.
    return "`" + text.replace("|", "\\|") + "`"


def _escaped(text: str) -> str:
    """Escape Markdown syntax outside code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", "\\|")
        if part.startswith("`")
        else re.sub(r"([\\*_\[\]<>|])", r"\\\1", part)
        for part in parts
    )
