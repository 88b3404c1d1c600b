"""How are raw samples stored in an ``.npz`` without any loss?

Raw arrays are found by their path in the report, so a new one needs no code here.
Seconds that are a whole number of nanoseconds, divided by a number of calls, are
stored as integers, which takes a third of the space. This is only done if the
division restores every bit.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import attrs
import numpy as np

from lexer_core.artifact.archive import Archive, Budget, refuse_damage
from lexer_core.errors import ArtifactError
from lexer_core.results.attrs_fields import is_raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from lexer_core.results import ReportData

    Array = npt.NDArray[Any]
    ReportT = TypeVar("ReportT", bound=ReportData)

__all__ = ["array_kind", "raw_arrays", "read_arrays", "with_arrays", "write_arrays"]

_TICKS, _PER_SECOND = ".ticks", ".ticks_per_second"
_NANOSECONDS = 10**9
_LARGEST_TICKS = 2**53  # up to here, a float64 represents every integer
_MOST_LOOPS = 10**9

_KINDS: Mapping[str, tuple[str, str]] = {
    "seconds": (r"\bSeconds\b|\bfloat64\b", "f"),
    "indices": (r"\bIndices\b|\bint_", "iu"),
}
_LARGEST_HEADER = 4096
_CHUNK = 2**20


def array_kind(attribute: attrs.Attribute[Any]) -> Literal["seconds", "indices"] | None:
    """Return what a field contains: raw seconds, raw rounds or launches, or no raw array."""
    if is_raw(attribute):
        for kind, (pattern, _) in _KINDS.items():
            if re.search(pattern, str(attribute.type)):
                return "seconds" if kind == "seconds" else "indices"
    return None


def raw_arrays(report: ReportData) -> dict[str, tuple[Array, int]]:
    """Return the raw arrays of a report, each with its number of calls per sample.

    Returns
    -------
    dict
        By path: ``"results.0.samples"``.

    Raises
    ------
    ArtifactError
        An array has the wrong dtype or shape, or another length than those that
        belong to it.
    """
    found: dict[str, tuple[Array, int]] = {}
    for place, record in _records(report):
        own = {
            field.name: _plain(getattr(record, field.name), field, _join(place, field.name))
            for field in attrs.fields(type(record))
            if array_kind(field) and getattr(record, field.name) is not None
        }
        _check_lengths(own, place)
        loops = getattr(record, "loops", 1)
        found |= {_join(place, name): (array, loops) for name, array in own.items()}
    return found


def with_arrays(report: ReportT, arrays: Mapping[str, Array]) -> ReportT:
    """Return a report with its raw arrays; arrays of unknown fields are ignored.

    Raises
    ------
    ArtifactError
        An array has the wrong dtype, or another length than those that belong to
        it.
    """
    whole: ReportT = _filled(report, "", arrays)
    return whole


def write_arrays(file: IO[bytes], arrays: Mapping[str, tuple[Array, int]]) -> None:
    """Write arrays as an ``.npz``, deflated unless :func:`read_arrays` would refuse it."""
    start = file.tell()
    _write_npz(file, arrays, zipfile.ZIP_DEFLATED)
    unpacked = sum(array.nbytes for array, _ in arrays.values())
    if unpacked > Budget.of(file.tell() - start):
        # Constant times compress so well that they look like a zip bomb.
        file.seek(start)
        file.truncate()
        _write_npz(file, arrays, zipfile.ZIP_STORED)


def read_arrays(archive: Archive) -> dict[str, Array]:
    """Read the arrays of an ``.npz`` without executing anything in it.

    Raises
    ------
    ArtifactError
        It contains anything but one-dimensional arrays of numbers, or a size does
        not match.
    """
    stored = {
        name.removesuffix(".npy"): _read_npy(archive, name)
        for name in archive.names
        if name.endswith(".npy")
    }
    arrays = {}
    for name, array in stored.items():
        if name.endswith(_TICKS):
            place = name.removesuffix(_TICKS)
            arrays[place] = _from_ticks(
                array, stored.get(place + _PER_SECOND), f"{place!r} in {archive.what}"
            )
        elif not name.endswith(_PER_SECOND):
            arrays[name] = array
    return arrays


# --- Paths. ---


def _records(record: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    yield place, record
    for name, inner in _inner_records(record):
        yield from _records(inner, _join(place, name))


def _inner_records(record: Any) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if is_raw(field):
            continue
        if attrs.has(type(value)):
            yield field.name, value
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                if attrs.has(type(item)):
                    yield f"{field.name}.{number}", item


def _filled(record: Any, place: str, arrays: Mapping[str, Array]) -> Any:
    own = {
        field.name: _plain(arrays[where], field, where)
        for field in attrs.fields(type(record))
        if array_kind(field) and (where := _join(place, field.name)) in arrays
    }
    _check_lengths(own, place)
    changes: dict[str, Any] = dict(own)
    for where, inner in _inner_records(record):
        filled = _filled(inner, _join(place, where), arrays)
        if filled is inner:
            continue
        name, _, number = where.partition(".")
        if number:
            items = list(changes.get(name, getattr(record, name)))
            items[int(number)] = filled
            filled = tuple(items)
        changes[name] = filled
    return attrs.evolve(record, **changes) if changes else record


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _plain(value: object, field: attrs.Attribute[Any], place: str) -> Array:
    array = np.asarray(value)
    kind = array_kind(field)
    assert kind is not None
    if array.dtype.kind not in _KINDS[kind][1] or array.itemsize > 8 or array.ndim != 1:  # noqa: PLR2004 - bytes
        raise ArtifactError(
            f"{place} has dtype {array.dtype} and shape {array.shape}; expected a "
            f"one-dimensional array of {'floats' if kind == 'seconds' else 'integers'}."
        )
    return array


def _check_lengths(arrays: Mapping[str, Array], place: str) -> None:
    """Check that ``samples``, ``sample_rounds``, … of a record have the same length."""
    for group in ("sample", "warm_up"):
        lengths = {name: array.size for name, array in arrays.items() if name.startswith(group)}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ArtifactError(f"the arrays of {place} differ in length: {listed}.")


# --- Values. ---


def _write_npz(file: IO[bytes], arrays: Mapping[str, tuple[Array, int]], method: int) -> None:
    with zipfile.ZipFile(file, "w", method) as target:
        for place, (array, loops) in arrays.items():
            ticks = _as_ticks(array, loops) if array.dtype == np.float64 else None
            if ticks is None:
                _write_npy(target, place, array)
            else:
                _write_npy(target, place + _TICKS, ticks)
                _write_npy(target, place + _PER_SECOND, np.array([_NANOSECONDS * loops]))


def _write_npy(target: zipfile.ZipFile, name: str, array: Array) -> None:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    # A ZipInfo without a time, so that the same arrays give the same bytes.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = target.compression
    entry.external_attr = 0o644 << 16
    with target.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array(file, little, allow_pickle=False)


def _as_ticks(seconds: Array, loops: int) -> Array | None:
    """Return the whole nanoseconds of each sample's calls, or ``None`` if that would lose bits."""
    if not seconds.size or not 0 < loops <= _MOST_LOOPS:
        return None
    per_second = float(_NANOSECONDS * loops)
    with np.errstate(over="ignore"):
        ticks = np.rint(seconds * per_second) + 0.0  # -0.0 becomes 0.0, as in an integer
    if not (ticks.min() >= 0 and ticks.max() < _LARGEST_TICKS):  # also true for NaN
        return None
    # Compared as bits, because -0.0 equals 0.0.
    if not np.array_equal((ticks / per_second).view(np.int64), seconds.view(np.int64)):
        return None
    return ticks.astype(np.min_scalar_type(int(ticks.max())))


def _from_ticks(ticks: Array, per_second: Array | None, what: str) -> Array:
    if per_second is None or per_second.size != 1 or not per_second[0] > 0:
        raise ArtifactError(f"{what} needs {_PER_SECOND!r}, one positive number.")
    if ticks.dtype.kind not in "iu":
        raise ArtifactError(f"{what} has {_TICKS!r} that are not integers.")
    return ticks.astype(np.float64) / float(per_second[0])


def _read_npy(archive: Archive, name: str) -> Array:
    pieces = archive.chunks(name, archive.size_of(name))
    what = f"{name!r} in {archive.what}"
    head = next(pieces, b"")
    with refuse_damage(what):
        length, shape, dtype = _read_header(head)
    size = archive.size_of(name) - length
    if dtype.hasobject:
        raise ArtifactError(
            f"{what} contains Python objects, which are never loaded: loading them runs code."
        )
    if dtype.kind not in "fiu" or len(shape) != 1:
        raise ArtifactError(
            f"{what} has dtype {dtype} and shape {shape}; expected one dimension of numbers."
        )
    if shape[0] * dtype.itemsize != size:
        raise ArtifactError(
            f"the header of {what} claims {shape[0]} values, but the data does not match."
        )
    # Memory is allocated only now: chunks() has checked the size.
    array = np.empty(shape[0], dtype)
    whole, filled = array.view(np.uint8), 0
    for piece in (head[length:], *pieces):
        whole[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(head: bytes) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Return the length of a header, and the shape and dtype that it declares."""
    file = io.BytesIO(head[:_LARGEST_HEADER])
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy version {version} is not supported")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file, max_header_size=_LARGEST_HEADER)
    return file.tell(), shape, dtype
