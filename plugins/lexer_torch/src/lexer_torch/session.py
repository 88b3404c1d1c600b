"""How is a module run on one device?

``run`` is :func:`operator.call`, and placed inputs are the module bound to its
arguments, so that no Python frame of Lexer is between the clock and the module.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from lexer_core.engine_helpers import run_closed
from lexer_core.errors import ModelError, UnsupportedError
from lexer_core.model.state import eager_module, make_normal, measured_state, set_training
from lexer_core.model.structure import flatten_outputs, rebuild, with_own_constants
from lexer_core.model.tensors import place_leaves, to_numpy, to_torch
from lexer_core.records import DeviceUsage
from lexer_torch.device_memory import (
    explain_exhaustion,
    is_exhaustion,
    peak_memory,
    reset_peak,
)
from lexer_torch.devices import torch_device
from lexer_torch.settings import set_matmul_precision, set_threads
from lexer_torch.tf32 import choose_tf32, has_convolutions, tf32_in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        CallInputs,
        CallStructure,
        Device,
        ExportedModel,
        SessionConfig,
    )

__all__ = ["BoundCall", "TorchSession", "create_session", "make_session", "on_accelerator"]

BoundCall = partial[Any]
"""A module bound to the arguments of one call, on its device."""

_Mode = Literal["inference", "no gradients", "gradients"]

_PRECISIONS = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}

_NEVER_TF32 = ("float16", "bfloat16", "float64")

_IMAGE_DIMENSIONS = 4

_SLOW_FLOAT16 = (
    "on a CPU, torch has few fast operators in float16: bfloat16 may be many times faster"
)

AnySession = TypeVar("AnySession", bound="TorchSession")


class TorchSession:
    """A module on one device, in eval mode."""

    run: Callable[[BoundCall], Any]

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        device: torch.device,
        config: SessionConfig,
        output_names: tuple[str, ...],
        undo: ExitStack,
    ) -> None:
        self.run = operator.call
        self.module: torch.nn.Module | None = module
        self.device = device
        self._inputs: CallInputs | None = None
        self._mode: _Mode = "inference" if config.isolated else "no gradients"
        self._dtype = _PRECISIONS.get(config.precision)
        self._channels_last = bool(config.options.get("channels_last"))
        self._output_names = output_names
        self._isolated = config.isolated
        self._undo = undo
        self._tf32 = None if config.precision in _NEVER_TF32 else tf32_in_use(device)
        self.uses_tf32 = self._tf32 is not None and (
            self._tf32.products or (self._tf32.convolutions and has_convolutions(module))
        )

    @property
    def computed_precision(self) -> str:
        """The floating-point types of the module, that of most numbers first; or of its inputs."""
        sizes: Counter[str] = Counter()
        if self.module is not None:
            for tensor in (*self.module.parameters(), *self.module.buffers()):
                if tensor.is_floating_point():
                    sizes[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
        if sizes:
            return ", ".join(name for name, _ in sizes.most_common())
        return "" if self._dtype is None else str(self._dtype).removeprefix("torch.")

    def call_context(self) -> AbstractContextManager[object]:
        """Return the context of a call: inference mode, no gradients, or gradients.

        Tensors that a model caches in inference mode would break later training,
        so inference mode is only used in a process of the session's own.
        """
        context = (
            torch.inference_mode()
            if self._mode == "inference"
            else _outside_inference(self._mode == "gradients")
        )
        return context if self.device.type == "cpu" else on_accelerator(self.device, context)

    def relax_call_context(self, error: Exception) -> str:
        """Leave inference mode, then enable gradients: ``forward`` may compute some.

        After an error of the compiler, only if gradients are its subject: compiling
        again takes long.
        """
        if self._mode == "gradients" or self.module is None or _is_exhaustion(error):
            return ""
        if isinstance(error, UnsupportedError) and not _is_about_gradients(error):
            return ""
        self._mode = "no gradients" if self._mode == "inference" else "gradients"
        make_normal(self.module)
        if self._mode == "gradients":
            return "forward needs gradients: called with gradients enabled, which takes longer"
        return "forward does not run in inference mode: called under torch.no_grad()"

    def place(self, inputs: CallInputs) -> BoundCall:
        """Bind the module to the arguments of a call, as tensors on the device."""
        if self.module is None:
            run_closed(inputs)
        if self._inputs is None:
            self.start_peak()
        self._inputs = inputs
        return self._bind(self.module, inputs)

    @contextmanager
    def eager_call(self) -> Iterator[BoundCall | None]:
        """Bind the module, not compiled, to new inputs; ``None`` before inputs exist."""
        if self.module is None or self._inputs is None:
            yield None
            return
        # Outside inference mode, in which operators cannot be counted.
        with _outside_inference(self._mode == "gradients"):
            yield self._bind(eager_module(self.module), self._inputs)

    def _bind(self, module: torch.nn.Module, inputs: CallInputs) -> BoundCall:
        structure = with_own_constants(inputs.structure)
        args, kwargs = rebuild(structure, place_leaves(inputs, self._place_array))
        return partial(module, *args, **kwargs)

    def fetch(self, outputs: object) -> dict[str, npt.NDArray[np.generic]]:
        """Copy the outputs to numpy, under the names of the export."""
        tensors = flatten_outputs(outputs).tensors
        if len(tensors) != len(self._output_names):
            raise ModelError(
                f"the model returned {len(tensors)} tensors; when it was exported, it returned "
                f"{len(self._output_names)}.",
                hint="Outputs whose number changes from call to call cannot be compared.",
            )
        named = zip(self._output_names, tensors.values(), strict=True)
        return {name: to_numpy(tensor) for name, tensor in named}

    def array_call(
        self, structure: CallStructure
    ) -> Callable[[Mapping[str, npt.NDArray[Any]]], dict[str, npt.NDArray[np.generic]]] | None:
        """Return a call of the module on copies of arrays."""

        def call(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.generic]]:
            if self.module is None:
                run_closed(arrays)
            tensors = {name: self._place_array(array) for name, array in arrays.items()}
            args, kwargs = rebuild(with_own_constants(structure), tensors)
            return self.fetch(self.module(*args, **kwargs))

        return call

    def start_peak(self) -> None:
        """Count the device's peak memory from here, if the process is the session's."""
        if self._isolated:
            reset_peak(self.device)

    def device_usage(self) -> DeviceUsage:
        """Return the device's peak memory, if the process is the session's, and whether TF32 is on.

        The user's own process has other tensors on the device.
        """
        return DeviceUsage(
            peak_memory_bytes=peak_memory(self.device) if self._isolated else None,
            notes=(
                *(() if self._tf32 is None else (self._tf32.note,)),
                *((_SLOW_FLOAT16,) if self._is_slow_float16 else ()),
            ),
        )

    @property
    def _is_slow_float16(self) -> bool:
        return self._dtype is torch.float16 and self.device.type == "cpu"

    def close(self) -> None:
        """Release the module, and restore its state and that of the process."""
        self.run = run_closed
        self.module = None
        self._inputs = None
        self._undo.close()

    def _place_array(self, array: npt.NDArray[Any]) -> torch.Tensor:
        tensor = to_torch(array, self.device)
        if self._dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(self._dtype)
        if self._channels_last and tensor.dim() == _IMAGE_DIMENSIONS:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def create_session(exported: ExportedModel, device: Device, config: SessionConfig) -> TorchSession:
    """Move a module to a device, in eval mode, with the requested settings.

    A session that is not isolated moves or casts a copy of the module, and
    restores everything that it changed when it is closed.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    UnsupportedError
        Torch cannot cast to the precision, or the module has to be copied and
        cannot be.
    """
    return make_session(TorchSession, exported, device, config)


def make_session(
    kind: type[AnySession], exported: ExportedModel, device: Device, config: SessionConfig
) -> AnySession:
    """Create a session of a class; otherwise like :func:`create_session`."""
    where = torch_device(device)
    dtype = _dtype(config.precision)
    with ExitStack() as undo, explain_exhaustion(where):
        set_threads(config, undo)
        set_matmul_precision(config, undo)
        choose_tf32(config, undo)
        module: torch.nn.Module = exported.model
        channels_last = bool(config.options.get("channels_last"))
        changes = channels_last or dtype is not None or _has_tensors_elsewhere(module, where)
        if changes and not config.isolated:
            module = _copy(module)
        if module is exported.model and not config.isolated:
            undo.enter_context(measured_state(module))
        else:  # the session's own module
            set_training(module, False)
        if changes:
            module.to(device=where)
            if dtype is not None:
                module.to(dtype=dtype)
            if channels_last:
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # The session restores the process when it is closed, unless it cannot be made.
        until_closed = ExitStack()
        session = kind(
            module,
            device=where,
            config=config,
            output_names=tuple(spec.name for spec in exported.outputs),
            undo=until_closed,
        )
        until_closed.push(undo.pop_all())
        return session
    raise AssertionError("unreachable: the ExitStack suppresses no exception")


@contextmanager
def on_accelerator(device: torch.device, context: AbstractContextManager[object]) -> Iterator[None]:
    """Enter a context, and explain the error if the device runs out of memory in it."""
    with explain_exhaustion(device), context:
        yield


@contextmanager
def _outside_inference(gradients: bool) -> Iterator[None]:
    with torch.inference_mode(False), torch.set_grad_enabled(gradients):
        yield


def _is_exhaustion(error: Exception) -> bool:
    return is_exhaustion(error) or is_exhaustion(error.__cause__)


def _is_about_gradients(error: UnsupportedError) -> bool:
    text = f"{error.message} {error.hint} {error.__cause__}".lower()
    return "grad" in text or "inference" in text


def _dtype(precision: str) -> torch.dtype | None:
    if not precision:
        return None
    if precision not in _PRECISIONS:
        raise UnsupportedError(
            f"torch cannot cast a model to precision {precision!r}.",
            hint=f"Use one of: {', '.join(_PRECISIONS)}.",
        )
    return _PRECISIONS[precision]


def _has_tensors_elsewhere(module: torch.nn.Module, device: torch.device) -> bool:
    return any(each.device != device for each in (*module.parameters(), *module.buffers()))


def _copy(module: torch.nn.Module) -> torch.nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:  # the user's module may raise anything
        raise UnsupportedError(
            f"{type(module).__name__} has to be moved or cast, but cannot be copied: "
            f"{type(error).__name__}: {error}",
            hint="Measure it in a separate process, or on the device that it is on.",
        ) from error
