"""OpenVINO as an engine for Lexer."""
