"""``python -m lexer_core`` is the ``lexer`` command."""

from __future__ import annotations

from lexer_core.cli.main import main

if __name__ == "__main__":
    main()
