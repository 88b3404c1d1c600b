"""What can go wrong, by name?

Every error that Lexer raises on purpose derives from :class:`LexerError`. Its
first line says what happened and where; ``hint`` holds the lines that say what
to do next. On the command line both are printed without a traceback.
"""

from __future__ import annotations

__all__ = [
    "BrokenEngineError",
    "CacheError",
    "DeviceUnavailableError",
    "EngineError",
    "EngineUnavailableError",
    "ExportError",
    "HookError",
    "InputError",
    "LexerError",
    "ModelError",
    "OutputFileError",
    "RemoteError",
    "ReportFormatError",
    "SettingError",
    "StatisticsError",
    "TargetError",
    "UnknownEngineError",
    "UnsupportedError",
    "UsageError",
    "WorkerDiedError",
    "WorkerError",
    "WorkerTimeoutError",
]


class LexerError(Exception):
    """Base of every error that Lexer raises on purpose.

    Parameters
    ----------
    message
        What happened and where, in one line that carries the user's own names.
    hint
        What to do next; may have several lines.
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
        # Errors cross process boundaries; Exception's own reduction would call
        # __init__ with positional arguments only and lose the keyword ones.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    cls: type[LexerError], args: tuple[object, ...], state: dict[str, object]
) -> LexerError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class UsageError(LexerError):
    """The request itself is wrong: nothing was measured because of it."""


class InputError(UsageError):
    """The example inputs or the names given for them do not fit the model."""


class SettingError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""


class TargetError(UsageError):
    """What was to be benchmarked cannot be loaded."""


class OutputFileError(UsageError):
    """A file that results should go to cannot be written."""


class UnknownEngineError(UsageError):
    """No installed plugin provides an engine of that name."""


class ModelError(LexerError):
    """The user's own model raised, or returned nothing that can be compared."""


class ExportError(LexerError):
    """A model could not be turned into a format that an engine accepts."""


class ReportFormatError(LexerError):
    """A saved report is not of the form that it says it has."""


class StatisticsError(LexerError):
    """Samples that cannot be analysed, or a request that statistics cannot answer.

    Parameters
    ----------
    problem
        Which refusal it is, for code that has to tell them apart: ``empty``,
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
    """The export cache cannot be read or written."""


class WorkerError(LexerError):
    """A worker process died, hung, or said something that cannot be understood."""


class WorkerDiedError(WorkerError):
    """A worker process ended before it answered.

    Parameters
    ----------
    label
        Whom the worker was for.
    method
        What it was doing: the method, or the import, that was running.
    reason
        How it ended, in words: ``"killed by SIGSEGV"``, ``"exit code 3"``.
    cause
        ``"signal"``, ``"exit"``, ``"out_of_memory"`` (the system's memory ran
        out), ``"memory_limit"`` (its own limit was exceeded) or ``"unknown"``.
    exit_code
        The exit code, where it ended by itself.
    signal_name
        The signal, where one killed it.
    log
        The last lines that it printed.
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
    """A worker process did not answer in time; it is still there.

    Parameters
    ----------
    label
        Whom the worker is for.
    method
        What it was doing when the time was over.
    seconds
        The time that it had.
    log
        The last lines that it printed.
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
    """What a worker carried out raised something that is no error of Lexer's.

    Parameters
    ----------
    method
        The method that raised.
    type_name
        The exception's type: ``"ValueError"``, ``"package.errors.BadGraph"``.
    remote_message
        The exception's own message, whole.
    traceback
        Its traceback, as text.
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


class EngineError(LexerError):
    """Something about one engine; costs that engine's row and no other.

    Parameters
    ----------
    engine
        The engine's name on the command line.
    """

    def __init__(self, message: str, *, engine: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.engine = engine


class EngineUnavailableError(EngineError):
    """The plugin is installed, but something that it needs is not."""


class BrokenEngineError(EngineError):
    """The plugin itself is wrong: it cannot be loaded or breaks the contract."""


class UnsupportedError(EngineError):
    """The engine works, but not with this model, type or option.

    Raised by an engine, it makes the row *unsupported* instead of *failed*.
    """


class DeviceUnavailableError(EngineError):
    """The device asked for is not there. An engine never falls back silently."""


class HookError(EngineError):
    """A hook raised, or returned what its specification does not allow.

    Parameters
    ----------
    hook
        The hook's name, such as ``lexer_create_session``.
    """

    def __init__(self, message: str, *, engine: str = "", hook: str = "", hint: str = "") -> None:
        super().__init__(message, engine=engine, hint=hint)
        self.hook = hook
