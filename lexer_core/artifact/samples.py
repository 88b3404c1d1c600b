"""How do raw samples become an ``.npz``, and come back as they were?

Every raw array of a report is found by its place in it, so a record that gets
another one needs nothing here. Seconds that are whole nanoseconds, each over so
many calls, are kept as these whole numbers: they take a third of the room, and
are kept so only where division gives back every bit.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from lexer_core.artifact.archive import Archive, Budget, refuse_damage
from lexer_core.errors import ArtifactError
from lexer_core.results.attrs_fields import is_raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from lexer_core.report import BenchmarkReport

    Array = npt.NDArray[Any]

__all__ = ["array_kind", "raw_arrays", "read_arrays", "with_arrays", "write_arrays"]

_TICKS, _PER_SECOND = ".ticks", ".ticks_per_second"
_NANOSECONDS = 10**9
_LARGEST_TICKS = 2**53  # what a float64 counts without a gap
_MOST_LOOPS = 10**9

_KINDS: Mapping[str, tuple[str, str]] = {
    "seconds": (r"\bSeconds\b|\bfloat64\b", "f"),
    "indices": (r"\bIndices\b|\bint_", "iu"),
}
_LARGEST_HEADER = 4096
_CHUNK = 2**20


def array_kind(attribute: attrs.Attribute[Any]) -> Literal["seconds", "indices"] | None:
    """Tell what a field holds: raw seconds, raw rounds or launches, or no raw array."""
    if is_raw(attribute):
        for kind, (pattern, _) in _KINDS.items():
            if re.search(pattern, str(attribute.type)):
                return "seconds" if kind == "seconds" else "indices"
    return None


def raw_arrays(report: BenchmarkReport) -> dict[str, tuple[Array, int]]:
    """Give the raw arrays of a report, with the calls that a sample is the mean of.

    Returns
    -------
    dict
        By place: ``"results.0.samples"``.

    Raises
    ------
    ArtifactError
        One is of another type or shape than such a field has, or of another
        length than those beside it.
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


def with_arrays(report: BenchmarkReport, arrays: Mapping[str, Array]) -> BenchmarkReport:
    """Put raw arrays back into their places; those that no field knows are left.

    Raises
    ------
    ArtifactError
        One is of the wrong type, or of another length than those beside it.
    """
    whole: BenchmarkReport = _filled(report, "", arrays)
    return whole


def write_arrays(file: IO[bytes], arrays: Mapping[str, tuple[Array, int]]) -> None:
    """Write arrays as an ``.npz``, deflated as far as :func:`read_arrays` will take it."""
    start = file.tell()
    _write_npz(file, arrays, zipfile.ZIP_DEFLATED)
    unpacked = sum(array.nbytes for array, _ in arrays.values())
    if unpacked > Budget.of(file.tell() - start):
        # Times that are all the same pack better than anything should.
        file.seek(start)
        file.truncate()
        _write_npz(file, arrays, zipfile.ZIP_STORED)


def read_arrays(archive: Archive) -> dict[str, Array]:
    """Read the arrays of an ``.npz``, and run nothing that is in it.

    Raises
    ------
    ArtifactError
        It holds something else than one-dimensional arrays of numbers, or
        something larger than it says.
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


# --- Places. ---


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
            f"{place} is {array.dtype} of shape {array.shape}; "
            f"{kind} are one row of {'floats' if kind == 'seconds' else 'whole numbers'}."
        )
    return array


def _check_lengths(arrays: Mapping[str, Array], place: str) -> None:
    """Check that ``samples``, ``sample_rounds``, … of one record belong together."""
    for group in ("sample", "warm_up"):
        lengths = {name: array.size for name, array in arrays.items() if name.startswith(group)}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ArtifactError(f"the arrays of {place} are not of one length: {told}.")


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
    # As a name alone, an entry is given no time, and the same bytes each time.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = target.compression
    entry.external_attr = 0o644 << 16
    with target.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array(file, little, allow_pickle=False)


def _as_ticks(seconds: Array, loops: int) -> Array | None:
    """Give whole nanoseconds of all calls of each sample, where they say all there is to say."""
    if not seconds.size or not 0 < loops <= _MOST_LOOPS:
        return None
    per_second = float(_NANOSECONDS * loops)
    with np.errstate(over="ignore"):
        ticks = np.rint(seconds * per_second) + 0.0  # -0.0 becomes 0.0, as in a whole number
    if not (ticks.min() >= 0 and ticks.max() < _LARGEST_TICKS):  # also where there is a NaN
        return None
    # Compared as bits, because -0.0 equals 0.0.
    if not np.array_equal((ticks / per_second).view(np.int64), seconds.view(np.int64)):
        return None
    return ticks.astype(np.min_scalar_type(int(ticks.max())))


def _from_ticks(ticks: Array, per_second: Array | None, what: str) -> Array:
    if per_second is None or per_second.size != 1 or not per_second[0] > 0:
        raise ArtifactError(f"{what} needs one positive number {_PER_SECOND!r}.")
    if ticks.dtype.kind not in "iu":
        raise ArtifactError(f"{what} has {_TICKS!r} that are no whole numbers.")
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
            f"{what} holds Python objects, which are never read: reading them runs code."
        )
    if dtype.kind not in "fiu" or len(shape) != 1:
        raise ArtifactError(f"{what} is {dtype} of shape {shape}, and not one row of numbers.")
    if shape[0] * dtype.itemsize != size:
        raise ArtifactError(f"{what} says that it has {shape[0]} numbers, which it has not.")
    # Only now is there memory taken: the size was paid for in chunks().
    array = np.empty(shape[0], dtype)
    whole, filled = array.view(np.uint8), 0
    for piece in (head[length:], *pieces):
        whole[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(head: bytes) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Give the length of a header, and the shape and type that it tells."""
    file = io.BytesIO(head[:_LARGEST_HEADER])
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of npy")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file, max_header_size=_LARGEST_HEADER)
    return file.tell(), shape, dtype
