"""Which inputs do ``--input`` and ``--inputs`` describe?

``--input image=float32[1,3,224,224]`` generates a tensor; ``--inputs file.npz``
reads real ones.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.errors import InputError
from lexer_core.precisions import FLOAT_ALIASES
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = [
    "Constant",
    "InputSpec",
    "ValueRange",
    "generate_inputs",
    "load_npz",
    "parse_input_spec",
    "with_batch_size",
]

_FLOATS = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
_INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64")
_DTYPES = (*_FLOATS, *_INTEGERS, "bool")
_ALIASES = {
    **FLOAT_ALIASES,
    "long": "int64",
    "int": "int32",
    "short": "int16",
}
"""``int`` is torch's."""

_TENSOR = re.compile(r"(?P<dtype>\w+)(?:\[(?P<shape>[^\]]*)\])?(?P<rest>.*)", re.DOTALL)
_CONSTANT = re.compile(r"(?P<name>[^=:\s]+):=(?P<value>.*)", re.DOTALL)

_HOW_TO_WRITE = (
    "Write NAME=TYPE[SHAPE], such as image=float32[1,3,224,224], "
    "ids=int64[1,128]:0..30000 or mask=int64[1,128]:1."
)


@frozen
class ValueRange:
    """Uniformly distributed values from ``low`` (inclusive) to ``high`` (exclusive)."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{_number_text(self.low)}..{_number_text(self.high)}"


@frozen(kw_only=True)
class InputSpec:
    """One tensor to generate; ``str`` returns it as an ``--input`` option.

    ``fill`` is a range of random values, one value for all elements, or ``None``
    for the type's default: standard normal for floats, zeros for integers,
    random for booleans. ``name`` is empty for a positional input.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: ValueRange | float | bool | None = None

    def __str__(self) -> str:
        name = f"{self.name}=" if self.name else ""
        shape = ",".join(map(str, self.shape))
        fill = "" if self.fill is None else f":{_fill_text(self.fill)}"
        return f"{name}{self.dtype}[{shape}]{fill}"


@frozen(kw_only=True)
class Constant:
    """One argument that is not a tensor, such as ``use_cache:=false``."""

    name: str
    value: object

    def __str__(self) -> str:
        return f"{self.name}:={json.dumps(self.value)}"


def parse_input_spec(text: str) -> InputSpec | Constant:
    """Parse one ``--input`` option.

    Parameters
    ----------
    text
        ``NAME=TYPE[SHAPE]``, optionally followed by ``:LOW..HIGH`` for uniform
        values or ``:VALUE`` for one value; ``NAME:=VALUE`` for an argument that
        is not a tensor. Without ``NAME=`` the input is positional.

    Raises
    ------
    InputError
        The text is malformed; the hint underlines the mistake.
    """
    constant = _CONSTANT.fullmatch(text)
    if constant is not None:
        return Constant(name=constant["name"], value=_literal(constant["value"]))
    name, equals, described = text.rpartition("=")
    name = name.strip()
    start = len(text) - len(described)
    if equals and (not name or "=" in name):
        raise _wrong(text, 0, max(start, 1), "the name before '=' is missing")
    match = _TENSOR.fullmatch(described)
    if match is None:
        raise _wrong(text, start, len(text), "the element type is missing")
    typed = match["dtype"]
    dtype = _ALIASES.get(typed, typed)
    if dtype not in _DTYPES:
        raise _wrong(
            text,
            start,
            start + len(typed),
            f"{dtype!r} is not an element type",
            f"Types: {', '.join(_DTYPES)}.{did_you_mean(dtype, _DTYPES)}",
        )
    if match["shape"] is None:
        at = start + len(typed)
        raise _wrong(text, at, at + 1, f"the shape after {dtype!r} is missing, such as [1,3] or []")
    shape = _shape(text, match["shape"], start + match.start("shape"))
    fill = _fill(text, dtype, match["rest"], start + match.start("rest"))
    return InputSpec(name=name, dtype=dtype, shape=shape, fill=fill)


def with_batch_size(
    specs: Iterable[InputSpec | Constant], batch_size: int | None
) -> tuple[InputSpec | Constant, ...]:
    """Return the specs with dimension 0 of every tensor set to the batch size, if there is one."""
    if batch_size is None:
        return tuple(specs)
    return tuple(
        evolve(spec, shape=(batch_size, *spec.shape[1:]))
        if isinstance(spec, InputSpec) and spec.shape
        else spec
        for spec in specs
    )


def generate_inputs(
    specs: Sequence[InputSpec | Constant], seed: int
) -> dict[str, Any] | tuple[Any, ...]:
    """Generate the inputs that the specs describe.

    Every input has its own random generator, so its values depend only on the
    seed and on its name (its position, if it has no name).

    Returns
    -------
    dict or tuple
        Arrays (bfloat16 and the float8 types come from ml_dtypes) and constants
        by name; a tuple if the inputs are positional.

    Raises
    ------
    InputError
        Only some inputs are named, two have the same name, or one does not fit
        in memory.
    """
    names = [spec.name for spec in specs]
    tensors = [spec.name for spec in specs if isinstance(spec, InputSpec)]
    if any(names) and not all(names):
        raise InputError(
            "some inputs are named and some are not.",
            hint=f"Name all of them or none. Named: {', '.join(filter(None, names))}.",
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise InputError(f"input {twice[0]!r} is described twice.", hint="Remove one.")
    values = [
        _generate(spec, seed, at) if isinstance(spec, InputSpec) else spec.value
        for at, spec in enumerate(specs)
    ]
    if tensors and not any(tensors):
        return tuple(values)
    return dict(zip(names, values, strict=True))


def load_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read real inputs from a file that ``numpy.savez`` wrote. Runs no code from it.

    Raises
    ------
    InputError
        The file does not exist, cannot be read, is empty, or contains something
        that is not a tensor.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"input file {str(path)!r} {what}.", hint=_HOW_TO_SAVE)
    arrays: dict[str, npt.NDArray[Any]] = {}
    name = ""
    try:
        # Opened here because numpy does not close a file that it cannot read.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(
                    f"input file {str(path)!r} contains a single unnamed array.",
                    hint=_HOW_TO_SAVE,
                )
            for name in archive.files:
                arrays[name] = archive[name]
    except InputError:
        raise
    except Exception as error:
        # A damaged archive can raise almost anything: BadZipFile, zlib.error,
        # EOFError, KeyError, NotImplementedError, MemoryError, ….
        where = (
            f"array {name!r} in input file {str(path)!r}" if name else f"input file {str(path)!r}"
        )
        reason = _why_unreadable(error)
        raise InputError(f"{where} cannot be read: {reason}.", hint=_HOW_TO_SAVE) from error
    if not arrays:
        raise InputError(f"input file {str(path)!r} contains no arrays.", hint=_HOW_TO_SAVE)
    for name, array in arrays.items():
        # numpy returns a member that is not an array as bytes.
        dtype = getattr(array, "dtype", np.dtype(bytes))
        if dtype.kind not in "biuf":
            raise InputError(
                f"array {name!r} in input file {str(path)!r} contains {dtype} values.",
                hint="Inputs must be numbers or booleans. An .npz file cannot store bfloat16: "
                "describe that input with --input instead.",
            )
    return arrays


_HOW_TO_SAVE = "Save inputs by name: numpy.savez('inputs.npz', image=array)."


def _why_unreadable(error: Exception) -> str:
    text = str(error)
    if "allow_pickle" in text or "pickled" in text:
        return "it is not an .npz file of plain arrays (Lexer does not load pickled objects)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# --- Parsing. ---


def _literal(text: str) -> object:
    """Parse a constant: JSON, Python's True, False or None, or a plain string."""
    spelled = {"true": True, "false": False, "none": None, "null": None}
    if text.strip().lower() in spelled:
        return spelled[text.strip().lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shape(text: str, inner: str, start: int) -> tuple[int, ...]:
    if not inner.strip():
        return ()
    sizes = []
    for at, item in enumerate(inner.split(",")):
        size = item.strip()
        if not (size.isascii() and size.isdigit()):
            problem = f"is {size!r}, not a whole number" if size else "is missing"
            raise _wrong(text, start, start + max(len(item), 1), f"dimension {at} {problem}")
        sizes.append(int(size))
        start += len(item) + 1
    return tuple(sizes)


def _fill(text: str, dtype: str, rest: str, start: int) -> ValueRange | float | bool | None:
    if not rest:
        return None
    body = rest[1:]
    if not rest.startswith(":") or not body:
        raise _wrong(text, start, len(text), "expected ':VALUE', ':LOW..HIGH' or nothing here")
    start += 1
    if dtype == "bool":
        if body.lower() not in ("true", "false"):
            raise _wrong(text, start, len(text), f"a bool must be true or false, not {body!r}")
        return body.lower() == "true"
    low, dots, high = body.partition("..")
    first = _value(text, dtype, low, start)
    if not dots:
        return first
    # The upper end is exclusive, so it may be one beyond the type's maximum.
    last = _value(text, dtype, high, start + len(low) + 2, beyond=1)
    if not first < last:
        raise _wrong(text, start, len(text), f"{low} is not below {high}")
    return ValueRange(first, last)


def _value(text: str, dtype: str, item: str, start: int, beyond: int = 0) -> float:
    end = start + max(len(item), 1)
    try:
        value: float = int(item) if dtype in _INTEGERS else float(item)
    except ValueError:
        wanted = "a whole number" if dtype in _INTEGERS else "a number"
        raise _wrong(text, start, end, f"{item!r} is not {wanted}") from None
    lowest, highest = _limits(dtype)
    if not math.isfinite(value) or not lowest <= value <= highest + beyond:
        raise _wrong(text, start, end, f"{item} is out of range for {dtype}")
    return value


def _limits(dtype: str) -> tuple[float, float]:
    if dtype not in _INTEGERS:
        largest = {"float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0}
        # For bfloat16, float32 and float64, only infinity is out of range here.
        limit = largest.get(dtype, math.inf)
        return -limit, limit
    bits = int(re.sub(r"\D", "", dtype))
    if dtype.startswith("u"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _wrong(text: str, start: int, end: int, reason: str, hint: str = "") -> InputError:
    """Return an error that shows the text with the mistake underlined."""
    shown = text.replace("\n", " ").replace("\t", " ")
    return InputError(
        f"--input {text!r}: {reason}.",
        hint=f"{shown}\n{' ' * start}{'^' * max(1, end - start)}\n{hint or _HOW_TO_WRITE}",
    )


def _fill_text(fill: ValueRange | float | bool) -> str:
    if isinstance(fill, bool):
        return str(fill).lower()
    return str(fill) if isinstance(fill, ValueRange) else _number_text(fill)


def _number_text(value: float) -> str:
    whole = int(value)
    # Integers as integers: an integer type accepts no "1.0".
    return str(whole) if whole == value else repr(value)


# --- Generating. ---


def _generate(spec: InputSpec, seed: int, position: int) -> npt.NDArray[Any]:
    key = zlib.crc32(spec.name.encode()) if spec.name else position
    generator = np.random.default_rng([seed, key])
    try:
        return _values(spec, generator)
    except (MemoryError, ValueError) as error:
        # numpy raises ValueError for a shape with too many elements.
        raise InputError(
            f"input {spec.name or position!r} of shape {list(spec.shape)} cannot be generated: "
            f"{error}.",
            hint="Check its dimensions.",
        ) from error


def _values(spec: InputSpec, generator: np.random.Generator) -> npt.NDArray[Any]:
    dtype = numpy_dtype(spec.dtype)
    fill = spec.fill
    if isinstance(fill, ValueRange):
        if spec.dtype in _INTEGERS:
            return np.asarray(
                generator.integers(int(fill.low), int(fill.high), spec.shape, dtype=dtype)
            )
        return np.asarray(generator.uniform(fill.low, fill.high, spec.shape)).astype(dtype)
    if fill is not None:
        return np.full(spec.shape, fill, dtype=dtype)
    if spec.dtype == "bool":
        return np.asarray(generator.integers(0, 2, spec.shape)).astype(dtype)
    if spec.dtype in _INTEGERS:
        return np.zeros(spec.shape, dtype=dtype)
    wide: Any = np.float64 if spec.dtype == "float64" else np.float32
    return np.asarray(generator.standard_normal(spec.shape, dtype=wide)).astype(dtype)
