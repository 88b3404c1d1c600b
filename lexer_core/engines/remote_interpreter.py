"""Which engine does another Python interpreter provide?

Engines that cannot share an environment, such as two versions of ONNXRuntime, each
have their own interpreter, with lexer-core and the engine's plugin installed. A worker
in that interpreter takes part in the same rounds. This module asks the interpreter to
describe the engine, which imports no runtime.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core import __version__
from lexer_core.engines.info_data import info_as_data, info_from_data
from lexer_core.engines.registry import EngineRegistry
from lexer_core.engines.states import EngineState
from lexer_core.errors import BrokenEngineError, EngineUnavailableError, UnknownEngineError
from lexer_core.records import Device
from lexer_core.worker.interpreter import interpreter_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.records import EngineInfo, ExportedModel, ModelSource, OptionValue

__all__ = ["RemoteEngine", "describe_engine", "query_interpreter"]

_TIMEOUT = 60.0  # seconds

# Nothing else of the other lexer-core is used unless its version is the same.
_QUERY_SCRIPT = """
import json, platform, sys
answer = {"python": platform.python_version(), "lexer": None}
try:
    import lexer_core
    answer["lexer"] = lexer_core.__version__
    if answer["lexer"] == sys.argv[1]:
        from lexer_core.engines.remote_interpreter import describe_engine
        answer["engine"] = describe_engine(sys.argv[2])
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
        Path or command of the interpreter, as given by the user.
    python_version
        Its version.
    engine
        The engine's name in that interpreter.
    info
        The plugin's description of the engine.
    version
        Version of the runtime; ``None`` if unknown.
    distribution
        Name and version of the plugin's distribution.
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
        """A name that no engine of the current interpreter has."""
        return f"{self.engine} of {self.python}"

    def find_device(self, name: str) -> Device:
        """Return the device without checking it; the worker checks that it is available."""
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
        """Return ``None``: only engines of the current interpreter export."""
        del source, format, device, workdir, options
        return None

    def convert_model(
        self, exported: ExportedModel, precision: str, workdir: Path
    ) -> ExportedModel | None:
        """Return ``None``: only engines of the current interpreter convert."""
        del exported, precision, workdir
        return None


def query_interpreter(python: str, engine: str) -> RemoteEngine:
    """Ask an interpreter to describe one of its engines.

    Parameters
    ----------
    python
        Path of the interpreter, or a command on ``PATH``.
    engine
        The engine's name.

    Raises
    ------
    EngineUnavailableError
        The interpreter does not exist, or does not have this version of lexer-core,
        the plugin or the runtime.
    BrokenEngineError
        The interpreter does not respond, or its plugin is broken.
    """
    answer = _ask(python, engine)
    where = f"{python} (Python {answer.get('python')})"
    version = answer.get("lexer")
    if version != __version__:
        installed = f"has lexer-core {version}" if version else "does not have lexer-core"
        raise EngineUnavailableError(
            f"engine {engine!r} cannot run in {where}, which {installed}; it needs {__version__}.",
            engine=engine,
            hint="Both interpreters need the same version: "
            f"{python} -m pip install 'lexer-core=={__version__}'",
        )
    listing = answer.get("engine")
    if not isinstance(listing, dict):
        raise BrokenEngineError(
            f"lexer-core cannot be imported in {where}: {answer.get('missing', 'no answer')}.",
            engine=engine,
            hint=f"To fix: {python} -m pip install --force-reinstall 'lexer-core=={__version__}'",
        )
    state, reason, remedy = (listing.get(key, "") for key in ("state", "reason", "remedy"))
    if state != EngineState.READY:
        error = BrokenEngineError if state == EngineState.BROKEN else EngineUnavailableError
        raise error(
            f"engine {engine!r} is {state} in {where}: {reason}.",
            engine=engine,
            hint=f"In that environment: {remedy}" if remedy else "",
        )
    version, distribution = listing.get("version"), listing.get("distribution")
    try:
        info = info_from_data(listing.get("info"))
        if not isinstance(version, str | None) or not isinstance(distribution, str):
            raise ValueError("its version and its distribution must be strings")
    except ValueError as problem:
        raise BrokenEngineError(
            f"{where} describes engine {engine!r} wrongly: {problem}.",
            engine=engine,
            hint="Something in that environment prints to standard output after Lexer does.",
        ) from problem
    return RemoteEngine(
        python=python,
        python_version=str(answer.get("python")),
        engine=engine,
        info=info,
        version=version,
        distribution=distribution,
    )


def describe_engine(engine: str) -> dict[str, Any]:
    """Describe an engine of this interpreter as JSON types, for :func:`query_interpreter`."""
    try:
        listing = EngineRegistry().listing(engine)
    except UnknownEngineError as error:
        return {"state": "unknown", "reason": error.message.rstrip("."), "remedy": error.hint}
    facts = {
        name: getattr(listing, name) for name in ("reason", "remedy", "version", "distribution")
    }
    info = None if listing.info is None else info_as_data(listing.info)
    return {**facts, "state": str(listing.state), "info": info}


def _ask(python: str, engine: str) -> dict[str, Any]:
    command = [python, "-P", "-c", _QUERY_SCRIPT, __version__, engine]
    try:
        process = subprocess.run(  # noqa: S603 - the interpreter that the user named
            command,
            env=interpreter_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise EngineUnavailableError(
            f"the interpreter {python} of engine {engine!r} cannot be started: "
            f"{error.strerror or error}.",
            engine=engine,
            hint="Set it to the Python of an environment: /path/to/venv/bin/python.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BrokenEngineError(
            f"the interpreter {python} of engine {engine!r} did not respond within {_TIMEOUT:g} s.",
            engine=engine,
        ) from error
    lines = process.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        output = (process.stderr.strip() or process.stdout.strip()).splitlines()
        raise BrokenEngineError(
            f"the interpreter {python} of engine {engine!r} is not Python 3.11 or later: "
            f"{output[-1] if output else f'it exited with status {process.returncode}'}.",
            engine=engine,
            hint="Set it to the Python of an environment: /path/to/venv/bin/python.",
        )
    return answer
