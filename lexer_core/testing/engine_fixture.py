"""What is a check given of the engine that it looks at?"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attrs import define, field

from lexer_core.engines.choice import resolve_options
from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.records import SessionConfig
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.models import build_model
from lexer_core.testing.outcomes import CheckFailed, Skip

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
    """A session of the engine, with what it takes to call it as a benchmark does."""

    engine: Engine
    session: Session
    device: Device
    case: ModelCase
    exported: ExportedModel

    def call(self, arrays: Arrays) -> Call:
        """Place inputs, and bind the session to them."""
        inputs = self.case.call_inputs(arrays)
        with self.engine.call_context(self.session):
            placed = self.engine.place_inputs(self.session, inputs, self.device)
        return self.engine.make_call(self.session, placed)

    def run(self, call: Call) -> Any:
        """Execute one call to its end; returns the engine's own outputs."""
        with self.engine.call_context(self.session):
            with self.engine.naming("session.run"):
                if call.reset is not None:
                    call.reset()
                outputs = call.run()
            self.engine.synchronize(self.session, self.device)
        return outputs

    def fetch(self, outputs: object) -> dict[str, npt.NDArray[Any]]:
        """Turn the outputs of a call into named arrays."""
        with self.engine.call_context(self.session):
            return self.engine.fetch_outputs(self.session, outputs)

    def answer(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Place inputs, call once, and fetch the outputs."""
        return self.fetch(self.run(self.call(arrays)))


@define(kw_only=True, eq=False)
class EngineFixture:
    """The engine under test.

    Parameters
    ----------
    declared
        What its author says of it.
    folder
        Where models are written; empty.
    isolated
        Whether this process is there for the engine alone.
    is_declared
        Whether the author did say anything. What is then left open is a
        failure; for an engine that is checked by its name alone, a skip.

    Attributes
    ----------
    long_run
        What the process held before and after 1000 calls, once they were made.
    """

    declared: type[EngineUnderTest]
    folder: Path
    isolated: bool
    is_declared: bool = True
    long_run: tuple[Any, Any] | None = field(default=None, init=False)
    # As it was before the plugin was imported here, which may have changed it.
    _environment: dict[str, str] = field(factory=lambda: dict(os.environ), init=False)
    _registry: EngineRegistry = field(factory=EngineRegistry, init=False)
    _models: dict[str, ExportedModel] = field(factory=dict, init=False)
    _folders: int = field(default=0, init=False)
    _fresh_listing: ListingFacts | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What the engine is called on the command line."""
        return self.declared.engine_name

    @property
    def listing(self) -> EngineListing:
        """The engine as ``lexer engines list`` shows it."""
        return self._registry.listing(self.name)

    @property
    def engine(self) -> Engine:
        """The engine; a check that needs it is skipped where it cannot be had."""
        listing = self.listing
        if listing.state is not EngineState.READY:
            raise Skip(f"the engine is {listing.state}: {listing.reason}")
        return self._registry.get(self.name)

    def require_ready(self) -> None:
        """Skip the check where the engine cannot be had: another check says why."""
        assert self.engine is not None

    @property
    def device(self) -> Device:
        """The device to check it on."""
        return self.engine.find_device(self.declared.device)

    @property
    def fresh_listing(self) -> ListingFacts:
        """What listing the engine does to a process that did nothing else."""
        from lexer_core.testing.fresh_listing import list_in_fresh_process

        if self._fresh_listing is None:
            self._fresh_listing = list_in_fresh_process(self.name, self._environment)
        return self._fresh_listing

    def require(self, capability: str) -> None:
        """Skip the check where the author declares that the engine cannot do this."""
        reason = self.declared.cannot.get(capability)
        if reason is not None:
            raise Skip(f"declared: cannot {capability} ({reason})")

    def model(self, name: str) -> ExportedModel:
        """Make a model of the kit in a format of the engine's, once.

        Raises
        ------
        CheckFailed
            There is no way to make it.
        """
        if name not in self._models:
            case, folder = MODELS[name], self.new_folder()
            made = self.declared.make_model(case, folder)
            if made is None:
                made = build_model(self.engine, case, self.new_folder())
            self._models[name] = made
        return self._models[name]

    def new_folder(self) -> Path:
        """Make an empty folder."""
        self._folders += 1
        folder = self.folder / f"{self._folders:04}"
        folder.mkdir(parents=True)
        return folder

    def config(
        self, options: Mapping[str, object] | None = None, precision: str = ""
    ) -> SessionConfig:
        """Make the settings of a session, as a benchmark would."""
        return SessionConfig(
            threads=self.declared.threads,
            precision=precision,
            options=resolve_options(self.engine, options or {}),
            isolated=self.isolated,
        )

    @contextmanager
    def session(
        self,
        name: str = "one_input",
        *,
        options: Mapping[str, object] | None = None,
        exported: ExportedModel | None = None,
    ) -> Iterator[OpenSession]:
        """Open a session on one of the kit's models, and close it.

        Parameters
        ----------
        name
            The model's.
        options
            The engine's options; their defaults unless given.
        exported
            The model itself, where it is not to be made here.
        """
        engine, device = self.engine, self.device
        model = exported or self.model(name)
        session = engine.create_session(model, device, self.config(options))
        try:
            yield OpenSession(
                engine=engine, session=session, device=device, case=MODELS[name], exported=model
            )
        except BaseException:
            with suppress(Exception):  # what went wrong first is what is told
                session.close()
            raise
        with engine.naming("session.close"):
            session.close()

    def misdeclared(self) -> None:
        """Refuse declarations that nothing would read.

        Raises
        ------
        CheckFailed
            A capability or an option is unknown, or has no reason.
        """
        from lexer_core.suggestions import did_you_mean
        from lexer_core.testing.model_zoo import CAPABILITIES

        for capability, reason in self.declared.cannot.items():
            if capability not in CAPABILITIES:
                raise CheckFailed(
                    f"`cannot` names {capability!r}, which is no capability.",
                    f"There are: {', '.join(CAPABILITIES)}."
                    f"{did_you_mean(capability, CAPABILITIES)}",
                )
            if not reason.strip():
                raise CheckFailed(
                    f"`cannot` gives no reason for {capability!r}.", "Say why, for the reader."
                )
        options = [option.name for option in self.engine.info.options]
        for name in self.declared.option_effects:
            if name not in options:
                raise CheckFailed(
                    f"`option_effects` names {name!r}, which is no option of the engine.",
                    f"Its options: {', '.join(options) or 'none'}.{did_you_mean(name, options)}",
                )
