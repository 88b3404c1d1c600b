"""Does a session compute products of float32 numbers in TF32?

TF32 is a format of NVIDIA's GPUs since Ampere with the exponent of float32 and the ten
bits of mantissa of float16. torch uses it for convolutions by default, and for matrix
products on request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from attrs import frozen

from lexer_torch.versions import read_tf32, set_tf32

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lexer_core.records import SessionConfig

__all__ = ["Tf32", "choose_tf32", "has_convolutions", "has_program_convolutions", "tf32_in_use"]

_FIRST_CAPABILITY = (8, 0)


@frozen(kw_only=True)
class Tf32:
    """Which products of float32 numbers are computed in TF32."""

    products: bool
    convolutions: bool

    @property
    def note(self) -> str:
        """What the row says."""
        if self.products == self.convolutions:
            return f"TF32 is {_on(self.products)}"
        return (
            f"TF32 is {_on(self.products)} for matrix products and "
            f"{_on(self.convolutions)} for convolutions"
        )


def choose_tf32(config: SessionConfig, undo: ExitStack) -> None:
    """Turn TF32 on or off, if the option is set."""
    wanted = config.options.get("tf32")
    if wanted is None:
        return
    undo.callback(set_tf32, *read_tf32())
    set_tf32(products=bool(wanted), convolutions=bool(wanted))


def tf32_in_use(device: torch.device) -> Tf32 | None:
    """Return what TF32 is used for; ``None`` if the device does not have it."""
    if device.type != "cuda" or torch.version.hip is not None:
        return None
    if torch.cuda.get_device_capability(device) < _FIRST_CAPABILITY:
        return None
    products, convolutions = read_tf32()
    return Tf32(products=products, convolutions=convolutions)


def has_convolutions(module: torch.nn.Module) -> bool:
    """Whether a module has layers to which the setting for convolutions applies.

    Those of cuDNN: convolutions and recurrent layers. Functions such as
    ``torch.nn.functional.conv2d`` in ``forward`` are not seen.
    """
    kinds = (torch.nn.modules.conv._ConvNd, torch.nn.RNNBase)
    return any(isinstance(each, kinds) for each in module.modules())


def has_program_convolutions(program: torch.export.ExportedProgram) -> bool:
    """Whether a traced program has operators to which the setting for convolutions applies."""
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    return any(part in name for name in names for part in ("conv", "lstm", "gru", "rnn"))


def _on(is_on: bool) -> str:
    return "on" if is_on else "off"
