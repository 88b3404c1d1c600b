"""Which inputs does a command line ask for?

``--input image=float32[1,3,224,224]`` describes a tensor that is made here;
``--inputs file.npz`` names a file that holds real ones.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from lexer_core.errors import InputError
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

__all__ = [
    "Constant",
    "InputSpec",
    "Span",
    "load_npz",
    "make_inputs",
    "parse_input_spec",
    "with_batch_size",
]

_FLOATS = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
_INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64")
_DTYPES = (*_FLOATS, *_INTEGERS, "bool")

_TENSOR = re.compile(r"(?P<dtype>\w+)(?:\[(?P<shape>[^\]]*)\])?(?P<rest>.*)", re.DOTALL)
_CONSTANT = re.compile(r"(?P<name>[^=:\s]+):=(?P<value>.*)", re.DOTALL)

_HOW_TO_WRITE = (
    "Write NAME=TYPE[SHAPE], such as image=float32[1,3,224,224], "
    "ids=int64[1,128]:0..30000 or mask=int64[1,128]:1."
)


@frozen
class Span:
    """Uniform values: ``low`` included, ``high`` not."""

    low: float
    high: float


@frozen(kw_only=True)
class InputSpec:
    """One tensor that is to be made.

    ``fill`` is a :class:`Span` of random values, one value for all elements, or
    ``None`` for the type's default: standard normal for floats, zeros for
    integers, random for booleans. ``name`` is empty for a positional input.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: Span | float | bool | None = None


@frozen(kw_only=True)
class Constant:
    """One argument that is no tensor, such as ``use_cache:=false``."""

    name: str
    value: object


def parse_input_spec(text: str) -> InputSpec | Constant:
    """Read one ``--input``.

    Parameters
    ----------
    text
        ``NAME=TYPE[SHAPE]``, with ``:LOW..HIGH`` for uniform values or
        ``:VALUE`` for one value after it; ``NAME:=VALUE`` for an argument that
        is no tensor. Without ``NAME=`` the input is positional.

    Raises
    ------
    InputError
        It has another form; the message points at the place.
    """
    constant = _CONSTANT.fullmatch(text)
    if constant is not None:
        return Constant(name=constant["name"], value=_literal(constant["value"]))
    name, equals, described = text.rpartition("=")
    name = name.strip()
    start = len(text) - len(described)
    if equals and (not name or "=" in name):
        raise _wrong(text, 0, max(start, 1), "it has no name before '='")
    match = _TENSOR.fullmatch(described)
    if match is None:
        raise _wrong(text, start, len(text), "an element type is missing")
    dtype = match["dtype"]
    if dtype not in _DTYPES:
        raise _wrong(
            text,
            start,
            start + len(dtype),
            f"{dtype!r} is no element type",
            f"Types: {', '.join(_DTYPES)}.{did_you_mean(dtype, _DTYPES)}",
        )
    if match["shape"] is None:
        at = start + len(dtype)
        raise _wrong(text, at, at + 1, f"a shape is missing after {dtype!r}, such as [1,3] or []")
    shape = _shape(text, match["shape"], start + match.start("shape"))
    fill = _fill(text, dtype, match["rest"], start + match.start("rest"))
    return InputSpec(name=name, dtype=dtype, shape=shape, fill=fill)


def with_batch_size(
    specs: Iterable[InputSpec | Constant], batch_size: int | None
) -> tuple[InputSpec | Constant, ...]:
    """Set dimension 0 of every tensor that has one."""
    if batch_size is None:
        return tuple(specs)
    return tuple(
        evolve(spec, shape=(batch_size, *spec.shape[1:]))
        if isinstance(spec, InputSpec) and spec.shape
        else spec
        for spec in specs
    )


def make_inputs(
    specs: Sequence[InputSpec | Constant], seed: int
) -> dict[str, Any] | tuple[Any, ...]:
    """Make the inputs that the specifications describe.

    Each has a generator of its own, so that the values of one depend on the
    seed, its name and its position among the unnamed, but on no other input.

    Returns
    -------
    dict or tuple
        Arrays (bfloat16 and the float8 types by ml_dtypes) and constants by
        name; a tuple where the inputs have no names.

    Raises
    ------
    InputError
        Some inputs are named and some are not, two have one name, or one does
        not fit into memory.
    """
    names = [spec.name for spec in specs]
    tensors = [spec.name for spec in specs if isinstance(spec, InputSpec)]
    if any(names) and not all(names):
        raise InputError(
            "some inputs have names and some have not.",
            hint=f"Name all of them, or none. Named: {', '.join(filter(None, names))}.",
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise InputError(f"input {twice[0]!r} is described twice.", hint="Keep one of them.")
    values = [
        _made(spec, seed, at) if isinstance(spec, InputSpec) else spec.value
        for at, spec in enumerate(specs)
    ]
    if tensors and not any(tensors):
        return tuple(values)
    return dict(zip(names, values, strict=True))


def load_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read real inputs from a file that ``numpy.savez`` wrote.

    Raises
    ------
    InputError
        The file is not there, is no such file, holds nothing, or holds what is
        no tensor. Nothing in it is executed.
    """
    import numpy as np  # not for --help

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"input file {str(path)!r} {what}.", hint=_HOW_TO_SAVE)
    arrays: dict[str, npt.NDArray[Any]] = {}
    name = ""
    try:
        # Opened here, because numpy forgets to close a file that it cannot read.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(
                    f"input file {str(path)!r} holds one array without a name.",
                    hint=_HOW_TO_SAVE,
                )
            for name in archive.files:
                arrays[name] = archive[name]
    except InputError:
        raise
    except Exception as error:
        # A damaged archive raises whatever its decoder meets: BadZipFile,
        # zlib.error, EOFError, KeyError, NotImplementedError, MemoryError, ….
        where = (
            f"array {name!r} in input file {str(path)!r}" if name else f"input file {str(path)!r}"
        )
        reason = _why_unreadable(error)
        raise InputError(f"{where} cannot be read: {reason}.", hint=_HOW_TO_SAVE) from error
    if not arrays:
        raise InputError(f"input file {str(path)!r} holds no arrays.", hint=_HOW_TO_SAVE)
    for name, array in arrays.items():
        # A member of the archive that is no array comes as its bytes.
        dtype = getattr(array, "dtype", np.dtype(bytes))
        if dtype.kind not in "biuf":
            raise InputError(
                f"array {name!r} in input file {str(path)!r} holds {dtype} values.",
                hint="Inputs are numbers or booleans. bfloat16 cannot be kept in this kind of "
                "file: describe the input with --input instead.",
            )
    return arrays


_HOW_TO_SAVE = "Save inputs by name: numpy.savez('inputs.npz', image=array)."


def _why_unreadable(error: Exception) -> str:
    text = str(error)
    if "allow_pickle" in text or "pickled" in text:
        return "it is not an .npz file of plain arrays (pickled objects are not loaded)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# --- Parsing. ---


def _literal(text: str) -> object:
    """Read a constant: JSON, Python's spelling of true, false and none, or a text."""
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
            said = f"is {size!r}, not a whole number" if size else "is missing"
            raise _wrong(text, start, start + max(len(item), 1), f"dimension {at} {said}")
        sizes.append(int(size))
        start += len(item) + 1
    return tuple(sizes)


def _fill(text: str, dtype: str, rest: str, start: int) -> Span | float | bool | None:
    if not rest:
        return None
    body = rest[1:]
    if not rest.startswith(":") or not body:
        raise _wrong(
            text, start, len(text), "':VALUE' or ':LOW..HIGH' should stand here, or nothing"
        )
    start += 1
    if dtype == "bool":
        if body.lower() not in ("true", "false"):
            raise _wrong(text, start, len(text), f"a bool is true or false, not {body!r}")
        return body.lower() == "true"
    low, dots, high = body.partition("..")
    first = _value(text, dtype, low, start)
    if not dots:
        return first
    # The upper end is not drawn itself, so it may be one beyond the type's last.
    last = _value(text, dtype, high, start + len(low) + 2, beyond=1)
    if not first < last:
        raise _wrong(text, start, len(text), f"{low} is not below {high}")
    return Span(first, last)


def _value(text: str, dtype: str, item: str, start: int, beyond: int = 0) -> float:
    end = start + max(len(item), 1)
    try:
        value: float = int(item) if dtype in _INTEGERS else float(item)
    except ValueError:
        wanted = "a whole number" if dtype in _INTEGERS else "a number"
        raise _wrong(text, start, end, f"{item!r} is not {wanted}") from None
    lowest, highest = _limits(dtype)
    if not math.isfinite(value) or not lowest <= value <= highest + beyond:
        raise _wrong(text, start, end, f"{item} is beyond what {dtype} holds")
    return value


def _limits(dtype: str) -> tuple[float, float]:
    if dtype not in _INTEGERS:
        largest = {"float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0}
        # Those of bfloat16 and float32 are float64's for this purpose.
        limit = largest.get(dtype, math.inf)
        return -limit, limit
    bits = int(re.sub(r"\D", "", dtype))
    if dtype.startswith("u"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _wrong(text: str, start: int, end: int, reason: str, hint: str = "") -> InputError:
    """Make the error that shows the text with the place underlined."""
    shown = text.replace("\n", " ").replace("\t", " ")
    return InputError(
        f"--input {text!r}: {reason}.",
        hint=f"{shown}\n{' ' * start}{'^' * max(1, end - start)}\n{hint or _HOW_TO_WRITE}",
    )


# --- Making. ---


def _made(spec: InputSpec, seed: int, position: int) -> npt.NDArray[Any]:
    import numpy as np  # not for --help

    key = zlib.crc32(spec.name.encode()) if spec.name else position
    generator = np.random.default_rng([seed, key])
    try:
        return _filled(spec, generator)
    except (MemoryError, ValueError) as error:
        # numpy's word for an array with more elements than can be counted.
        raise InputError(
            f"input {spec.name or position!r} of shape {list(spec.shape)} cannot be made: {error}.",
            hint="Is one of its dimensions a mistake?",
        ) from error


def _filled(spec: InputSpec, generator: np.random.Generator) -> npt.NDArray[Any]:
    import numpy as np  # as above

    dtype = _dtype(spec.dtype)
    fill = spec.fill
    if isinstance(fill, Span):
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


def _dtype(name: str) -> np.dtype[Any]:
    import numpy as np  # as above

    if name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        import ml_dtypes  # numpy has no such types of its own

        name = getattr(ml_dtypes, name)
    return np.dtype(name)
