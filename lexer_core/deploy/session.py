"""How is a deployed model called? On arrays, by an engine's own session."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.engine_helpers import UNKNOWN_SHAPE, numpy_dtype
from lexer_core.errors import EngineError, HookError, InputError
from lexer_core.records import CallInputs
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from lexer_core.deploy.manifest import Manifest
    from lexer_core.engines.engine import Engine
    from lexer_core.records import CallStructure, Device, Session, TensorSpec

    Arrays = Mapping[str, npt.NDArray[Any]]
    ArrayCall = Callable[[Arrays], dict[str, npt.NDArray[Any]]]

__all__ = ["DeployedSession"]


@frozen
class _Input:
    """The type and shape that an input must have; ``shape`` is ``None`` if it may vary."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    spec: TensorSpec


class DeployedSession:
    """A model that is loaded, ready to be called.

    Call it with numpy arrays, by name or in the order of ``inputs``; it returns a dict of
    new arrays by output name. It may be called from several threads: their calls run one
    after the other. For parallel calls, load the folder once per thread.

    A session is a context manager that closes it.

    Attributes
    ----------
    inputs, outputs
        Specifications of the inputs and outputs, in order.
    manifest
        The contents of ``lexer.json``: engine, settings, measured figures.
    notes
        Differences to where the model was measured, such as another version of the
        runtime.

    Examples
    --------
    ::

        with lexer_core.load("deploy/") as session:
            logits = session(image=image)["logits"]
    """

    def __init__(
        self,
        engine: Engine,
        session: Session,
        device: Device,
        structure: CallStructure,
        manifest: Manifest,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.manifest = manifest
        self.notes = notes
        self.inputs = manifest.inputs
        self.outputs = manifest.outputs
        self._lock = threading.Lock()
        self._checks = tuple(map(_input, manifest.inputs))
        self._positions = tuple(spec.name for spec in manifest.inputs)
        self._engine: Engine = engine
        self._session: Session | None = session
        self._caveats: set[str] = set()
        self._has_run = False
        own = engine.array_call(session, structure)
        self._call: ArrayCall = _HookCall(engine, session, device, structure, manifest)
        if own is not None:
            self._call = own
        self._context: Callable[[], AbstractContextManager[object]] | None = getattr(
            session, "call_context", None
        )

    def __call__(
        self, *arrays: npt.NDArray[Any], **named: npt.NDArray[Any]
    ) -> dict[str, npt.NDArray[Any]]:
        """Run the model on one set of inputs.

        Parameters
        ----------
        *arrays
            Inputs in the order of ``inputs``.
        **named
            Inputs by name. A name that is not an identifier works as
            ``session(**{"input.1": array})``.

        Returns
        -------
        dict
            Arrays by output name. The caller owns them.

        Raises
        ------
        InputError
            An input is missing or unknown, or has the wrong type or shape.
        EngineError
            The session is closed, or the engine failed.
        """
        if arrays:
            self._add_positional(arrays, named)
        if len(named) != len(self._checks):
            raise self._wrong_names(named)
        for check in self._checks:
            array = named.get(check.name)
            if type(array) is not np.ndarray or array.dtype != check.dtype:
                raise self._wrong_value(check, named)
            if array.shape != check.shape and not _fits(array.shape, check.spec):
                raise self._wrong_value(check, named)
        with self._lock:
            session = self._session
            if session is None:
                raise _closed()
            try:
                if self._context is None:
                    outputs = self._call(named)
                else:
                    with self._context():
                        outputs = self._call(named)
            except Exception as error:  # an engine may raise anything
                outputs = self._again(session, named, error)
            self._has_run = True
            caveat = getattr(session, "caveat", None)
        if caveat:
            self._warn(caveat)
        return outputs

    def close(self) -> None:
        """Release the model. May be called twice."""
        with self._lock:
            session, self._session = self._session, None
            self._call = _refuse
            self._context = None
        if session is not None:
            with self._engine.naming("lexer_create_session"):
                session.close()

    def __enter__(self) -> DeployedSession:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __repr__(self) -> str:
        manifest = self.manifest
        takes = ", ".join(map(str, self.inputs))
        state = ", closed" if self._session is None else ""
        return (
            f"<{type(self).__name__} of {manifest.model_name or 'a model'} on {manifest.engine}, "
            f"{manifest.device}{state}: {takes}>"
        )

    def _again(
        self, session: Session, named: Arrays, error: Exception
    ) -> dict[str, npt.NDArray[Any]]:
        """Repeat the first call in each less strict context that the session has."""
        engine = self._engine
        if not self._has_run:
            cause = error.__cause__ if isinstance(error, HookError) else None
            failed = cause if isinstance(cause, Exception) else error
            while engine.relax_call_context(session, failed):
                try:
                    with engine.call_context(session):
                        return self._call(named)
                except Exception:  # noqa: S112 - the first error is the one to report
                    continue
        with engine.naming("lexer_create_session"):
            raise error

    def _warn(self, caveat: str) -> None:
        if caveat not in self._caveats:
            self._caveats.add(caveat)
            warnings.warn(f"outputs may be wrong: {caveat}", RuntimeWarning, stacklevel=3)

    def _add_positional(
        self, arrays: tuple[npt.NDArray[Any], ...], named: dict[str, npt.NDArray[Any]]
    ) -> None:
        if len(arrays) > len(self._positions):
            raise InputError(
                f"{self._title()} takes {len(self._positions)} inputs, not {len(arrays)}.",
                hint=self._usage(),
            )
        for name, array in zip(self._positions, arrays, strict=False):
            if name in named:
                raise InputError(f"input {name!r} was passed twice.", hint=self._usage())
            named[name] = array

    def _wrong_names(self, named: Arrays) -> InputError:
        unknown = [name for name in named if name not in self._positions]
        if unknown:
            return InputError(
                f"{self._title()} has no input {unknown[0]!r}.",
                hint=self._usage() + did_you_mean(unknown[0], self._positions),
            )
        missing = ", ".join(repr(name) for name in self._positions if name not in named)
        return InputError(f"{self._title()} needs input {missing}.", hint=self._usage())

    def _wrong_value(self, check: _Input, named: Arrays) -> InputError:
        if check.name not in named:
            return self._wrong_names(named)
        array: Any = named[check.name]
        if not isinstance(array, np.ndarray):
            return InputError(
                f"input {check.name!r} is a value of type {type(array).__name__}, not a numpy "
                "array.",
                hint=f"Pass np.asarray(value, {str(check.dtype)!r}).",
            )
        shape = ", ".join(map(str, array.shape))
        same_type = array.dtype == check.dtype
        return InputError(
            f"input {check.name!r} is {array.dtype}[{shape}]; the model takes {check.spec}.",
            hint="Change the shape, or deploy a model that was exported with this one."
            if same_type
            else f"Convert it: array.astype({str(check.dtype)!r}).",
        )

    def _title(self) -> str:
        return self.manifest.model_name or "the model"

    def _usage(self) -> str:
        return f"Inputs: {', '.join(map(str, self.inputs)) or 'none'}."


class _HookCall:
    """A call through the engine's hooks, for sessions without a call of their own."""

    def __init__(
        self,
        engine: Engine,
        session: Session,
        device: Device,
        structure: CallStructure,
        manifest: Manifest,
    ) -> None:
        self._engine = engine
        self._session = session
        self._device = device
        self._structure = structure
        self._expected = tuple(spec.name for spec in manifest.outputs)

    def __call__(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        engine, session = self._engine, self._session
        views = {}
        for name in arrays:
            views[name] = arrays[name].view()
            views[name].flags.writeable = False  # as the hook's specification promises
        inputs = CallInputs(arrays=views, structure=self._structure)
        placed = engine.place_inputs(session, inputs, self._device)
        call = engine.make_call(session, placed)
        if call.reset is not None:
            call.reset()
        outputs = call.run()
        engine.synchronize(session, self._device)
        return engine.fetch_outputs(session, outputs, expected=self._expected)


def _input(spec: TensorSpec) -> _Input:
    sizes = tuple(size for size in spec.shape if isinstance(size, int))
    return _Input(
        spec.name, numpy_dtype(spec.dtype), sizes if len(sizes) == len(spec.shape) else None, spec
    )


def _fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    if spec.shape == UNKNOWN_SHAPE:
        return True
    return len(shape) == len(spec.shape) and all(
        isinstance(dim, str) or dim == size for size, dim in zip(shape, spec.shape, strict=True)
    )


def _closed() -> EngineError:
    return EngineError("the session is closed.", hint="Load the folder again: lexer_core.load().")


def _refuse(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    del arrays
    raise _closed()
