"""Which tests of this folder are left out unless they are asked for?"""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    if "slow" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="compiles for minutes; run it by -m slow"))
