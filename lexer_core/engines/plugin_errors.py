"""Why does a plugin not provide a usable engine, and which command fixes it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.engines.states import EngineState

if TYPE_CHECKING:
    from lexer_core.engines.installed import DistributionFacts

__all__ = ["PluginError", "upgrade_core", "upgrade_plugin"]


class PluginError(Exception):
    """A plugin does not provide a usable engine. Not raised outside this package."""

    def __init__(
        self,
        reason: str,
        *,
        fix: str,
        details: str = "",
        state: EngineState = EngineState.BROKEN,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.details = details
        self.state = state


def upgrade_plugin(plugin: DistributionFacts) -> str:
    """Return the command that upgrades a plugin and its dependencies."""
    return f"pip install --upgrade {plugin.name}"


def upgrade_core(plugin: DistributionFacts) -> str:
    """Return the command that installs a lexer-core that is compatible with the plugin."""
    if plugin.core_requirement:
        return f"pip install --upgrade '{plugin.core_requirement}'"
    return f"pip install --upgrade lexer-core {plugin.name}"
