"""``lexer engines new``: how does an engine author start?"""

from __future__ import annotations

from pathlib import Path

import click

from lexer_core.scaffold import new_engine

__all__ = ["new_command"]


@click.command("new")
@click.argument("name")
@click.option(
    "--accepts",
    default="onnx",
    show_default=True,
    metavar="FORMAT",
    help="Model format that the engine loads: onnx, torch, torch_export, or its own.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Folder to create. Default: ./lexer-NAME.",
)
def new_command(name: str, accepts: str, into: str | None) -> None:
    """Create the source tree of a new engine.

    You can install and list the engine right away. Complete the parts marked
    FILL IN; `lexer engines check NAME` reports what is missing.
    """
    folder = Path(into or f"lexer-{name}")
    for path in new_engine(name, folder, accepts=accepts):
        click.echo(path)
    click.echo(
        f"\nComplete the parts marked FILL IN, then:\n"
        f"  pip install -e {folder}\n  lexer engines check {name}"
    )
