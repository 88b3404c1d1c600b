"""What does an engine's plugin write to ``run.py``?

It is asked in a process of its own, because a plugin may crash, hang or exit.
"""

from __future__ import annotations

import contextlib

import attrs

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import EngineError, UnknownEngineError, WorkerDiedError, WorkerTimeoutError
from lexer_core.records import CPU, DeployedModel
from lexer_core.run_scripts import script_with_lexer
from lexer_core.worker.process import WorkerProcess

__all__ = ["ScriptWriter", "engine_script"]

_TIMEOUT = 60.0


class ScriptWriter:
    """Imports a plugin and asks it for the script; runs in a worker process."""

    def write(self, name: str, deployed: DeployedModel) -> str:
        """Return the script."""
        engine = EngineRegistry().get(name)
        if deployed.device.kind != CPU.kind:
            with contextlib.suppress(EngineError):  # measured elsewhere: the device is not here
                deployed = attrs.evolve(deployed, device=engine.find_device(deployed.device.name))
        return engine.run_script(deployed)


def engine_script(name: str, deployed: DeployedModel) -> str:
    """Return a script that runs a deployed model, written by the engine's plugin.

    Raises
    ------
    EngineError
        The plugin failed, or ended or blocked its process.
    """
    try:
        EngineRegistry().ready_listing(name)
    except (EngineError, UnknownEngineError):
        return script_with_lexer(deployed)  # measured elsewhere: the plugin is not here
    try:
        with WorkerProcess.start(
            "lexer_core.deploy.engine_script:ScriptWriter",
            label=f"the script of {name}",
            hosted=ScriptWriter,
        ) as worker:
            script: str = worker.call("write", name, deployed, timeout=_TIMEOUT)
            # Without waiting: runtimes may hang when they shut down.
            worker.close(timeout=0.0)
            return script
    except (WorkerDiedError, WorkerTimeoutError) as error:
        how = (
            f"ended its process: {error.reason}"
            if isinstance(error, WorkerDiedError)
            else f"did not return within {_TIMEOUT:g} s"
        )
        raise EngineError(
            f"engine {name!r} cannot write run.py: lexer_run_script {how}.",
            engine=name,
            hint=error.log,
        ) from error
