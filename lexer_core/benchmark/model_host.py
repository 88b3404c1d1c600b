"""Where does the model live while it is prepared?

In a worker of its own, when it can be pickled by value, because a crash during
export must not cost the run; otherwise in the caller's process, with a note.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.benchmark.preparation import BuiltModel, Preparation, RemoteModel
from lexer_core.errors import LexerError, ModelError, WorkerDiedError, WorkerTimeoutError
from lexer_core.validation import Float64Outputs
from lexer_core.worker.executor import Executor, LocalExecutor, start_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.reference import Reference
    from lexer_core.records import OptionValue

__all__ = ["ModelHost"]

_FACTORY = "lexer_core.benchmark.preparation:Preparation"


class ModelHost:
    """The model, its reference and its exports, wherever they are made.

    Parameters
    ----------
    model
        An adapted model; the path of an ``.onnx`` file; or a model that is made
        in its worker, which it then cannot do without.
    directory
        Where exports go that are not cached.
    isolated
        Whether to use a worker if the model can travel.
    threads
        Threads of that worker.
    timeout
        Limit in seconds for each step.
    memory_limit_bytes
        Memory that the worker may use.
    """

    def __init__(
        self,
        model: AdaptedModel | Path | RemoteModel,
        directory: Path,
        *,
        isolated: bool,
        threads: int,
        timeout: float,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._model = model
        self._directory = directory
        self._threads = threads
        self._timeout = timeout
        self._memory_limit_bytes = memory_limit_bytes
        self._lost = False
        self._lives = 1
        self._made: BuiltModel | None = None
        self._executor = self._start(isolated)

    @property
    def in_worker(self) -> bool:
        """Whether the model has travelled to a worker, and so can travel to others."""
        return self._executor.isolated

    @property
    def sys_path(self) -> tuple[str, ...] | None:
        """Where the modules of a model that was made in its worker are found; else ``None``."""
        return self._made.sys_path if self._made is not None else None

    def made(self) -> BuiltModel:
        """Tell what is to be known of a model that was made in its worker."""
        assert self._made is not None
        return self._made

    def reference(self) -> Reference:
        """Run the model itself; see :meth:`Preparation.reference`.

        Raises
        ------
        ModelError
            Also where the model ends its process, or does not come back.
        """
        try:
            reference: Reference = self._call("reference")
        except WorkerDiedError as error:
            raise ModelError(
                f"{self._name} ended the process that it ran in: {error.reason}.",
                hint=error.log or error.hint,
            ) from error
        except WorkerTimeoutError as error:
            raise ModelError(
                f"{self._name} did not return within {self._timeout:g} s.",
                hint=f"{error.log}\nThe limit is the setting load_timeout.".strip(),
            ) from error
        return reference

    def float64_outputs(self) -> Float64Outputs:
        """Give the outputs of the model in float64, or why there are none."""
        try:
            outputs: Float64Outputs = self._call("float64_outputs")
        except LexerError as error:
            return Float64Outputs(outputs=None, reason=error.message)
        self._executor.suspend()
        return outputs

    def export(
        self,
        engine: str | RemoteEngine,
        device: str,
        options: Mapping[str, OptionValue],
        *,
        use_cache: bool,
        by_value: bool,
    ) -> PreparedModel:
        """Make the model ready for one engine; see :meth:`Preparation.export`."""
        made: PreparedModel = self._call(
            "export",
            engine,
            device,
            options,
            self._directory / f"life-{self._lives}",
            use_cache=use_cache,
            by_value=by_value and self.in_worker,
        )
        return made

    def identity(self) -> dict[str, str]:
        """Digest the model; see :meth:`Preparation.identity`."""
        try:
            digests: dict[str, str] = self._call("identity")
        except LexerError as error:
            self.notes.append(
                f"the model has no fingerprint ({error.message}): a later comparison cannot tell "
                "whether its weights or its code changed"
            )
            return {}
        return digests

    def discard_cached(self, engine: str) -> None:
        """Forget a cached export that gave wrong outputs."""
        self._call("discard_cached", engine)

    def suspend(self) -> None:
        """Keep the model, but off the processors."""
        self._executor.suspend()

    def close(self) -> None:
        """Let the model go."""
        self._executor.close()

    def _start(self, isolated: bool) -> Executor:
        if isinstance(self._model, RemoteModel):
            return self._make_elsewhere(self._model)
        if not isolated:
            return self._local(self._model)
        if isinstance(self._model, Path):
            worker = self._worker(preload=())
            worker.call("hold_onnx", self._model, timeout=self._timeout)
            return worker
        import cloudpickle  # only a model that travels by value needs it

        if not self._model.travels:
            self._stays_because("a copy of it would lose what it is")
            return self._local(self._model)
        try:
            payload = cloudpickle.dumps(self._model)
        except Exception as error:  # any object of the user's may refuse in its own way
            self._stays_because(f"{type(error).__name__}: {error}")
            return self._local(self._model)
        worker = self._worker(preload=("torch",))
        try:
            worker.call("receive", payload, timeout=self._timeout)
        except LexerError as error:
            worker.close()
            self._stays_because(error.message)
            return self._local(self._model)
        return worker

    def _make_elsewhere(self, model: RemoteModel) -> Executor:
        import cloudpickle  # only a model that travels by value needs it

        worker = self._worker(preload=("torch",), sys_path=model.sys_path)
        try:
            payload = cloudpickle.dumps(model.make)
            self._made = worker.call("make", payload, timeout=self._timeout)
        except BaseException:
            worker.close()
            raise
        return worker

    def _stays_because(self, reason: str) -> None:
        reason = reason.strip().splitlines()[0]
        self.notes.append(
            f"the model cannot travel to another process ({reason}); "
            "reference and export were made in the caller's process"
        )

    def _worker(
        self, preload: tuple[str, ...], sys_path: tuple[str, ...] | None = None
    ) -> Executor:
        return start_worker(
            _FACTORY,
            label="the model",
            threads=self._threads,
            memory_limit_bytes=self._memory_limit_bytes,
            preload=preload,
            # Exporting may use what cores there are: it is not measured.
            pinned=False,
            sys_path=sys_path,
        )

    def _local(self, model: AdaptedModel | Path) -> Executor:
        preparation = Preparation()
        if isinstance(model, Path):
            preparation.hold_onnx(model)
        else:
            preparation.hold(model)
        return LocalExecutor(preparation)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self._lost:
            self._begin_again()
        self._executor.resume()
        try:
            return self._executor.call(method, *args, timeout=self._timeout, **kwargs)
        except (WorkerDiedError, WorkerTimeoutError):
            self._lost = True
            raise

    def _begin_again(self) -> None:
        """Take the model to a new worker: an export that crashed must not cost the others."""
        self._executor.close()
        self._executor = self._start(isolated=True)
        self._lost = False
        self._lives += 1
        if not isinstance(self._model, Path):
            self._call("reference")

    @property
    def _name(self) -> str:
        if isinstance(self._model, Path):
            return "the file"
        if isinstance(self._model, RemoteModel):
            return self._model.name
        return self._model.model_name
