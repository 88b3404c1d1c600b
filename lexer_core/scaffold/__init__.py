"""Which files does a new engine's distribution start with?

They are made from templates and are complete except for the parts that only the
author can write. Those are marked ``FILL IN`` and raise when called.
"""

from __future__ import annotations

import keyword
import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from lexer_core import __version__
from lexer_core.errors import OutputFileError, UsageError
from lexer_core.export.formats import STANDARD_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["new_engine"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FORMAT = re.compile(r"[a-z][a-z0-9_]*")


def new_engine(name: str, folder: Path, *, accepts: str = "onnx") -> tuple[Path, ...]:
    """Write the files of a distribution that provides an engine.

    Parameters
    ----------
    name
        The engine's name on the command line: ``"myengine"``.
    folder
        The folder to write to; created if it does not exist.
    accepts
        The format that the engine loads: a standard format, or its own
        format, for which the engine gets an export hook.

    Returns
    -------
    tuple of pathlib.Path
        The files, in the order in which to read them.

    Raises
    ------
    UsageError
        The name or format is not valid.
    OutputFileError
        The folder is not empty or not writable.
    """
    _check_names(name, accepts)
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputFileError(
            f"{folder} is not empty.", hint="Choose another folder with --into, or empty this one."
        )
    written = []
    try:
        for path, text in _files(name, accepts):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            written.append(target)
    except OSError as error:
        raise OutputFileError(f"cannot write to {folder}: {error}.") from error
    return tuple(written)


def _check_names(name: str, accepts: str) -> None:
    package = _package_of(name)
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise UsageError(
            f"{name!r} is not a valid engine name.",
            hint="Use words of lower-case letters and digits, joined by hyphens: 'my-engine'.",
        )
    if not _FORMAT.fullmatch(accepts):
        raise UsageError(
            f"{accepts!r} is not a valid format name.",
            hint=f"Use one of {', '.join(STANDARD_FORMATS)}, or a new word such as 'myformat'.",
        )


def _package_of(name: str) -> str:
    return "lexer_" + name.replace("-", "_")


def _files(name: str, accepts: str) -> list[tuple[str, str]]:
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
        "what_is_loaded": STANDARD_FORMATS[accepts].content
        if standard
        else "the file that lexer_export_model wrote.",
        "record_imports": "" if standard else ", ExportedModel",
        "type_imports": ", ExportedModel" if standard else ", ModelSource",
        "path_import": "" if standard else "    from pathlib import Path\n",
        # The conformance kit makes its models with these packages.
        "test_requirements": ', "onnx"' if accepts == "onnx" else ', "torch"',
    }
    parts = ["engine_head", *([] if standard else ["engine_export"]), "engine_session"]
    engine = "\n".join(_filled(f"{part}.py", facts).rstrip("\n") + "\n" for part in parts)
    return [
        (f"src/{package}/engine.py", engine),
        (f"src/{package}/__init__.py", f'"""A Lexer engine for {facts["class_name"]}."""\n'),
        (f"src/{package}/py.typed", ""),
        ("pyproject.toml", _filled("pyproject.toml", facts)),
        ("tests/test_conformance.py", _filled("test_conformance.py", facts)),
        ("README.md", _filled("README.md", facts)),
        (".github/workflows/tests.yml", _filled("workflow.yml", facts)),
    ]


def _filled(template: str, facts: dict[str, str]) -> str:
    text = resources.files(__package__).joinpath("templates", f"{template}.txt")
    return Template(text.read_text(encoding="utf-8")).substitute(facts)
