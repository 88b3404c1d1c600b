"""How is a module compiled by ``torch.compile``, before its calls are measured?

``torch.compile`` compiles in the first call, for the inputs of that call. So
one call is made when inputs are placed, on inputs of its own, and the module's
buffers are put back after it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from lexer_core.errors import UnsupportedError
from lexer_core.model.state import eager_module, measured_state, preserved_randomness
from lexer_core.records import SessionPhases
from lexer_torch.inductor import end_compile_workers, read_counts
from lexer_torch.session import SettingValue, TorchSession, make_session
from lexer_torch.settings import use_own_inductor_cache

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lexer_core.records import CallInputs, Device, ExportedModel, SessionConfig

__all__ = ["CompiledSession", "create_compiled_session"]


def create_compiled_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> CompiledSession:
    """Bring a module to a device and wrap it by ``torch.compile``.

    One that was compiled before is compiled anew, as the options say.

    Raises
    ------
    DeviceUnavailableError
        The device is not there.
    UnsupportedError
        The module is none that can be compiled, or the precision is none that
        torch casts to.
    """
    if isinstance(exported.model, torch.jit.ScriptModule):
        raise UnsupportedError(
            "torch.compile does not compile a scripted module.",
            hint="Benchmark the module that was scripted.",
        )
    use_own_inductor_cache(config)
    return make_session(CompiledSession, exported, device, config)


class CompiledSession(TorchSession):
    """A module that ``torch.compile`` compiled for the inputs that were placed.

    Attributes
    ----------
    phases
        What compiling took, the one call that it happened in included.
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
        # Isolated from what else was compiled of the same class: entries that
        # they share have a limit, and beyond it torch silently runs eagerly.
        compiled = torch.compile(  # type: ignore[call-overload]  # its overloads lack the last
            self._eager,
            mode=str(options.get("mode", "default")),
            dynamic=_tristate(options.get("dynamic")),
            fullgraph=bool(options.get("fullgraph")),
            isolate_recompiles=True,
        )
        super().__init__(
            compiled, device=device, config=config, output_names=output_names, undo=undo
        )
        self.phases = SessionPhases()

    def place(self, inputs: CallInputs) -> SettingValue:
        """Bind the module to the arguments of a call, and compile it for them.

        Raises
        ------
        UnsupportedError
            ``torch.compile`` cannot compile the module.
        """
        trial = super().place(inputs)
        placed = super().place(inputs)
        before = read_counts()
        start = time.perf_counter()
        # Compiled in the context in which it is called; the buffers as they were.
        with self.call_context(), preserved_randomness(), measured_state(self._eager):
            self._compile(trial)
        seconds = time.perf_counter() - start
        if self._isolated:
            end_compile_workers()
        warm = read_counts().warm_since(before)
        self.phases = SessionPhases(
            compile_seconds=(self.phases.compile_seconds or 0.0) + seconds,
            cache_warm=self.phases.cache_warm if warm is None else warm,
        )
        return placed

    def close(self) -> None:
        """Let go of the module, and leave it and the process as they were found."""
        super().close()
        self._eager = torch.nn.Module()

    def _compile(self, trial: SettingValue) -> None:
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        try:
            with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
                self.run(trial)
                if self.device.type != "cpu":
                    torch.accelerator.synchronize(self.device)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            raise UnsupportedError(
                f"torch.compile cannot compile {type(self._eager).__name__}: {_first_line(error)}",
                hint="\n".join(str(error).strip().splitlines()[1:12]),
            ) from error


def _tristate(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
