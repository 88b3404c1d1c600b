"""How does the core talk to one engine?

Only through :class:`Engine`, because the results of pluggy's hooks are untyped. Each
method gives a hook its types, checks the result, and names the engine and the hook in
errors.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import attrs
from attrs import field, frozen

from lexer_core.engine_helpers import error_summary
from lexer_core.engines.answer_checks import (
    WrongAnswerError,
    check_array_call,
    check_context,
    check_elapsed,
    check_placed,
    check_session,
    plain_caveat,
    plain_conversion,
    plain_devices,
    plain_export,
    plain_note,
    plain_operations,
    plain_outputs,
    plain_phases,
    plain_placement,
    plain_precision,
    plain_script,
    plain_tf32,
    plain_timings,
    plain_usage,
)
from lexer_core.errors import DeviceUnavailableError, EngineError, HookError, LexerError, text_of
from lexer_core.records import (
    UNKNOWN_PLACEMENT,
    Call,
    Device,
    DeviceUsage,
    EngineInfo,
    ExportedModel,
    Placement,
    ProfiledOperation,
    SessionPhases,
    Timings,
)
from lexer_core.worker.error_serialization import plain_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from pluggy import HookRelay

    from lexer_core.engines.hook_checks import HookFunction
    from lexer_core.records import (
        CallInputs,
        CallStructure,
        Clock,
        DeployedModel,
        ModelSource,
        OptionValue,
        Session,
        SessionConfig,
    )

__all__ = ["Engine"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@frozen(kw_only=True, eq=False)
class Engine:
    """A ready engine.

    Parameters
    ----------
    name
        The entry point's name, which is the engine's name on the command line.
    info
        The plugin's description of the engine.
    version
        Version of the runtime, from its distribution's metadata; ``None`` if no
        distribution of ``info.runtime_distributions`` is installed.
    distribution
        Name and version of the plugin's distribution: ``"lexer-ort 0.1.0"``.
    runtime_distribution
        The distribution that provides the runtime, such as
        ``"onnxruntime-gpu"``, or ``None``.
    """

    name: str
    info: EngineInfo
    version: str | None
    distribution: str
    runtime_distribution: str | None
    _hooks: HookRelay = field(repr=False)
    _implementations: Mapping[str, HookFunction] = field(repr=False)

    @property
    def keeps_state(self) -> bool:
        """Whether sessions keep state, so that each sample is one call after a reset."""
        return self.implements("lexer_reset_state")

    def implements(self, hook: str) -> bool:
        """Return whether the plugin implements the hook itself."""
        return hook in self._implementations

    @property
    def module(self) -> str:
        """The top-level module of the plugin's code."""
        function = self._implementations["lexer_create_session"].function
        return str(getattr(function, "__module__", "")).partition(".")[0]

    # -- devices ---------------------------------------------------------------

    def list_devices(self) -> tuple[Device, ...]:
        """Return the devices that the engine can use on this machine; may be empty.

        Raises
        ------
        HookError
            The hook raised, or did not return distinct devices.
        """
        hook = "lexer_list_devices"
        return self._checked(hook, plain_devices, self._ask(hook))

    def find_device(self, name: str) -> Device:
        """Return a usable device by name: ``"cpu"``, ``"cuda"``, ``"cuda:0"``, ``"gpu"``.

        Without an index, return the first device of that kind. ``"gpu"`` is the first
        device whose label is GPU, of any kind.

        Raises
        ------
        DeviceUnavailableError
            There is none; the error lists the available devices.
        """
        devices = self.list_devices()
        kind, colon, index = name.strip().lower().partition(":")
        for device in devices:
            if kind not in (device.kind.lower(), device.label.lower()):
                continue
            if not colon or index == str(device.index):
                return device
        usable = ", ".join(device.name for device in devices)
        raise DeviceUnavailableError(
            f"engine {self.name!r} has no device {name!r} on this machine.",
            engine=self.name,
            hint=f"Available devices: {usable}." if usable else "No device is available to it.",
        )

    # -- export and load -------------------------------------------------------

    def export_model(
        self,
        source: ModelSource,
        format: str,
        device: Device,
        workdir: Path,
        options: Mapping[str, OptionValue],
    ) -> ExportedModel | None:
        """Export a model to a format; return ``None`` if the engine does not do that.

        Raises
        ------
        ExportError
            The engine supports the format, but the export failed.
        HookError
            The hook raised, or returned something else.
        """
        hook = "lexer_export_model"
        exported: object = self._ask(
            hook, source=source, format=format, device=device, workdir=workdir, options=options
        )
        if exported is None:
            return None
        return self._checked(hook, plain_export, exported, format)

    def convert_model(
        self, exported: ExportedModel, precision: str, workdir: Path
    ) -> ExportedModel | None:
        """Convert an exported model to a precision; ``None`` if the session does that.

        Raises
        ------
        UnsupportedError
            The engine cannot run this model in this precision.
        HookError
            The hook raised something else, or did not return a model with the same inputs
            and outputs in the given folder.
        """
        hook = "lexer_convert_model"
        converted: object = self._ask(hook, exported=exported, precision=precision, workdir=workdir)
        if converted is None:
            return None
        plain = self._checked(hook, plain_conversion, converted, exported, workdir)
        return attrs.evolve(plain, precision=precision, specific_to=self.name)

    def create_session(
        self, exported: ExportedModel, device: Device, config: SessionConfig
    ) -> Session:
        """Load an exported model on one device, ready to run.

        Raises
        ------
        DeviceUnavailableError, UnsupportedError
            The hook raised it.
        HookError
            The hook raised something else, or did not return a session.
        """
        hook = "lexer_create_session"
        session: Session = self._ask(hook, exported=exported, device=device, config=config)
        self._checked(hook, check_session, session)
        return session

    def phases(self, session: Session, elapsed: float = math.inf) -> SessionPhases:
        """Return how a session spent its load time, as it reports it.

        Parameters
        ----------
        session
            The session.
        elapsed
            Seconds that creating it and placing its inputs took so far, if known.

        Raises
        ------
        HookError
            The attribute ``phases`` of the session is not valid, or reports more time.
        """
        return self._said(session, "phases", None, plain_phases, elapsed)

    def caveat(self, session: Session) -> str:
        """Return why a session's outputs may be wrong, as it reports it; may be empty.

        Raises
        ------
        HookError
            The attribute ``caveat`` of the session is not valid.
        """
        return self._said(session, "caveat", "", plain_caveat)

    def computed_precision(self, session: Session) -> str:
        """Return what a session computes in, as it reports it; empty if it does not.

        Raises
        ------
        HookError
            The attribute ``computed_precision`` of the session is not valid.
        """
        return self._said(session, "computed_precision", "", plain_precision)

    def uses_tf32(self, session: Session) -> bool:
        """Return whether a session computes products of float32 numbers in TF32.

        Raises
        ------
        HookError
            The attribute ``uses_tf32`` of the session is not valid.
        """
        return self._said(session, "uses_tf32", False, plain_tf32)

    def _said(
        self,
        session: Session,
        attribute: str,
        default: object,
        read: Callable[..., Result],
        *more: object,
    ) -> Result:
        """Return what a session reports in an optional attribute."""
        hook = "lexer_create_session"
        with self.naming(hook):
            value: object = getattr(session, attribute, default)
        return self._checked(hook, read, value, *more)

    def place_inputs(self, session: Session, inputs: CallInputs, device: Device) -> object:
        """Move inputs to the session's device, as the engine's own type."""
        hook = "lexer_place_inputs"
        placed: object = self._ask(hook, session=session, inputs=inputs, device=device)
        self._checked(hook, check_placed, placed)
        return placed

    # -- calls -----------------------------------------------------------------

    def make_call(self, session: Session, placed: object) -> Call:
        """Bind a session to its placed inputs.

        Both functions run once per timed call, so ``run`` adds no Python frame and
        ``reset`` is the plugin's own function.
        """
        implementation = self._implementations.get("lexer_reset_state")
        if implementation is None:
            return Call(run=partial(session.run, placed))
        return Call(
            run=partial(session.run, placed),
            reset=implementation.bind(session=session, placed=placed),
        )

    def make_renewing_call(self, session: Session, inputs: CallInputs, device: Device) -> Call:
        """Bind a session to inputs that are placed again before each call, untimed.

        For calls that change their inputs. Like :meth:`make_call`, ``run`` adds no
        Python frame.
        """
        reset_state = self._implementations.get("lexer_reset_state")
        next_inputs: deque[object] = deque(maxlen=1)

        def reset() -> None:
            placed = self.place_inputs(session, inputs, device)
            if reset_state is not None:
                reset_state.bind(session=session, placed=placed)()
            next_inputs.append(placed)

        calls = map(session.run, map(deque.popleft, repeat(next_inputs)))
        return Call(run=calls.__next__, reset=reset)

    def relax_call_context(self, session: Session, error: Exception) -> str:
        """Make a session's context less strict after a call raised an error in it.

        Returns
        -------
        str
            What changed, for the reader of the row; the call should be made again with
            inputs that are placed again. Empty: the error is final.
        """
        hook = "lexer_create_session"
        with self.naming(hook):
            relax: Callable[[Exception], object] | None = getattr(
                session, "relax_call_context", None
            )
            note = "" if relax is None else relax(error)
        return self._checked(hook, plain_note, note)

    def array_call(
        self, session: Session, structure: CallStructure
    ) -> Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[Any]]] | None:
        """Return the session's own function from arrays to arrays; ``None`` if it has none.

        A session that keeps state has none, because each call follows a reset.
        """
        if self.keeps_state:
            return None
        hook = "lexer_create_session"
        with self.naming(hook):
            make: Callable[[CallStructure], Any] | None = getattr(session, "array_call", None)
            call: Callable[[Mapping[str, Any]], dict[str, Any]] | None = (
                None if make is None else make(structure)
            )
        self._checked(hook, check_array_call, call)
        return call

    def call_context(self, session: Session) -> AbstractContextManager[object]:
        """Return the context to enter around a series of calls, a null context by default."""
        hook = "lexer_create_session"
        with self.naming(hook):
            make: Callable[[], Any] | None = getattr(session, "call_context", None)
            context: AbstractContextManager[object] = nullcontext() if make is None else make()
        self._checked(hook, check_context, context)
        return context

    def synchronize(self, session: Session, device: Device) -> None:
        """Wait until the device has completed all submitted work."""
        self._ask("lexer_synchronize", session=session, device=device)

    def time_calls(
        self, session: Session, call: Call, count: int, loops: int, device: Device, clock: Clock
    ) -> Timings:
        """Time one block: ``count`` samples, each the mean of ``loops`` calls.

        Returns
        -------
        Timings
            ``host``: float64 of shape ``(count,)``, in seconds per call, finite and
            positive. ``device`` likewise, or ``None``.

        Raises
        ------
        ValueError
            ``count`` or ``loops`` is less than 1, or ``loops`` is more than 1 for a
            call with a reset.
        HookError
            The hook or a call raised, or the timings are not valid.
        """
        if count < 1 or loops < 1:
            raise ValueError(f"count and loops must be at least 1, not {count} and {loops}")
        if call.reset is not None and loops != 1:
            raise ValueError(f"a call with a reset must be timed alone, not in {loops} loops")
        hook = "lexer_time_calls"
        timings: object = self._ask(
            hook,
            session=session,
            call=call,
            count=count,
            loops=loops,
            device=device,
            clock=clock,
        )
        return self._checked(hook, plain_timings, timings, count)

    def check_elapsed(self, timings: Timings, loops: int, elapsed: float) -> None:
        """Compare the times of a block with the time that it took.

        Parameters
        ----------
        timings, loops
            The result of :meth:`time_calls`, and its calls per sample.
        elapsed
            Seconds that :meth:`time_calls` took.

        Raises
        ------
        HookError
            The times add up to more, as those in another unit than seconds do.
        """
        self._checked("lexer_time_calls", check_elapsed, timings, loops, elapsed)

    # -- after the calls -------------------------------------------------------

    def fetch_outputs(
        self, session: Session, outputs: object, expected: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Convert the outputs of one call to numpy arrays by output name.

        Parameters
        ----------
        session, outputs
            The session, and the result of its ``run``.
        expected
            Exact names of the outputs; the result has their order. ``None`` accepts
            any names.

        Raises
        ------
        HookError
            The hook raised, or did not return these arrays.
        """
        hook = "lexer_fetch_outputs"
        arrays: object = self._ask(hook, session=session, outputs=outputs)
        return self._checked(hook, plain_outputs, arrays, expected)

    def describe_placement(self, session: Session) -> Placement:
        """Return where the session's work is executed; unknown if the engine does not report it."""
        hook = "lexer_describe_placement"
        placement: object = self._ask(hook, session=session)
        if placement is None:
            return UNKNOWN_PLACEMENT
        return self._checked(hook, plain_placement, placement)

    def profile_calls(
        self, session: Session, call: Call, count: int
    ) -> tuple[ProfiledOperation, ...] | None:
        """Profile ``count`` calls; return ``None`` if the engine cannot tell where time goes.

        Raises
        ------
        UnsupportedError
            The engine cannot profile this session.
        HookError
            The hook or a call raised, or the operations are not valid, or take more time
            than the calls.
        """
        hook = "lexer_profile_calls"
        start = time.perf_counter()
        operations: object = self._ask(hook, session=session, call=call, count=count)
        elapsed = time.perf_counter() - start
        if operations is None:
            return None
        return self._checked(hook, plain_operations, operations, elapsed)

    def run_script(self, deployed: DeployedModel) -> str:
        """Return a script that runs a deployed model without Lexer.

        Raises
        ------
        HookError
            The hook raised, or did not return Python source.
        """
        hook = "lexer_run_script"
        script: object = self._ask(hook, deployed=deployed)
        return self._checked(hook, plain_script, script)

    def device_usage(self, session: Session) -> DeviceUsage:
        """Return what a session used of its device; unknown if it does not report it.

        Raises
        ------
        HookError
            The function ``device_usage`` of the session raised, or returned something else.
        """
        hook = "lexer_create_session"
        with self.naming(hook):
            ask: Callable[[], object] | None = getattr(session, "device_usage", None)
            usage = None if ask is None else ask()
        return self._checked(hook, plain_usage, usage)

    # -- errors ----------------------------------------------------------------

    @contextmanager
    def naming(self, hook: str) -> Iterator[None]:
        """Name this engine and a hook in every error that is raised in the context.

        A :class:`LexerError` gets the engine's name; any other exception becomes the
        cause of a :class:`HookError`. Also use it around plugin code that is not a
        hook, such as ``session.run``.
        """
        try:
            yield
        except LexerError as error:
            plain = plain_error(error)
            if isinstance(plain, EngineError):
                plain.engine = plain.engine or self.name
            if isinstance(plain, HookError):
                plain.hook = plain.hook or hook
            if plain is error:
                raise
            raise plain from error
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # including SystemExit
            raise HookError(
                f"engine {self.name!r}: {hook} raised {error_summary(error)}",
                engine=self.name,
                hook=hook,
                hint="\n".join(text_of(error).strip().splitlines()[1:20]),
            ) from error

    def _ask(self, hook: str, **arguments: object) -> Any:
        with self.naming(hook):
            return getattr(self._hooks, hook)(**arguments)

    def _checked(
        self,
        hook: str,
        check: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Return the result of a check, which may call methods of the plugin's objects."""
        with self.naming(hook):
            try:
                return check(*args, **kwargs)
            except WrongAnswerError as wrong:
                raise self._refusal(hook, wrong) from None

    def _refusal(self, hook: str, wrong: WrongAnswerError) -> HookError:
        whose, hint = "", wrong.hint
        if not self.implements(hook):
            whose = " (the default)"
            hint += f"\nThe plugin does not implement {hook}; this engine needs it."
        return HookError(
            f"engine {self.name!r}: {hook}{whose} {wrong.what}.",
            engine=self.name,
            hook=hook,
            hint=hint,
        )
