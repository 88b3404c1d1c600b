"""What must every test be kept from? From the settings of whoever runs it."""

import os

from settings_place import place

__all__ = ["place"]

for name in list(os.environ):
    if name.startswith("LEXER_") and name != "LEXER_CACHE_DIR":
        del os.environ[name]
# The files of the home folder and of the folder that the tests run in; here and in
# every process that a test starts. The fixture ``place`` takes it away again.
os.environ["LEXER_NO_CONFIG"] = "1"
