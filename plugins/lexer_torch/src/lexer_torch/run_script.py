"""How does a program run a deployed model with torch, without Lexer?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import UnsupportedError
from lexer_core.records import TensorRef
from lexer_core.run_scripts import ScriptParts, literal, script_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import DeployedModel

__all__ = ["compiled_script", "module_script", "program_script"]

_BITS = {"bfloat16": "int16"}
"""How numpy reads the types that torch has and numpy lacks."""


def module_script(deployed: DeployedModel) -> str:
    """Return a script that builds the module and loads its weights.

    Raises
    ------
    UnsupportedError
        The calls are those of a CUDA graph, which the script would not capture.
    """
    if deployed.options.get("cuda_graph"):
        raise UnsupportedError(
            "no script is written for cuda_graph=true.",
            hint="Load the deployed model with lexer_core.load, or leave out cuda_graph.",
        )
    return _script(deployed, "Run the model with torch.", [])


def compiled_script(deployed: DeployedModel) -> str:
    """Return a script that compiles the module with ``torch.compile``."""
    named = {name: deployed.options.get(name) for name in ("mode", "dynamic", "fullgraph")}
    options = "".join(
        f", {name}={literal(value)}" for name, value in named.items() if value is not None
    )
    load = [f"model = torch.compile(model{options})"]
    return _script(deployed, "Run the model with torch.compile.", load)


def program_script(deployed: DeployedModel) -> str:
    """Return a script that compiles the program with AOTInductor."""
    parts = script_parts(deployed)
    options = ""
    if deployed.options.get("mode") == "max-autotune":
        configs = {"max_autotune": True, "coordinate_descent_tuning": True}
        options = f", inductor_configs={literal(configs)}"
    device = _device(deployed)
    move = [] if device == "cpu" else [f"program = move_to_device_pass(program, {literal(device)})"]
    arguments = ", ".join(_tensors(deployed, parts).values())
    return parts.script(
        "Run the model with AOTInductor, which compiles it first.",
        imports=[
            "import torch",
            "from torch._inductor import aoti_compile_and_package, aoti_load_package",
            *(["from torch.export.passes import move_to_device_pass"] if move else []),
        ],
        load=[
            *_settings(deployed),
            f"program = torch.export.load({parts.path})",
            *move,
            f"model = aoti_load_package(aoti_compile_and_package(program{options}))",
        ],
        decorator="@torch.inference_mode()",
        call=[f"return model({arguments})"],
    )


def _script(deployed: DeployedModel, title: str, compile_lines: list[str]) -> str:
    parts = script_parts(deployed)
    where, _, attribute = deployed.build.partition(":")
    outer = attribute.partition(".")[0]
    arguments = ", ".join(f"{name}={literal(value)}" for name, value in deployed.arguments.items())
    device = _device(deployed)
    casts = [
        *([] if device == "cpu" else [literal(device)]),
        *([f"torch.{deployed.precision}"] if deployed.precision else []),
        *(["memory_format=torch.channels_last"] if deployed.options.get("channels_last") else []),
    ]
    imports = ["import torch", f"from {where} import {outer}"]
    load = f"model.load_state_dict(torch.load({parts.path}, weights_only=True))"
    if deployed.file.endswith(".safetensors"):
        imports.append("from safetensors.torch import load_model")
        load = f"load_model(model, {parts.path})"
    tensors = _tensors(deployed, parts)
    structure = deployed.structure
    call = ", ".join(
        [
            *(_expression(value, tensors) for value in structure.args),
            *(f"{name}={_expression(value, tensors)}" for name, value in structure.kwargs.items()),
        ]
    )
    return parts.script(
        title,
        imports=imports,
        load=[
            *_settings(deployed),
            f"model = {attribute}({arguments}).eval()",
            load,
            *(f"model = model.to({each})" for each in casts),
            *compile_lines,
        ],
        decorator="@torch.inference_mode()",
        call=[f"return model({call})"],
    )


def _settings(deployed: DeployedModel) -> Iterator[str]:
    yield f"torch.set_num_threads({deployed.threads})"
    precision = deployed.options.get("float32_matmul_precision")
    if precision is not None:
        yield f"torch.set_float32_matmul_precision({literal(precision)})"
    tf32 = deployed.options.get("tf32")
    if tf32 is not None:
        yield f"torch.backends.cuda.matmul.allow_tf32 = {literal(tf32)}"
        yield f"torch.backends.cudnn.allow_tf32 = {literal(tf32)}"


def _device(deployed: DeployedModel) -> str:
    device = deployed.device
    return device.kind if device.kind in ("cpu", "mps") else f"{device.kind}:{device.index}"


def _tensors(deployed: DeployedModel, parts: ScriptParts) -> dict[str, str]:
    """Return the expression of the tensor for each input, by the input's name."""
    expressions = {}
    device = _device(deployed)
    for spec, name in zip(deployed.inputs, parts.names, strict=True):
        expression = f"torch.from_numpy({name})"
        if spec.dtype in _BITS:
            bits = _BITS[spec.dtype]
            expression = f"torch.from_numpy({name}.view({literal(bits)})).view(torch.{spec.dtype})"
        if device != "cpu":
            expression += f".to({literal(device)})"
        if deployed.precision and "float" in spec.dtype:
            expression += f".to(torch.{deployed.precision})"
        expressions[spec.name] = expression
    return expressions


def _expression(value: Any, tensors: dict[str, str]) -> str:
    """Return the source of one argument of ``forward``."""
    if isinstance(value, TensorRef):
        return tensors[value.name]
    if isinstance(value, list):
        return f"[{', '.join(_expression(item, tensors) for item in value)}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{_expression(item, tensors)}, ' for item in value)})"
    if isinstance(value, dict):
        items = (f"{literal(key)}: {_expression(item, tensors)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return literal(value)
