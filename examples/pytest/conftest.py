pytest_plugins = ["lexer_core.pytest_plugin"]
