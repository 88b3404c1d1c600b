"""ONNXRuntime as an engine for Lexer."""
