"""Which errors does Lexer raise?

All of them derive from :class:`LexerError`. The first line of an error says what
happened and where; the lines of its ``hint`` say what to do. The command line prints
both, without a traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from traceback import FrameSummary

__all__ = [
    "ArtifactError",
    "BrokenEngineError",
    "CacheError",
    "DeploymentError",
    "DeviceUnavailableError",
    "EngineError",
    "EngineUnavailableError",
    "ExportError",
    "FleetError",
    "HookError",
    "InputError",
    "LexerError",
    "MissingPackageError",
    "ModelError",
    "OutputFileError",
    "RemoteError",
    "ReportFormatError",
    "SettingError",
    "StandardOutputError",
    "StatisticsError",
    "TargetError",
    "TemporaryFolderError",
    "UnknownEngineError",
    "UnsupportedError",
    "UsageError",
    "WorkerDiedError",
    "WorkerError",
    "WorkerTimeoutError",
]


_LIBRARIES = {"site-packages", "dist-packages", "lexer_core", "lexer", "IPython"}
"""Folders of code that is not the user's."""


class LexerError(Exception):
    """Base class of all errors that Lexer raises.

    What to do: print the error. Its text is the message followed by the hint.

    Parameters
    ----------
    message
        What happened and where, in one line.
    hint
        How to fix it, in one or more lines.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        indented = "\n".join(f"  {line}" for line in self.hint.splitlines())
        return f"{self.message}\n{indented}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries, and Exception.__reduce__ would lose the
        # keyword arguments of __init__.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show instead of a traceback.

        The user's own lines and the message; all frames would push both out of sight.
        """
        lines = []
        for frame in _user_frames(self):
            # The code of a cell has the name of a file that does not exist.
            where = frame.filename if Path(frame.filename).is_file() else "Cell"
            function = "" if frame.name == "<module>" else f", in {frame.name}"
            lines += [f"{where}, line {frame.lineno}{function}", f"    {frame.line}", ""]
        lines += f"{type(self).__name__}: {text_of(self)}".splitlines()
        # Longer ones are what a worker printed.
        lines += [note for note in getattr(self, "__notes__", ()) if "\n" not in note]
        return [
            *lines,
            "",
            "All frames: import sys, traceback; traceback.print_exception(sys.last_value)",
        ]


def _user_frames(error: BaseException) -> Iterator[FrameSummary]:
    """Yield the frames of an error and of its causes that are in the user's own code."""
    from traceback import extract_tb  # few runs show one

    seen: BaseException | None = error
    while seen is not None:
        for frame in extract_tb(seen.__traceback__):
            if not _LIBRARIES.intersection(Path(frame.filename).parts):
                yield frame
        seen = seen.__cause__


def text_of(value: object) -> str:
    """Return ``str(value)``, whatever a plugin's exception or object does in ``__str__``."""
    try:
        return str.__str__(value if isinstance(value, str) else str(value))
    except (Exception, SystemExit) as broken:
        return f"(str() of the {type(value).__name__} raised {type(broken).__name__})"


def _rebuild(
    cls: type[LexerError], args: tuple[object, ...], state: dict[str, object]
) -> LexerError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class UsageError(LexerError):
    """The request is wrong, so nothing was measured.

    What to do: change the request as the message says. Repeating it unchanged
    raises the same error.
    """


class InputError(UsageError):
    """The example inputs or their names do not match the model.

    What to do: compare the inputs and names with those that the model takes, which
    the message lists. The inputs of an ``.onnx`` file have the names in its graph.
    """


class SettingError(UsageError):
    """A setting is unknown, has the wrong type or is out of range.

    What to do: correct it where the message says that it is set. docs/settings.md
    lists all settings and their ranges. To list the options of an engine, run
    ``lexer engines show NAME``.
    """


class TargetError(UsageError):
    """The target of the benchmark cannot be loaded.

    What to do: check that the file or module exists, defines the name and can be
    imported on its own. ``lexer --debug`` shows the traceback of a failed import.
    """


class OutputFileError(UsageError):
    """An output file cannot be written.

    What to do: choose a file in an existing, writable folder.

    Attributes
    ----------
    report
        What should have been written, if it was measured before; else ``None``.
    """

    report: object = None


class StandardOutputError(OutputFileError):
    """Standard output cannot be written.

    What to do: redirect it to a file with enough space. A file that was named with
    ``-o`` was written all the same.
    """


class ArtifactError(UsageError):
    """A saved benchmark cannot be read, or its contents are invalid.

    What to do: check that Lexer wrote the file. If it was truncated in transfer,
    copy it again. Reading such a file never runs code from it.
    """


class DeploymentError(UsageError):
    """A row cannot be saved to a folder, or a folder is not a valid deployment.

    What to do: follow the hint. Save a damaged folder again.
    """


class MissingPackageError(UsageError):
    """The request needs a package that is not installed.

    What to do: run the command in the hint.
    """


class UnknownEngineError(UsageError):
    """No installed plugin provides an engine of that name.

    What to do: choose a name from ``lexer engines list``, or install the package
    that provides the engine in the same environment.
    """


class FleetError(LexerError):
    """The machines of a fleet cannot be reached, or are gone.

    What to do: check the address, the certificates, and that the scheduler runs. Then
    start the same command again: it goes on with what is missing.
    """


class ModelError(LexerError):
    """The user's model raised an exception, or its outputs cannot be compared.

    What to do: call the model without Lexer, in eval mode and with the same inputs,
    and fix it until it returns tensors.
    """


class ExportError(LexerError):
    """A model could not be exported to a format that an engine accepts.

    What to do: fix what the exporter's message points at. The older exporter
    (``exporter="torchscript"``) exports some models that the newer one does not.
    Engines that need no export are measured anyway.
    """


class ReportFormatError(LexerError):
    """A saved report does not have the format that it declares.

    What to do: read it with lexer-core of the same or a newer version than wrote
    it. If the report was edited, measure again.
    """


class StatisticsError(LexerError):
    """The samples cannot be analysed, or do not support the requested analysis.

    What to do: check ``problem``. If there are too few rounds, launches or cases,
    measure more of them. Otherwise the samples are invalid.

    Parameters
    ----------
    problem
        The kind of problem, for use in code: ``empty``,
        ``not_a_number``, ``infinite``, ``not_positive``, ``not_numeric``,
        ``wrong_shape``, ``unequal_counts``, ``scattered_rounds``,
        ``no_common_rounds``, ``constant_order``, ``too_few_cases``,
        ``too_few_rounds``, ``too_few_launches``, ``unknown_case`` or
        ``out_of_range``.
    """

    def __init__(self, message: str, *, problem: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problem = problem


class CacheError(LexerError):
    """The export cache cannot be read or written.

    What to do: check the folder that ``lexer cache path`` prints, set
    ``LEXER_CACHE_DIR`` to another one, or disable the cache (``use_cache=False``).
    """


class TemporaryFolderError(LexerError):
    """A folder for temporary files cannot be created.

    What to do: free some space in the system's temporary folder, or set ``TMPDIR``
    to a writable folder.
    """


class WorkerError(LexerError):
    """A worker process died, hung or violated the protocol.

    In a benchmark it affects one row, and is stored as the row's ``error``. It is
    raised only if it does not belong to a row.

    What to do: read the end of the worker's output, in ``error.log``.
    """


class WorkerDiedError(WorkerError):
    """A worker process ended before it replied.

    What to do: if ``cause`` is ``out_of_memory`` or ``memory_limit``, provide more
    memory or use a smaller batch. A signal such as SIGSEGV means that the runtime
    crashed; report it to the runtime's authors.

    Parameters
    ----------
    label
        The engine or model that the worker was running.
    method
        The method or import that was running.
    reason
        How the process ended, in words: ``"killed by SIGSEGV"``, ``"exit code 3"``.
    cause
        ``"signal"``, ``"exit"``, ``"out_of_memory"`` (the system ran out of
        memory), ``"memory_limit"`` (the worker exceeded its own limit) or
        ``"unknown"``.
    exit_code
        The exit code, if the process exited.
    signal_name
        The signal, if one killed the process.
    log
        The last lines of the worker's output.
    """

    def __init__(
        self,
        message: str,
        *,
        label: str = "",
        method: str = "",
        reason: str = "",
        cause: str = "unknown",
        exit_code: int | None = None,
        signal_name: str | None = None,
        log: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.label = label
        self.method = method
        self.reason = reason
        self.cause = cause
        self.exit_code = exit_code
        self.signal_name = signal_name
        self.log = log


class WorkerTimeoutError(WorkerError):
    """A worker process did not reply in time; it is still running.

    What to do: if the work takes that long, raise ``load_timeout`` or
    ``call_timeout``. Otherwise it hangs; the log shows where.

    Parameters
    ----------
    label
        The engine or model that the worker is running.
    method
        The method that was running when the time limit was reached.
    seconds
        The time limit, in seconds.
    log
        The last lines of the worker's output.
    """

    def __init__(
        self,
        message: str,
        *,
        label: str = "",
        method: str = "",
        seconds: float = 0.0,
        log: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.label = label
        self.method = method
        self.seconds = seconds
        self.log = log


class RemoteError(WorkerError):
    """The model or the runtime raised an exception in a worker process.

    What to do: read ``remote_message`` and ``traceback``, which are those of the
    original exception.

    Parameters
    ----------
    method
        The method that raised it.
    type_name
        The exception's type: ``"ValueError"``, ``"package.errors.BadGraph"``.
    remote_message
        The exception's complete message.
    traceback
        The exception's traceback, as text.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        type_name: str = "",
        remote_message: str = "",
        traceback: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.method = method
        self.type_name = type_name
        self.remote_message = remote_message
        self.traceback = traceback


class LimitError(LexerError):
    """A configuration of a tuning exceeds a limit; it affects only that configuration.

    What to do: nothing, or relax the limit.
    """


class EngineError(LexerError):
    """A problem of one engine; it affects only that engine's row.

    What to do: run ``lexer engines show NAME`` for details, or leave the engine out.

    Parameters
    ----------
    engine
        The engine's name, as on the command line.
    """

    def __init__(self, message: str, *, engine: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.engine = engine


class EngineUnavailableError(EngineError):
    """The plugin is installed, but something that it needs is not.

    What to do: run the command in the hint.
    """


class BrokenEngineError(EngineError):
    """The plugin cannot be loaded, or violates the contract.

    What to do: run ``lexer engines show NAME`` for the full reason. Update or
    uninstall the plugin, or report the problem to its author.
    """


class UnsupportedError(EngineError):
    """The engine does not support this model, element type or option.

    An engine raises it to mark its row as *unsupported* instead of *failed*.

    What to do: change what the message names, or leave the engine out.
    """


class DeviceUnavailableError(EngineError):
    """The requested device is not available. An engine never falls back silently.

    What to do: choose a device from ``lexer engines list --probe``.
    """


class HookError(EngineError):
    """A hook raised an exception, or its result violates its specification.

    What to do: report it to the plugin's author. The message names the engine, the
    hook and the problem.

    Parameters
    ----------
    hook
        The hook's name, such as ``lexer_create_session``.
    """

    def __init__(self, message: str, *, engine: str = "", hook: str = "", hint: str = "") -> None:
        super().__init__(message, engine=engine, hint=hint)
        self.hook = hook
