"""A simulated accelerator as an engine for Lexer."""
