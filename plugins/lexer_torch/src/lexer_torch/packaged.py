"""How is a ``torch.export`` program compiled ahead of time, and run without Python?

AOTInductor writes a package that contains a shared library. Calls go to the
package's loader with lists of tensors, as in a C++ program. The Python object
around it parses the structure of each call, which for a small model takes longer
than the model (12 µs with it, 4 µs without).
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from lexer_core.engine_helpers import error_summary, input_array, refuse_precision, run_closed
from lexer_core.errors import CacheError, ModelError, UnsupportedError
from lexer_core.export.fingerprint import digest_program
from lexer_core.model.tensors import to_numpy, to_torch
from lexer_core.records import DeviceUsage, SessionPhases
from lexer_torch.device_memory import explain_exhaustion, peak_memory, reset_peak
from lexer_torch.devices import torch_device
from lexer_torch.inductor import end_compile_workers, read_counts
from lexer_torch.placement import count_program
from lexer_torch.session import on_accelerator
from lexer_torch.settings import (
    compiled_folder,
    set_matmul_precision,
    set_threads,
    use_own_inductor_cache,
)
from lexer_torch.tf32 import choose_tf32, has_program_convolutions, tf32_in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        CallInputs,
        Device,
        ExportedModel,
        Placement,
        SessionConfig,
        TensorSpec,
    )
    from lexer_torch.tf32 import Tf32

__all__ = ["PackagedSession", "create_packaged_session"]


def create_packaged_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> PackagedSession:
    """Compile a program for a device and load the package.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    UnsupportedError
        A precision is set that is not the program's own, or AOTInductor cannot compile the program.
    """
    where = torch_device(device)
    refuse_precision(config, runtime="a traced program", exported=exported)
    program = exported.model
    if not isinstance(program, torch.export.ExportedProgram):
        raise ModelError(f"expected a torch.export program, got {type(program).__name__}.")
    use_own_inductor_cache(config)
    with ExitStack() as undo, explain_exhaustion(where):
        set_threads(config, undo)
        set_matmul_precision(config, undo)
        choose_tf32(config, undo)
        if where.type != "cpu":
            from torch.export.passes import move_to_device_pass  # only for accelerators

            program = move_to_device_pass(program, where)
        loader, phases = _package(program, where, config)
        if config.isolated:
            end_compile_workers()
        tf32 = tf32_in_use(where)
        return PackagedSession(
            loader,
            device=where,
            inputs=exported.inputs,
            output_names=tuple(spec.name for spec in exported.outputs),
            phases=phases,
            placement=count_program(program, where),
            tf32=tf32,
            uses_tf32=tf32 is not None
            and (tf32.products or (tf32.convolutions and has_program_convolutions(program))),
            isolated=config.isolated,
            undo=undo.pop_all(),
        )
    raise AssertionError("unreachable: the ExitStack suppresses no exception")


class PackagedSession:
    """A program that AOTInductor compiled, on one device.

    Parameters
    ----------
    loader
        Runs the package: list of tensors in, list of tensors out.
    device
        The device it runs on.
    inputs
        Specifications of the inputs, in order.
    output_names
        Names of the outputs, in order.
    phases
        How long compilation took.
    placement
        The devices of the program's operators.
    tf32, uses_tf32
        The settings of TF32, and whether the program has operators that use it.
    isolated
        Whether the process is the session's own.
    undo
        Closed with the session; restores the process.
    """

    run: Callable[[list[torch.Tensor]], list[torch.Tensor]]

    def __init__(
        self,
        loader: Any,
        *,
        device: torch.device,
        inputs: tuple[TensorSpec, ...],
        output_names: tuple[str, ...],
        phases: SessionPhases,
        placement: Placement | None,
        tf32: Tf32 | None,
        uses_tf32: bool,
        isolated: bool,
        undo: ExitStack,
    ) -> None:
        self.run = loader.run
        self.phases = phases
        self.placement = placement
        self.uses_tf32 = uses_tf32
        self._tf32 = tf32
        self._device = device
        self._inputs = inputs
        self._output_names = output_names
        self._isolated = isolated
        self._undo = undo
        self._was_placed = False

    def call_context(self) -> AbstractContextManager[object]:
        """Return the context of a call: inference mode, or no gradients in the user's process."""
        context = torch.inference_mode() if self._isolated else torch.no_grad()
        return context if self._device.type == "cpu" else on_accelerator(self._device, context)

    def place(self, inputs: CallInputs) -> list[torch.Tensor]:
        """Copy the inputs to the device, in the program's order.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is wrong. The compiled code
            would read it anyway.
        """
        if not self._was_placed and self._isolated:
            reset_peak(self._device)
            self._was_placed = True
        return [to_torch(input_array(inputs, spec), self._device) for spec in self._inputs]

    def fetch(self, outputs: list[torch.Tensor]) -> dict[str, npt.NDArray[np.generic]]:
        """Copy the outputs to numpy, under the names of the export."""
        named = zip(self._output_names, outputs, strict=True)
        return {name: to_numpy(tensor) for name, tensor in named}

    def array_call(
        self, structure: object
    ) -> Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[np.generic]]]:
        """Return a call of the package on copies of arrays, whose types were checked."""
        del structure
        names = [spec.name for spec in self._inputs]

        def call(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.generic]]:
            return self.fetch(self.run([to_torch(arrays[name], self._device) for name in names]))

        return call

    def device_usage(self) -> DeviceUsage:
        """Return the device's peak memory, if the process is the session's, and whether TF32 is on.

        The package's weights are allocated through torch, too.
        """
        return DeviceUsage(
            peak_memory_bytes=peak_memory(self._device) if self._isolated else None,
            notes=() if self._tf32 is None else (self._tf32.note,),
        )

    def close(self) -> None:
        """Release the package and restore the process. May be called twice."""
        self.run = run_closed
        self._undo.close()


def _package(
    program: torch.export.ExportedProgram, device: torch.device, config: SessionConfig
) -> tuple[Any, SessionPhases]:
    """Compile a program if it is not in the cache, and load the package."""
    from torch._inductor import aoti_load_package  # takes a second to import

    folder = compiled_folder(config) / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(program, device, config)
    path = folder / f"{key or 'unnamed'}.pt2"
    phases = SessionPhases(compile_seconds=0.0, cache_warm=True)
    if not key or not path.exists():
        before = read_counts()
        start = time.perf_counter()
        unfinished = path.with_name("unfinished.pt2")
        _compile(program, unfinished, str(config.options.get("mode", "default")))
        unfinished.replace(path)
        phases = SessionPhases(
            compile_seconds=time.perf_counter() - start,
            cache_warm=read_counts().warm_since(before) or False,
        )
    # This unpacks the library to a new folder.
    index = -1 if device.index is None else device.index
    return aoti_load_package(str(path), device_index=index).loader, phases


def _compile(program: torch.export.ExportedProgram, path: Path, mode: str) -> None:
    from torch._inductor import aoti_compile_and_package, list_mode_options

    settings = {
        name: value for name, value in list_mode_options(mode).items() if "cudagraphs" not in name
    }
    try:
        with torch.no_grad():
            aoti_compile_and_package(program, package_path=str(path), inductor_configs=settings)
    except Exception as error:  # any part of the compiler may raise anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UnsupportedError(
            f"AOTInductor cannot compile the program: {error_summary(error)}",
            hint="\n".join(lines[1:12]),
        ) from error


def _key(program: torch.export.ExportedProgram, device: torch.device, config: SessionConfig) -> str:
    """Return the name of a package's file; empty for a program without a fingerprint.

    The folder belongs to this run, so versions and the machine do not matter.
    """
    try:
        digest = digest_program(program)
    except CacheError:
        return ""
    facts = (digest, str(device), config.threads, sorted(config.options.items()))
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
