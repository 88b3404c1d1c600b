"""``python -m lexer_core`` and the script ``lexer`` are the ``lexer`` command."""

from __future__ import annotations

from lexer_core.cli.sigint import exit_at_once_when_interrupted

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process, and exit."""
    exit_at_once_when_interrupted()
    # Only now: the import takes long enough for Ctrl-C to be pressed.
    from lexer_core.cli.main import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
