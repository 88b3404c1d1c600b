"""What is known of an engine that lives in another interpreter?

Engines that cannot share an environment (the variants of ONNXRuntime overwrite
each other; two versions of one engine) each have an interpreter of their own,
where lexer-core and the engine's plugin are installed. A worker started in it
takes part in the same rounds. Beforehand that interpreter is asked what it has,
from metadata alone, as ``lexer engines list`` would.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core import __version__
from lexer_core.engines.states import EngineState
from lexer_core.errors import BrokenEngineError, EngineUnavailableError
from lexer_core.records import Device, EngineInfo, EngineOption
from lexer_core.worker.interpreter import interpreter_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.records import ExportedModel, ModelSource, OptionValue

__all__ = ["RemoteEngine", "describe_for_another", "query_interpreter"]

_TIMEOUT = 60.0
_TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}

# Versions are compared before anything of the other lexer-core is relied on.
_QUESTION = """
import json, platform, sys
answer = {"python": platform.python_version(), "lexer": None}
try:
    import lexer_core
    answer["lexer"] = lexer_core.__version__
    if answer["lexer"] == sys.argv[1]:
        from lexer_core.engines.remote_interpreter import describe_for_another
        answer["engine"] = describe_for_another(sys.argv[2])
except ImportError as error:
    answer["missing"] = str(error)
print(json.dumps(answer))
"""


@frozen(kw_only=True)
class RemoteEngine:
    """An engine in another interpreter.

    Parameters
    ----------
    python
        The interpreter, as it was given.
    python_version
        Its version.
    engine
        The engine's name there.
    info
        What its plugin says of it.
    version
        Version of the runtime, or ``None``.
    distribution
        The plugin's distribution and its version.
    """

    python: str
    python_version: str
    engine: str
    info: EngineInfo
    version: str | None
    distribution: str

    def __str__(self) -> str:
        return f"{self.python} (Python {self.python_version})"

    @property
    def name(self) -> str:
        """A name that no engine of this interpreter has."""
        return f"{self.engine} of {self.python}"

    def find_device(self, name: str) -> Device:
        """Take the device for given: the worker, which can tell, refuses one that is not there."""
        kind, _, index = name.strip().lower().partition(":")
        return Device(kind=kind, index=int(index) if index.isdigit() else 0)

    def export_model(
        self,
        source: ModelSource,
        format: str,
        device: Device,
        workdir: Path,
        options: Mapping[str, OptionValue],
    ) -> ExportedModel | None:
        """Make nothing: exports are made by the engines of this interpreter."""
        del source, format, device, workdir, options
        return None


def query_interpreter(python: str, engine: str, *, timeout: float = _TIMEOUT) -> RemoteEngine:
    """Ask an interpreter for one of its engines.

    Parameters
    ----------
    python
        Path of the interpreter, or a command that is found on ``PATH``.
    engine
        The engine's name there.
    timeout
        Seconds to wait for the answer.

    Raises
    ------
    EngineUnavailableError
        There is no such interpreter, or it lacks lexer-core of this version,
        the plugin, or the runtime.
    BrokenEngineError
        The interpreter gives no answer, or the plugin there is broken.
    """
    answer = _ask(python, engine, timeout)
    where = f"{python} (Python {answer.get('python')})"
    there = answer.get("lexer")
    if there != __version__:
        found = f"has lexer-core {there}" if there else "has no lexer-core"
        raise EngineUnavailableError(
            f"engine {engine!r} cannot be run by {where}, which {found}; {__version__} is needed.",
            engine=engine,
            hint=f"Workers must speak as their parent does: "
            f"{python} -m pip install 'lexer-core=={__version__}'",
        )
    listing = answer.get("engine")
    if not isinstance(listing, dict):
        raise BrokenEngineError(
            f"lexer-core cannot be used by {where}: {answer.get('missing', 'no answer')}.",
            engine=engine,
            hint=f"Mend it: {python} -m pip install --force-reinstall 'lexer-core=={__version__}'",
        )
    if listing["state"] != EngineState.READY:
        error = (
            BrokenEngineError if listing["state"] == EngineState.BROKEN else EngineUnavailableError
        )
        raise error(
            f"engine {engine!r} is {listing['state']} in {where}: {listing['reason']}.",
            engine=engine,
            hint=f"There: {listing['remedy']}" if listing["remedy"] else "",
        )
    return RemoteEngine(
        python=python,
        python_version=str(answer["python"]),
        engine=engine,
        info=_info(listing["info"]),
        version=listing["version"],
        distribution=listing["distribution"],
    )


def describe_for_another(engine: str) -> dict[str, Any]:
    """Say, as JSON types, what this interpreter has; asked by :func:`query_interpreter`."""
    import attrs

    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.errors import UnknownEngineError

    try:
        listing = EngineRegistry().listing(engine)
    except UnknownEngineError as error:
        return {"state": "unknown", "reason": error.message.rstrip("."), "remedy": error.hint}
    facts = {
        name: getattr(listing, name) for name in ("reason", "remedy", "version", "distribution")
    }
    info = None
    if listing.info is not None:
        info = attrs.asdict(listing.info)
        for option in info["options"]:
            option["type"] = option["type"].__name__
    return {**facts, "state": str(listing.state), "info": info}


def _ask(python: str, engine: str, timeout: float) -> dict[str, Any]:
    command = [python, "-P", "-c", _QUESTION, __version__, engine]
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user named
            command,
            env=interpreter_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise EngineUnavailableError(
            f"engine {engine!r} was to be run by {python}, which cannot be started: "
            f"{error.strerror or error}.",
            engine=engine,
            hint="Name the interpreter of an environment: /path/to/venv/bin/python.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BrokenEngineError(
            f"{python}, which was to run engine {engine!r}, gave no answer within {timeout:g} s.",
            engine=engine,
        ) from error
    lines = done.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BrokenEngineError(
            f"{python}, which was to run engine {engine!r}, is no Python 3.11 or later: "
            f"{said[-1] if said else f'it ended with status {done.returncode}'}.",
            engine=engine,
            hint="Name the interpreter of an environment: /path/to/venv/bin/python.",
        )
    return answer


def _info(facts: dict[str, Any]) -> EngineInfo:
    options = tuple(
        EngineOption(
            **{**option, "type": _TYPES[option["type"]], "choices": tuple(option["choices"])}
        )
        for option in facts["options"]
    )
    names = ("runtime_modules", "runtime_distributions", "formats")
    return EngineInfo(
        **{**facts, **{name: tuple(facts[name]) for name in names}, "options": options}
    )
