"""How does ``torch.compile`` compile a module before its calls are measured?

``torch.compile`` compiles in the first call, for the inputs of that call. So one
call on separate inputs is made when inputs are placed, and the module's buffers
are restored afterwards.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from lexer_core.engine_helpers import first_line
from lexer_core.errors import UnsupportedError
from lexer_core.model.state import eager_module, measured_state, preserved_randomness
from lexer_core.records import SessionPhases
from lexer_torch.inductor import end_compile_workers, read_counts
from lexer_torch.kernel_origins import KernelOrigins
from lexer_torch.session import BoundCall, TorchSession, make_session
from lexer_torch.settings import use_own_inductor_cache
from lexer_torch.versions import compile_module, unlimited_compilations

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lexer_core.records import CallInputs, Device, ExportedModel, SessionConfig

__all__ = ["CompiledSession", "create_compiled_session"]


def create_compiled_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> CompiledSession:
    """Move a module to a device and wrap it with ``torch.compile``.

    A module that is compiled already is compiled again with these options.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    UnsupportedError
        The module cannot be compiled, or torch cannot cast to the precision.
    """
    if isinstance(exported.model, torch.jit.ScriptModule):
        raise UnsupportedError(
            "torch.compile does not compile a scripted module.",
            hint="Benchmark the original module.",
        )
    use_own_inductor_cache(config)
    return make_session(CompiledSession, exported, device, config)


class CompiledSession(TorchSession):
    """A module that ``torch.compile`` compiles for the placed inputs.

    Attributes
    ----------
    phases
        How long compilation took, including the call that triggers it.
    origins
        The modules of the compiled kernels; ``None`` for a session that is not profiled.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        device: torch.device,
        config: SessionConfig,
        output_names: tuple[str, ...],
        undo: ExitStack,
    ) -> None:
        self._eager = eager_module(module)
        options = config.options
        compiled = compile_module(
            self._eager,
            mode=str(options.get("mode", "default")),
            dynamic=_tristate(options.get("dynamic")),
            fullgraph=bool(options.get("fullgraph")),
        )
        super().__init__(
            compiled, device=device, config=config, output_names=output_names, undo=undo
        )
        self.phases = SessionPhases()
        self.origins = KernelOrigins() if config.profiling else None
        self._compiled_for: CallInputs | None = None

    def place(self, inputs: CallInputs) -> BoundCall:
        """Bind the module to the arguments of a call and compile it for them.

        Raises
        ------
        UnsupportedError
            ``torch.compile`` cannot compile the module.
        """
        # The core places the same inputs again for a module that changes them. Other
        # inputs may need other code, even if only their values differ.
        if inputs is not self._compiled_for:
            self._compile_for(inputs)
            self._compiled_for = inputs
            self.start_peak()  # compiling takes memory of its own
        with self.call_context():
            return super().place(inputs)

    def relax_call_context(self, error: Exception) -> str:
        """Relax the context as for an eager module; the module is compiled again in it."""
        self._compiled_for = None
        return super().relax_call_context(error)

    def _compile_for(self, inputs: CallInputs) -> None:
        before = read_counts()
        start = time.perf_counter()
        # In the same context as the measured calls. Buffers are restored; other attributes
        # are not, because the module is compiled for the values that they have now.
        state = measured_state(self._eager, attributes=False)
        with self.call_context(), preserved_randomness(), state:
            self._compile(super().place(inputs))
        seconds = time.perf_counter() - start
        if self._isolated:
            end_compile_workers()
        warm = read_counts().warm_since(before)
        self.phases = SessionPhases(
            compile_seconds=(self.phases.compile_seconds or 0.0) + seconds,
            cache_warm=self.phases.cache_warm if warm is None else warm,
        )

    def close(self) -> None:
        """Release the module, and restore its state and that of the process."""
        super().close()
        self._eager = torch.nn.Module()

    def _compile(self, trial: BoundCall) -> None:
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        try:
            with (
                torch._dynamo.config.patch(fail_on_recompile_limit_hit=True),
                unlimited_compilations(),
                nullcontext() if self.origins is None else self.origins.recorded(),
            ):
                self.run(trial)
                if self.device.type != "cpu":
                    torch.accelerator.synchronize(self.device)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            raise UnsupportedError(
                f"torch.compile cannot compile {type(self._eager).__name__}: "
                f"{first_line(str(error)) or type(error).__name__}",
                hint="\n".join(str(error).strip().splitlines()[1:12]),
            ) from error


def _tristate(value: Any) -> bool | None:
    return None if value is None else bool(value)
