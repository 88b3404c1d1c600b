"""How is a ``.pt2`` file loaded without running code from it?

``torch.export.load`` unpickles some parts of a file, and evaluates others as Python. So
the file is checked first: it may only contain what needs neither. What was checked is
copied to a new file in memory, because another reader of zip files might see other
entries in the original.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

from lexer_core.engine_helpers import error_summary
from lexer_core.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["load_program"]

_PARTS = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+"
    r"|data/(weights|constants)/model_(weights|constants)_config\.json"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id"
)
_PROGRAM = "models/model.json"
_EXAMPLES = "data/sample_inputs/model.pt"
_OPERATORS = re.compile(
    r"torch\.ops\.[a-z]\w*\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+"
)
_TOKENS = re.compile(r"'[A-Za-z]\w*'|[A-Za-z]\w*|\d+(?:\.\d+)?|\*\*|//|[<>=!]=|[-+*/(),=<>\s]")
_WORDS = re.compile(
    r"[suz]\d+|Symbol|Integer|Rational|Add|Mul|Pow|Mod|Max|Min|Eq|Ne|Lt|Le|Gt|Ge|oo|int_oo"
    r"|True|False|positive|nonnegative|integer|negative|real|FloorDiv|CeilDiv|CleanDiv|PythonMod"
    r"|ModularIndexing|Where|PowByNatural|IntTrueDiv|FloatTrueDiv|ToFloat|TruncToInt|CeilToInt"
    r"|FloorToInt|RoundToInt|Identity|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan"
    r"|Equality|Unequality"
)


def load_program(path: Path) -> Any:
    """Load a ``torch.export.ExportedProgram`` that ``torch.export.save`` wrote.

    Raises
    ------
    TargetError
        The file is not valid, or cannot be loaded without running code from it.
    """
    try:
        import torch
    except ImportError as error:
        raise TargetError(
            f"{str(path)!r} needs PyTorch, which is not installed.",
            hint="Install it: pip install lexer-torch",
        ) from error
    parts = _checked_parts(path)
    clean = io.BytesIO()
    with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as target:
        for name, content in parts.items():
            target.writestr(f"program/{name}", content)
    clean.seek(0)
    try:
        if _EXAMPLES in parts:
            # torch.export.load would fall back to loading it with code.
            torch.load(io.BytesIO(parts[_EXAMPLES]), weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions of the format
            return torch.export.load(clean)
    except Exception as error:  # of torch's readers, whose errors are not documented
        raise TargetError(
            f"{str(path)!r} cannot be loaded: {error_summary(error)}.",
            hint="Save it again with torch.export.save and this version of PyTorch.",
        ) from error


def _checked_parts(path: Path) -> dict[str, bytes]:
    """Return the contents of a file by name, without its top folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise _refused(path, "it has two entries of one name")
            parts = {name.partition("/")[2]: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise TargetError(
            f"{str(path)!r} is not a file that torch.export.save wrote: {error}."
        ) from error
    if len({name.partition("/")[0] for name in names}) != 1 or _PROGRAM not in parts:
        raise TargetError(
            f"{str(path)!r} does not contain one program of torch.export.save.",
            hint="Write it with PyTorch 2.8 or newer: torch.export.save(program, 'model.pt2').",
        )
    for name, content in parts.items():
        if not _PARTS.fullmatch(name):
            raise _refused(path, f"{name!r} may contain code")
        if name.endswith(".json"):
            try:
                data = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise TargetError(f"{name!r} in {str(path)!r} is not valid JSON.") from error
            for problem in _problems(data):
                raise _refused(path, f"{name!r} has {problem}")
            if name == _PROGRAM:
                data["guards_code"] = []  # Python code that checks the shapes of the inputs
                parts[name] = json.dumps(data).encode()
    return parts


def _problems(data: Any) -> Iterator[str]:
    """Yield what in JSON data would run code when it is loaded or called."""
    if isinstance(data, list):
        for each in data:
            yield from _problems(each)
    if not isinstance(data, dict):
        return
    if data.get("use_pickle"):
        yield "pickled data"
    operator = data.get("target")
    if isinstance(operator, str) and "inputs" in data and not _OPERATORS.fullmatch(operator):
        yield f"the operator {operator!r}"
    expression = data.get("expr_str")
    if expression is not None and not _is_plain(expression):
        yield f"the expression {expression!r}"
    for each in data.values():
        yield from _problems(each)


def _is_plain(expression: object) -> bool:
    """Return whether an expression consists of known words, numbers and operators."""
    if not isinstance(expression, str):
        return False
    if _TOKENS.sub("", expression):
        return False
    words = re.findall(r"[A-Za-z]\w*", expression)
    return all(_WORDS.fullmatch(word) for word in words)


def _refused(path: Path, what: str) -> TargetError:
    return TargetError(
        f"{str(path)!r} cannot be loaded without running code from it: {what}.",
        hint="If you trust the file, name a function that loads it:\n"
        f"def make_model():\n    return torch.export.load({path.name!r})",
    )
