"""What does the conformance kit have to know about torch's engines?

Named in ``EngineInfo.declarations``, and imported only by the kit.
"""

from __future__ import annotations

from lexer_core.testing.declarations import EngineUnderTest

__all__ = ["TorchCompileDeclarations", "TorchDeclarations", "TorchExportDeclarations"]

_NO_IMAGES = "none of the kit's models has tensors of 4 dimensions"
_TIMES_ONLY = "how kernels are chosen is seen in their times only"


def _tf32(_: object) -> bool:
    import torch  # the runtime

    return bool(torch.backends.cuda.matmul.allow_tf32)


def _matmul_precision(_: object) -> str:
    import torch  # the runtime

    return torch.get_float32_matmul_precision()


class TorchDeclarations(EngineUnderTest):
    """How to observe each option of torch."""

    engine_name = "torch"
    option_effects = {  # noqa: RUF012 - as the kit reads it
        "channels_last": _NO_IMAGES,
        "float32_matmul_precision": _matmul_precision,
        "tf32": _tf32,
        "cuda_graph": "it needs a CUDA device",
    }


class TorchCompileDeclarations(EngineUnderTest):
    """How to observe each option of torch.compile."""

    engine_name = "torch-compile"
    option_effects = {  # noqa: RUF012
        "mode": _TIMES_ONLY,
        "dynamic": "it changes what is compiled, not what is computed",
        "fullgraph": "it makes graph breaks an error, and the kit's models have none",
        "channels_last": _NO_IMAGES,
        "float32_matmul_precision": _matmul_precision,
        "tf32": _tf32,
    }


class TorchExportDeclarations(EngineUnderTest):
    """How to observe each option of AOTInductor."""

    engine_name = "torch-export"
    option_effects = {  # noqa: RUF012
        "mode": _TIMES_ONLY,
        "float32_matmul_precision": _matmul_precision,
        "tf32": _tf32,
    }
