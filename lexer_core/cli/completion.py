"""``lexer completion``: how does a shell complete commands and options?"""

from __future__ import annotations

import click

from lexer_core.cli.main import COMPLETION_VARIABLE

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and their values.

    \b
    To use it, add a line to the start-up file of your shell:
      bash  ~/.bashrc                    eval "$(lexer completion bash)"
      zsh   ~/.zshrc                     eval "$(lexer completion zsh)"
      fish  ~/.config/fish/config.fish   lexer completion fish | source
    """  # noqa: D301  click looks for the real \b
    from click.shell_completion import get_completion_class  # only for this command

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(context.find_root().command, {}, "lexer", COMPLETION_VARIABLE).source())
