"""What applies to all tests: whose settings are kept away, and which tests need a GPU?

No test depends on the speed of the machine, and nor do those that generate data: these try
the same examples in each run, and other ones in ``nox -s fuzz``.
"""

import os

import pytest
from gpu import why_no_gpu
from hypothesis import HealthCheck, settings
from settings_place import place

__all__ = ["place"]

for name in list(os.environ):
    if name.startswith("LEXER_") and name != "LEXER_CACHE_DIR":
        del os.environ[name]
# The files of the home folder and of the folder that the tests run in; here and in
# every process that a test starts. The fixture ``place`` takes it away again.
os.environ["LEXER_NO_CONFIG"] = "1"

# How long anything takes depends on what else the machine does.
settings.register_profile(
    "the same",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "other ones",
    parent=settings.get_profile("the same"),
    derandomize=False,
    max_examples=1000,
)
settings.load_profile("the same")


# Files that take a minute or more. They come first, so that none is left to one worker when
# the others have nothing to do any more.
LONG = (
    "test_documentation.py",
    "test_conformance.py",
    "test_real_models.py",
    "test_real_caller_state.py",
    "test_impure_models.py",
    "test_real_parity.py",
    "test_torch_compiled.py",
    "test_benchmark_with_toys.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests of long files first; skip those that need a GPU where there is none."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    on_gpu = [item for item in items if item.get_closest_marker("gpu") is not None]
    reason = why_no_gpu() if on_gpu else ""
    for item in on_gpu if reason else []:
        item.add_marker(pytest.mark.skip(reason=f"needs a GPU: {reason}"))
