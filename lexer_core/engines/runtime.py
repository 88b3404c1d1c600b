"""Is an engine's runtime installed, and which distribution provides it?

Answered without importing the runtime.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from lexer_core.engines.installed import DistributionFacts, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.engines.installed import InstalledDistribution
    from lexer_core.records import EngineInfo

__all__ = ["Runtime", "find_runtime"]


class Runtime(NamedTuple):
    """What is installed of an engine's runtime.

    ``missing`` is the first module that cannot be imported, or empty; ``remedy``
    is then the command that installs it.
    """

    distribution: DistributionFacts | None
    missing: str = ""
    remedy: str = ""


def find_runtime(
    info: EngineInfo, plugin: str, installed: Mapping[str, InstalledDistribution]
) -> Runtime:
    """Look for the runtime of an engine.

    Parameters
    ----------
    info
        What the plugin says of the engine.
    plugin
        Name of the plugin's distribution, whose requirements bring every module
        but the first.
    installed
        The installed distributions, by normalized name.
    """
    distribution: DistributionFacts | None = None
    for name in info.runtime_distributions:
        if normalized(name) in installed:
            distribution = installed[normalized(name)].read_facts()
            break
    for position, module in enumerate(info.runtime_modules):
        if not _is_importable(module, trusted=distribution is not None):
            return Runtime(
                distribution=None if position == 0 else distribution,
                missing=module,
                remedy=f"pip install {info.runtime_distributions[0] if position == 0 else plugin}",
            )
    return Runtime(distribution=distribution)


def _is_importable(module: str, *, trusted: bool) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    # A folder of that name somewhere on the path is a namespace package: the
    # runtime only where a distribution stands behind it.
    return spec.origin is not None or trusted
