"""How does a plugin describe its engine in a process of its own?

The parent does not import plugins, which may crash, hang or change the process
(``descriptions.py``). This is the object that the child process hosts.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from attrs import frozen

from lexer_core.engines.disturbances import ProcessState
from lexer_core.engines.entry_points import EngineEntryPoint, top_level
from lexer_core.engines.info_data import info_as_data
from lexer_core.engines.installed import DistributionFacts
from lexer_core.engines.plugin_errors import PluginError, upgrade_plugin
from lexer_core.engines.plugin_text import printable, printable_lines
from lexer_core.engines.plugins import broken_by, load_plugin

__all__ = ["PluginHost", "PluginReply"]


@frozen(kw_only=True)
class PluginReply:
    """What a plugin answered.

    Parameters
    ----------
    info
        Its description of the engine as JSON types; ``None`` if it is not valid.
    state, reason, fix, details
        Why it is not valid: see ``PluginError``.
    files
        The files that were imported for it, without the standard library and the core.
    """

    info: object = None
    state: str = ""
    reason: str = ""
    fix: str = ""
    details: str = ""
    files: tuple[str, ...] = ()


class PluginHost:
    """Imports plugins, one after the other; runs in a worker process."""

    def start(self) -> bool:
        """Return ``True``, once all is imported that plugins must not replace or remove."""
        # Here, because the parent imports this module, too.
        for name in _RELIED_ON:
            import_module(name)
        return True

    def describe(
        self, name: str, group: str, value: str, distribution: tuple[str, ...]
    ) -> PluginReply:
        """Import a plugin's module, check its hooks and return its description."""
        from lexer_core.engines.registration import register_hooks  # imports pluggy

        facts = DistributionFacts(*distribution)
        entry_point = EngineEntryPoint(name, group, value, facts)
        before, modules = ProcessState(top_level(value)), set(sys.modules)
        fix = upgrade_plugin(facts)
        info: object = None
        try:
            plugin = load_plugin(entry_point, before)
            with broken_by("cannot be registered: ", fix):
                register_hooks(name, plugin.hooks)
            with broken_by("lexer_engine_info returned an invalid value: ", fix):
                info = info_as_data(plugin.info)
            problem = None
        except PluginError as error:
            problem = error
        except KeyboardInterrupt:  # the plugin's own: a worker ignores Ctrl-C
            problem = PluginError("KeyboardInterrupt", fix=fix)
        if before.changes:
            problem = PluginError(f"importing it {'; '.join(before.changes)}", fix=fix)
        files = _files(set(sys.modules) - modules, value)
        if problem is None:
            return PluginReply(info=info, files=files)
        return PluginReply(
            state=str(problem.state),
            reason=printable(problem.reason),
            fix=printable(problem.fix),
            details=printable_lines(problem.details),
            files=files,
        )


def _files(imported: set[str], entry: str) -> tuple[str, ...]:
    """Return the files of modules: all of the plugin's package, the first of any other."""
    own = top_level(entry)
    files = set()
    for name in imported:
        top, dot, _ = name.partition(".")
        if top in _UNCHANGED or (dot and top != own):
            continue
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str):
            files.add(os.path.abspath(file))  # noqa: PTH100 - as sys.path has it, links included
    return tuple(sorted(files))


_RELIED_ON = (
    *("json", "pickle", "random", "socket", "subprocess", "tempfile", "traceback", "numpy"),
    *("lexer_core.engines.exceptions", "lexer_core.engines.registration"),
)
_UNCHANGED = frozenset((*sys.stdlib_module_names, "lexer_core"))
