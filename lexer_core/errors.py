"""What can go wrong, by name?

Every error that Lexer raises on purpose derives from :class:`LexerError`. Its
first line says what happened and where; ``hint`` holds the lines that say what
to do next. On the command line both are printed without a traceback.
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "BrokenEngineError",
    "CacheError",
    "DeviceUnavailableError",
    "EngineError",
    "EngineUnavailableError",
    "ExportError",
    "HookError",
    "InputError",
    "LexerError",
    "MissingPackageError",
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

    What to do: show it whole; behind the first line of its text stands the hint.

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
    """The request itself is wrong: nothing was measured because of it.

    What to do: change the request as the message says. Asking again for the same
    gives the same error.
    """


class InputError(UsageError):
    """The example inputs or the names given for them do not fit the model.

    What to do: compare what the message says that the model takes with the
    inputs and names that were given. An ``.onnx`` file takes the names of its
    graph.
    """


class SettingError(UsageError):
    """A setting is unknown, of the wrong type or out of range.

    What to do: correct it in the place that the message names. docs/settings.md
    lists every setting with its range, ``lexer engines show NAME`` the options
    of an engine.
    """


class TargetError(UsageError):
    """What was to be benchmarked cannot be loaded.

    What to do: check that the file, the module and the name in it are there,
    and that they can be imported by themselves; ``lexer --debug`` shows where
    an import ended.
    """


class OutputFileError(UsageError):
    """A file that results should go to cannot be written.

    What to do: name a file in a folder that is there and may be written to.
    """


class ArtifactError(UsageError):
    """A saved benchmark cannot be read, or is not what it says it is.

    What to do: name a file that Lexer wrote, and copy it again where it was cut
    short on its way. Nothing in such a file is run.
    """


class MissingPackageError(UsageError):
    """A package that is not installed is needed for what was asked.

    What to do: run the command in the hint.
    """


class UnknownEngineError(UsageError):
    """No installed plugin provides an engine of that name.

    What to do: take a name from ``lexer engines list``, or install the package
    that provides the engine into the same environment.
    """


class ModelError(LexerError):
    """The user's own model raised, or returned nothing that can be compared.

    What to do: call the model by itself with the same inputs, in eval mode,
    until it returns tensors.
    """


class ExportError(LexerError):
    """A model could not be turned into a format that an engine accepts.

    What to do: the reason is the exporter's own; change what it points at. The
    older exporter (``exporter="torchscript"``) takes some models that the newer
    one refuses. Engines that need no export are measured all the same.
    """


class ReportFormatError(LexerError):
    """A saved report is not of the form that it says it has.

    What to do: read it with a lexer-core at least as new as the one that wrote
    it. One that was altered has to be measured again.
    """


class StatisticsError(LexerError):
    """Samples that cannot be analysed, or a request that statistics cannot answer.

    What to do: look at ``problem``. Where there is too little of something, take
    more rounds or launches; otherwise the samples themselves are wrong.

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
    """The export cache cannot be read or written.

    What to do: see to the folder that ``lexer cache path`` prints, name another
    one in ``LEXER_CACHE_DIR``, or do without (``use_cache=False``).
    """


class WorkerError(LexerError):
    """A worker process died, hung, or said something that cannot be understood.

    In a benchmark it costs one row, as the row's ``error``, and is raised only
    where there is no row that it belongs to.

    What to do: read what the worker printed last, in ``error.log``.
    """


class WorkerDiedError(WorkerError):
    """A worker process ended before it answered.

    What to do: after ``out_of_memory`` or ``memory_limit``, give it more memory
    or a smaller batch. A signal such as SIGSEGV is a crash within the runtime,
    which its authors will want to know of.

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

    What to do: raise ``load_timeout`` or ``call_timeout`` where the work takes
    that long; otherwise it hangs, and the log says where.

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

    What to do: read ``remote_message`` and ``traceback``: they are the model's or
    the runtime's own.

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

    What to do: ``lexer engines show NAME`` says what is known of the engine. The
    others can be measured without it.

    Parameters
    ----------
    engine
        The engine's name on the command line.
    """

    def __init__(self, message: str, *, engine: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.engine = engine


class EngineUnavailableError(EngineError):
    """The plugin is installed, but something that it needs is not.

    What to do: run the command in the hint.
    """


class BrokenEngineError(EngineError):
    """The plugin itself is wrong: it cannot be loaded or breaks the contract.

    What to do: ``lexer engines show NAME`` gives the reason in full. Update the
    plugin, remove it, or tell its author.
    """


class UnsupportedError(EngineError):
    """The engine works, but not with this model, type or option.

    Raised by an engine, it makes the row *unsupported* instead of *failed*.

    What to do: change what the reason names, or leave the engine out.
    """


class DeviceUnavailableError(EngineError):
    """The device asked for is not there. An engine never falls back silently.

    What to do: take a device from ``lexer engines list --probe``.
    """


class HookError(EngineError):
    """A hook raised, or returned what its specification does not allow.

    What to do: where the hook is not yours, tell the plugin's author; the
    message names the engine, the hook and what it did.

    Parameters
    ----------
    hook
        The hook's name, such as ``lexer_create_session``.
    """

    def __init__(self, message: str, *, engine: str = "", hook: str = "", hint: str = "") -> None:
        super().__init__(message, engine=engine, hint=hint)
        self.hook = hook
