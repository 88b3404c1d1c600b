"""What does the distribution of a new engine begin with?

Files from templates, complete but for what only the author knows: that is
marked ``FILL IN`` and raises when it is called.
"""

from __future__ import annotations

import keyword
import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from lexer_core.errors import OutputFileError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STANDARD_FORMATS", "new_engine"]

STANDARD_FORMATS = {
    "onnx": "the ONNX file exported.path; external data lies beside it.",
    "torch": "exported.model, a torch.nn.Module in eval mode.",
    "torch_export": "exported.model, a torch.export.ExportedProgram of flat tensors.",
}
"""Formats that other engines already make, and what a session gets to load."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FORMAT = re.compile(r"[a-z][a-z0-9_]*")


def new_engine(name: str, folder: Path, *, accepts: str = "onnx") -> tuple[Path, ...]:
    """Write a distribution that provides an engine.

    Parameters
    ----------
    name
        The engine's name on the command line: ``"myengine"``.
    folder
        Where to write; made if it is not there.
    accepts
        The format that the engine loads: one of :data:`STANDARD_FORMATS`, or
        one of its own, for which it then gets an export hook.

    Returns
    -------
    tuple of pathlib.Path
        What was written, in the order in which to read it.

    Raises
    ------
    UsageError
        The name or format cannot be one.
    OutputFileError
        The folder holds something already, or cannot be written to.
    """
    _check_names(name, accepts)
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputFileError(
            f"{folder} is not empty.", hint="Name another folder with --into, or empty it."
        )
    written = []
    try:
        for path, text in _files(name, accepts):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            written.append(target)
    except OSError as error:
        raise OutputFileError(f"{folder} cannot be written to: {error}.") from error
    return tuple(written)


def _check_names(name: str, accepts: str) -> None:
    package = _package_of(name)
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise UsageError(
            f"{name!r} cannot be the name of an engine.",
            hint="Lower-case letters and digits, in words joined by hyphens: 'my-engine'.",
        )
    if not _FORMAT.fullmatch(accepts):
        raise UsageError(
            f"{accepts!r} cannot be the name of a format.",
            hint=f"One of {', '.join(STANDARD_FORMATS)}, or a word of its own: 'myformat'.",
        )


def _package_of(name: str) -> str:
    return "lexer_" + name.replace("-", "_")


def _files(name: str, accepts: str) -> list[tuple[str, str]]:
    from lexer_core import __version__

    package = _package_of(name)
    major, minor = __version__.split(".")[:2]
    standard = accepts in STANDARD_FORMATS
    facts = {
        "name": name,
        "package": package,
        "distribution": f"lexer-{name}",
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "accepts": accepts,
        "lexer_version": f"{major}.{minor}",
        "lexer_next": f"{major}.{int(minor) + 1}",
        "what_is_loaded": STANDARD_FORMATS.get(accepts, "what lexer_export_model wrote."),
        "record_imports": "" if standard else ", ExportedModel",
        "type_imports": ", ExportedModel" if standard else ", ModelSource",
        "path_import": "" if standard else "    from pathlib import Path\n",
        # The kit's models are made with these.
        "test_requirements": ', "onnx"' if accepts == "onnx" else ', "torch"',
    }
    parts = ["engine_head", *([] if standard else ["engine_export"]), "engine_session"]
    engine = "\n".join(_filled(f"{part}.py", facts).rstrip("\n") + "\n" for part in parts)
    return [
        (f"src/{package}/engine.py", engine),
        (f"src/{package}/__init__.py", f'"""{facts["class_name"]} as an engine for Lexer."""\n'),
        (f"src/{package}/py.typed", ""),
        ("pyproject.toml", _filled("pyproject.toml", facts)),
        ("tests/test_conformance.py", _filled("test_conformance.py", facts)),
        ("README.md", _filled("README.md", facts)),
        (".github/workflows/tests.yml", _filled("workflow.yml", facts)),
    ]


def _filled(template: str, facts: dict[str, str]) -> str:
    text = resources.files(__package__).joinpath("templates", f"{template}.txt")
    return Template(text.read_text(encoding="utf-8")).substitute(facts)
