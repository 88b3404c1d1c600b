"""What does a check get to examine an engine?"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from lexer_core.engines.choice import resolve_options
from lexer_core.engines.disturbances import ProcessState
from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.records import SessionConfig
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.models import build_model
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.process_state import original_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from lexer_core.engines.engine import Engine
    from lexer_core.engines.states import EngineListing
    from lexer_core.records import Call, Device, ExportedModel, Session
    from lexer_core.testing.declarations import EngineUnderTest
    from lexer_core.testing.fresh_listing import ListingFacts
    from lexer_core.testing.model_zoo import Arrays, ModelCase

__all__ = ["EngineFixture", "OpenSession"]


@define(kw_only=True, eq=False)
class OpenSession:
    """A session of the engine, with the means to call it like a benchmark."""

    engine: Engine
    session: Session
    device: Device
    case: ModelCase
    exported: ExportedModel

    def call(self, arrays: Arrays) -> Call:
        """Place inputs and bind the session to them."""
        inputs = self.case.call_inputs(arrays)
        with self.engine.call_context(self.session):
            placed = self.engine.place_inputs(self.session, inputs, self.device)
        return self.engine.make_call(self.session, placed)

    def run(self, call: Call) -> Any:
        """Execute a call to completion; return the engine's own outputs."""
        with self.engine.call_context(self.session):
            with self.engine.naming("session.run"):
                if call.reset is not None:
                    call.reset()
                outputs = call.run()
            self.engine.synchronize(self.session, self.device)
        return outputs

    @property
    def caveat(self) -> str:
        """Why the outputs for the inputs of the last call may be wrong."""
        return str(getattr(self.session, "caveat", ""))

    def fetch(self, outputs: object) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a call as named arrays."""
        with self.engine.call_context(self.session):
            return self.engine.fetch_outputs(self.session, outputs)

    def answer(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Place inputs, make a call and fetch its outputs."""
        return self.fetch(self.run(self.call(arrays)))


@define(kw_only=True, eq=False)
class EngineFixture:
    """The engine under test.

    Parameters
    ----------
    declared
        The author's declarations.
    folder
        An empty folder for models.
    isolated
        Whether this process is used for the engine only.
    is_declared
        Whether there are declarations. If so, a missing one is a failure; an
        engine checked by name only is skipped instead.

    Attributes
    ----------
    long_run, fresh_calls
        What several checks read from 1000 calls, and from slow calls on new inputs by
        model, once measured.
    """

    declared: type[EngineUnderTest]
    folder: Path
    isolated: bool
    is_declared: bool = True
    long_run: Any = field(default=None, init=False)
    fresh_calls: dict[str, Any] = field(factory=dict, init=False)
    # From before the plugin was imported in this process and may have changed it.
    _original: dict[str, Any] = field(factory=original_state, init=False)
    _before: ProcessState = field(factory=ProcessState, init=False)
    _environment: dict[str, str] = field(factory=lambda: dict(os.environ), init=False)
    _registry: EngineRegistry = field(factory=partial(EngineRegistry, in_process=True), init=False)
    _models: dict[str, ExportedModel] = field(factory=dict, init=False)
    _folders: int = field(default=0, init=False)
    _fresh_listing: ListingFacts | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The engine's name on the command line."""
        return self.declared.engine_name

    @property
    def listing(self) -> EngineListing:
        """The engine's entry in ``lexer engines list``."""
        return self._registry.listing(self.name)

    @property
    def engine(self) -> Engine:
        """The engine; skips the check if it is not ready."""
        listing = self.listing
        if listing.state is not EngineState.READY:
            raise Skip(f"the engine is {listing.state}: {listing.reason}")
        return self._registry.get(self.name)

    def require_ready(self) -> None:
        """Skip the check if the engine is not ready; another check says why."""
        assert self.engine is not None

    @property
    def device(self) -> Device:
        """The device to check the engine on."""
        return self.engine.find_device(self.declared.device)

    @property
    def fresh_listing(self) -> ListingFacts:
        """The effects of listing the engine in a new process."""
        from lexer_core.testing.fresh_listing import list_in_fresh_process

        if self._fresh_listing is None:
            self._fresh_listing = list_in_fresh_process(self.name, self._environment)
        return self._fresh_listing

    def require(self, capability: str) -> None:
        """Skip the check if the engine is declared unable to do this."""
        reason = self.declared.cannot.get(capability)
        if reason is not None:
            raise Skip(f"declared: cannot {capability} ({reason})")

    def model(self, name: str) -> ExportedModel:
        """Return a model of the kit in a format of the engine, created on first use.

        Raises
        ------
        CheckFailed
            It cannot be created.
        """
        if name not in self._models:
            self._models[name] = self.new_model(name)
        return self._models[name]

    def new_model(self, name: str) -> ExportedModel:
        """Create a model of the kit that no session has loaded; raise like :meth:`model`."""
        case, folder = MODELS[name], self.new_folder()
        model = self.declared.make_model(case, folder)
        return build_model(self.engine, case, self.new_folder()) if model is None else model

    def new_folder(self) -> Path:
        """Create an empty folder."""
        self._folders += 1
        folder = self.folder / f"{self._folders:04}"
        folder.mkdir(parents=True)
        return folder

    def config(
        self,
        options: Mapping[str, object] | None = None,
        precision: str = "",
        *,
        isolated: bool | None = None,
        cache_dir: Path | None = None,
    ) -> SessionConfig:
        """Return a session's settings, like a benchmark."""
        return SessionConfig(
            threads=self.declared.threads,
            precision=precision,
            options=resolve_options(self.engine, options or {}),
            isolated=self.isolated if isolated is None else isolated,
            cache_dir=cache_dir,
        )

    @property
    def original_state(self) -> Mapping[str, Any]:
        """The state of the process from before the plugin was imported."""
        return self._original

    def replaced_functions(self) -> list[str]:
        """Return functions of Python and numpy that the plugin replaced since this was created."""
        return sorted(self._before.replaced(self.engine.module))

    @contextmanager
    def session(
        self,
        name: str = "one_input",
        *,
        options: Mapping[str, object] | None = None,
        exported: ExportedModel | None = None,
        config: SessionConfig | None = None,
        device: Device | None = None,
    ) -> Iterator[OpenSession]:
        """Open a session on a model of the kit, and close it afterwards.

        Parameters
        ----------
        name
            The model's name.
        options
            The engine's options. Default: their defaults.
        exported
            The exported model. Default: :meth:`model`.
        config
            The session's settings. Default: :meth:`config` with the options.
        device
            The device. Default: the declared one.
        """
        engine, device = self.engine, device or self.device
        model, config = exported or self.model(name), config or self.config(options)
        if config.precision and model.precision != config.precision:
            converted = engine.convert_model(model, config.precision, self.new_folder())
            model = converted or model
        session = engine.create_session(model, device, config)
        try:
            yield OpenSession(
                engine=engine, session=session, device=device, case=MODELS[name], exported=model
            )
        except BaseException:
            with suppress(Exception):  # the first error is reported
                session.close()
            raise
        with engine.naming("session.close"):
            session.close()

    def misdeclared(self) -> None:
        """Refuse declarations that would have no effect.

        Raises
        ------
        CheckFailed
            A capability or option does not exist, or a reason is missing.
        """
        from lexer_core.suggestions import did_you_mean
        from lexer_core.testing.model_zoo import CAPABILITIES

        for capability, reason in self.declared.cannot.items():
            if capability not in CAPABILITIES:
                raise CheckFailed(
                    f"`cannot` names {capability!r}, which is not a capability.",
                    f"Capabilities: {', '.join(CAPABILITIES)}."
                    f"{did_you_mean(capability, CAPABILITIES)}",
                )
            if not reason.strip():
                raise CheckFailed(
                    f"`cannot` has no reason for {capability!r}.",
                    "Say why the engine cannot do this.",
                )
        options = [option.name for option in self.engine.info.options]
        for name in self.declared.option_effects:
            if name not in options:
                raise CheckFailed(
                    f"`option_effects` names {name!r}, which is not an option of the engine.",
                    f"Its options: {', '.join(options) or 'none'}.{did_you_mean(name, options)}",
                )
