"""How does the core talk to one engine?

Through :class:`Engine`, and through nothing else: pluggy's hook results are
untyped, so nobody outside this module touches them. Each method gives its hook
a type, checks what came back, and names the engine and the hook in the error.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lexer_core.engines.answer_checks import (
    WrongAnswer,
    wrong_context,
    wrong_devices,
    wrong_export,
    wrong_outputs,
    wrong_placement,
    wrong_session,
    wrong_timings,
    wrong_type,
)
from lexer_core.engines.exceptions import exception_summary
from lexer_core.errors import DeviceUnavailableError, EngineError, HookError, LexerError
from lexer_core.records import (
    UNKNOWN_PLACEMENT,
    Call,
    Device,
    EngineInfo,
    ExportedModel,
    Placement,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from pluggy import HookRelay

    from lexer_core.engines.hook_checks import HookFunction
    from lexer_core.records import (
        CallInputs,
        Clock,
        ModelSource,
        OptionValue,
        Session,
        SessionConfig,
    )

__all__ = ["Engine"]


@frozen(kw_only=True, eq=False)
class Engine:
    """One ready engine, with types.

    Parameters
    ----------
    name
        The entry point's name: what the engine is called on the command line.
    info
        What the plugin says of the engine.
    version
        Version of the runtime, from its distribution's metadata; ``None`` where
        no distribution of ``info.runtime_distributions`` is installed.
    distribution
        The plugin's distribution and its version: ``"lexer-ort 0.1.0"``.
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
        """Whether the plugin itself implements the hook, rather than the core's default."""
        return hook in self._implementations

    # -- devices ---------------------------------------------------------------

    def list_devices(self) -> tuple[Device, ...]:
        """List the devices that the engine can use here and now; may be empty.

        Raises
        ------
        HookError
            The hook raised, or returned something other than distinct devices.
        """
        hook = "lexer_list_devices"
        devices: Sequence[Device] = self._ask(hook)
        self._refuse(hook, wrong_devices(devices))
        return tuple(devices)

    def find_device(self, name: str) -> Device:
        """Find a usable device by its name: ``"cpu"``, ``"cuda"``, ``"cuda:0"``, ``"gpu"``.

        Without an index the first of that kind is meant. ``"gpu"`` is the first
        device that results would show as GPU, whatever its kind.

        Raises
        ------
        DeviceUnavailableError
            There is none; the error lists the devices that are there.
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
            f"engine {self.name!r} has no device {name!r} here.",
            engine=self.name,
            hint=f"Devices that it can use: {usable}." if usable else "It can use no device here.",
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
        """Turn a model into a format; ``None`` where the engine does not make it.

        Raises
        ------
        ExportError
            The engine makes the format, but not from this model.
        HookError
            The hook raised, or what it returned is not that export.
        """
        hook = "lexer_export_model"
        exported: ExportedModel | None = self._ask(
            hook, source=source, format=format, device=device, workdir=workdir, options=options
        )
        if exported is not None:
            self._refuse(hook, wrong_export(exported, format))
        return exported

    def create_session(
        self, exported: ExportedModel, device: Device, config: SessionConfig
    ) -> Session:
        """Load an exported model on one device, ready to run.

        Raises
        ------
        DeviceUnavailableError, UnsupportedError
            As the hook raised them.
        HookError
            The hook raised something else, or returned no session.
        """
        hook = "lexer_create_session"
        session: Session = self._ask(hook, exported=exported, device=device, config=config)
        self._refuse(hook, wrong_session(session))
        return session

    def place_inputs(self, session: Session, inputs: CallInputs, device: Device) -> object:
        """Move example inputs to the session's device, in the engine's own type."""
        hook = "lexer_place_inputs"
        placed: object = self._ask(hook, session=session, inputs=inputs, device=device)
        if placed is None:
            self._refuse(hook, wrong_type(placed, "what session.run takes"))
        return placed

    # -- calls -----------------------------------------------------------------

    def make_call(self, session: Session, placed: object) -> Call:
        """Bind a session to its placed inputs.

        ``run`` adds no Python frame to the session's own, and ``reset`` is the
        plugin's function itself: both are called once per measured call.
        """
        implementation = self._implementations.get("lexer_reset_state")
        if implementation is None:
            return Call(run=partial(session.run, placed))
        return Call(
            run=partial(session.run, placed),
            reset=implementation.bind(session=session, placed=placed),
        )

    def call_context(self, session: Session) -> AbstractContextManager[object]:
        """Make what is entered around a series of calls: the session's own, or nothing."""
        make: Callable[[], Any] | None = getattr(session, "call_context", None)
        if make is None:
            return nullcontext()
        hook = "lexer_create_session"
        with self.naming(hook):
            context: AbstractContextManager[object] = make()
        self._refuse(hook, wrong_context(context))
        return context

    def synchronize(self, session: Session, device: Device) -> None:
        """Return when all work handed to the device is done."""
        self._ask("lexer_synchronize", session=session, device=device)

    def time_calls(
        self, session: Session, call: Call, count: int, loops: int, device: Device, clock: Clock
    ) -> Timings:
        """Time one block: ``count`` samples, each the mean of ``loops`` calls.

        Returns
        -------
        Timings
            ``host``: float64 of shape ``(count,)``, seconds per call, finite
            and above 0; ``device`` likewise, or ``None``.

        Raises
        ------
        ValueError
            ``count`` or ``loops`` is below 1, or ``loops`` above 1 with a call
            that is to be reset.
        HookError
            The hook or a call raised, or the timings are not as above.
        """
        if count < 1 or loops < 1:
            raise ValueError(f"count and loops are at least 1, not {count} and {loops}")
        if call.reset is not None and loops != 1:
            raise ValueError(f"a call that is reset is timed alone, not in {loops} loops")
        hook = "lexer_time_calls"
        timings: Timings = self._ask(
            hook,
            session=session,
            call=call,
            count=count,
            loops=loops,
            device=device,
            clock=clock,
        )
        self._refuse(hook, wrong_timings(timings, count))
        return timings

    # -- after the calls -------------------------------------------------------

    def fetch_outputs(
        self, session: Session, outputs: object, expected: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Turn the outputs of one call into named numpy arrays.

        Parameters
        ----------
        session, outputs
            The session, and what its ``run`` returned.
        expected
            Names that must be there, and no others; the result is then in this
            order. ``None`` accepts any names.

        Raises
        ------
        HookError
            The hook raised, or did not return those arrays.
        """
        hook = "lexer_fetch_outputs"
        arrays: Mapping[str, npt.NDArray[Any]] = self._ask(hook, session=session, outputs=outputs)
        self._refuse(hook, wrong_outputs(arrays, expected))
        return {name: arrays[name] for name in (arrays if expected is None else expected)}

    def describe_placement(self, session: Session) -> Placement:
        """Say where the session's work really runs; unknown where the engine does not say."""
        hook = "lexer_describe_placement"
        placement: Placement | None = self._ask(hook, session=session)
        if placement is None:
            return UNKNOWN_PLACEMENT
        self._refuse(hook, wrong_placement(placement))
        return placement

    # -- errors ----------------------------------------------------------------

    @contextmanager
    def naming(self, hook: str) -> Iterator[None]:
        """Name this engine and a hook in every error that is raised within.

        A :class:`LexerError` passes through with its engine filled in; any
        other exception becomes a :class:`HookError` that was raised from it.
        Use it around code of the plugin that is called without a hook, such as
        ``session.run``.
        """
        try:
            yield
        except EngineError as error:
            error.engine = error.engine or self.name
            if isinstance(error, HookError):
                error.hook = error.hook or hook
            raise
        except LexerError:
            raise
        except (Exception, SystemExit) as error:
            raise HookError(
                f"engine {self.name!r}: {hook} raised {exception_summary(error)}",
                engine=self.name,
                hook=hook,
                hint="\n".join(str(error).strip().splitlines()[1:20]),
            ) from error

    def _ask(self, hook: str, **arguments: object) -> Any:
        with self.naming(hook):
            return getattr(self._hooks, hook)(**arguments)

    def _refuse(self, hook: str, wrong: WrongAnswer | None) -> None:
        if wrong is None:
            return
        whose, hint = "", wrong.hint
        if not self.implements(hook):
            whose = " (the core's default)"
            hint += f"\nThe plugin does not implement {hook}; this engine needs it."
        raise HookError(
            f"engine {self.name!r}: {hook}{whose} {wrong.what}.",
            engine=self.name,
            hook=hook,
            hint=hint,
        )
