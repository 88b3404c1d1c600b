"""PyTorch as an engine for Lexer."""
