"""Is an engine's runtime installed, and which distribution provides it?

The runtime is not imported to find out.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from lexer_core.engines.find_module import module_spec
from lexer_core.engines.installed import DistributionFacts, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.engines.installed import InstalledDistribution
    from lexer_core.records import EngineInfo

__all__ = ["Runtime", "find_runtime"]


class Runtime(NamedTuple):
    """What is installed of an engine's runtime.

    ``missing`` is the first module that is not installed, or empty. ``fix`` is the
    command that installs it.
    """

    distribution: DistributionFacts | None
    missing: str = ""
    fix: str = ""


def find_runtime(
    info: EngineInfo, plugin: str, installed: Mapping[str, InstalledDistribution]
) -> Runtime:
    """Find the runtime of an engine.

    Parameters
    ----------
    info
        The plugin's description of the engine.
    plugin
        Name of the plugin's distribution. Installing it also installs all runtime
        modules but the first.
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
                fix=f"pip install {info.runtime_distributions[0] if position == 0 else plugin}",
            )
    return Runtime(distribution=distribution)


def _is_importable(module: str, *, trusted: bool) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    spec = module_spec(module)
    if spec is None:
        return False
    # Any folder of that name on sys.path is a namespace package. It is the runtime
    # only if one of the runtime's distributions is installed.
    return spec.origin is not None or trusted
