"""What do the scripts have in common that run a deployed model without Lexer?

For plugin authors: ``lexer_run_script`` writes such a script. Importing this module is
cheap: it imports neither numpy nor a runtime.
"""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.records import DeployedModel, TensorSpec

__all__ = ["ScriptParts", "literal", "script_parts", "script_with_lexer"]

_ML_DTYPES = ("bfloat16", "float8_", "float6_", "float4_")


@frozen(kw_only=True)
class ScriptParts:
    """The parts of a script that are the same for every engine, as Python source.

    Parameters
    ----------
    names
        The name of the parameter for each input, in order.
    path
        The path of the model's file: ``Path(__file__).with_name("model") / "net.onnx"``.
    feeds
        A dict of the inputs: ``{"image": image}``.
    parameters
        The inputs as parameters or arguments: ``image, mask``.
    example
        Arguments for a call, arrays of zeros: ``np.zeros((1, 3), "float32")``.
    imports
        The imports that these parts need besides ``Path``, one in each line.
    """

    names: tuple[str, ...]
    path: str
    feeds: str
    parameters: str
    example: str
    imports: tuple[str, ...]

    def script(
        self,
        title: str,
        *,
        imports: Iterable[str],
        load: Sequence[str],
        call: Sequence[str],
        decorator: str = "",
    ) -> str:
        """Return a complete script.

        Parameters
        ----------
        title
            What the script does, in one sentence.
        imports
            Lines that import the runtime.
        load
            Lines that load the model.
        call
            The body of the function ``run``, whose parameters are the inputs.
        decorator
            A line before the function; may be empty.
        """
        lines = [
            f'"""{title}"""',
            "",
            "from pathlib import Path",
            "",
            *sorted({*self.imports, *imports}, key=_import_order),
            "",
            *load,
            "",
            "",
            *([decorator] if decorator else []),
            f"def run({self.parameters}):",
            *(f"    {line}" for line in call),
            "",
            "",
            'if __name__ == "__main__":',
            f"    print(run({self.example}))",
            "",
        ]
        return "\n".join(lines)


def script_parts(deployed: DeployedModel) -> ScriptParts:
    """Return the parts of a script for a deployed model."""
    names = _parameter_names([spec.name for spec in deployed.inputs])
    folder, _, file = deployed.file.rpartition("/")
    path = f"Path(__file__).with_name({literal(folder)}) / {literal(file)}"
    if not folder:
        path = f"Path(__file__).with_name({literal(file)})"
    feeds = ", ".join(
        f"{literal(spec.name)}: {name}" for spec, name in zip(deployed.inputs, names, strict=True)
    )
    imports = ["import numpy as np"]
    if any(spec.dtype.startswith(_ML_DTYPES) for spec in deployed.inputs):
        imports.append("import ml_dtypes")
    return ScriptParts(
        names=names,
        path=path,
        feeds=f"{{{feeds}}}",
        parameters=", ".join(names),
        example=", ".join(map(_zeros, deployed.inputs)),
        imports=tuple(imports),
    )


def script_with_lexer(deployed: DeployedModel) -> str:
    """Return a script that loads the folder with Lexer, for an engine that writes no script."""
    parts = script_parts(deployed)
    trusted = "" if deployed.format == "onnx" else ", trusted=True"
    return parts.script(
        "Run the model with Lexer: the plugin of its engine does not implement lexer_run_script.",
        imports=["import lexer_core"],
        load=[f"session = lexer_core.load(Path(__file__).parent{trusted})"],
        call=[f"return session({parts.parameters})"],
    )


def literal(value: object) -> str:
    """Return a value as Python source, with double quotes if no string contains quotes."""
    text = repr(value)
    return text if '"' in text or "\\" in text else text.replace("'", '"')


def _import_order(line: str) -> tuple[str, str]:
    """Sort plain imports first, as isort does, then by module."""
    return line.partition(" ")[0].replace("import", "a"), line.split()[1]


def _parameter_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return a different identifier for each name."""
    taken: list[str] = []
    for name in names:
        identifier = re.sub(r"\W", "_", name) or "input"
        if identifier[0].isdigit() or keyword.iskeyword(identifier) or identifier in _USED:
            identifier = f"input_{identifier}"
        while identifier in taken:
            identifier += "_"
        taken.append(identifier)
    return tuple(taken)


_USED = frozenset(
    {"Path", "compiled", "lexer_core", "ml_dtypes", "model", "np", "results", "session", "torch"}
)
"""Names that the scripts use for something else."""


def _zeros(spec: TensorSpec) -> str:
    shape = tuple(size if isinstance(size, int) else 1 for size in spec.shape)
    dtype = f"ml_dtypes.{spec.dtype}" if spec.dtype.startswith(_ML_DTYPES) else literal(spec.dtype)
    return f"np.zeros({shape!r}, {dtype})"
