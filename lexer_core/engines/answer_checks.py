"""Does the result of a hook conform to the hook's specification?

Each function returns the result as plain values of the core's own records, or raises
:class:`WrongAnswerError`. Nothing relies on the annotations, because plugins may ignore
them, and nothing is read twice, because an object of a plugin may answer differently.
"""

from __future__ import annotations

import math
import numbers
import os
import reprlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lexer_core.records import (
    Device,
    DeviceUsage,
    ExportedModel,
    Placement,
    ProfiledOperation,
    SessionPhases,
    TensorSpec,
    Timings,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "WrongAnswerError",
    "check_array_call",
    "check_context",
    "check_elapsed",
    "check_placed",
    "check_session",
    "plain_caveat",
    "plain_conversion",
    "plain_devices",
    "plain_export",
    "plain_note",
    "plain_operations",
    "plain_outputs",
    "plain_phases",
    "plain_placement",
    "plain_precision",
    "plain_script",
    "plain_tf32",
    "plain_timings",
    "plain_usage",
]

_LONGEST_SECONDS = 1e9
_SHORTEST_SECONDS = 1e-10
"""No time of a sample is outside these limits: 30 years, and less than a clock cycle."""

_ELAPSED_FACTOR = 1.01
_ELAPSED_SECONDS = 1e-6
"""Tolerance of the comparison of two clocks."""

_MOST_CHARACTERS = 100_000
_MOST_OPERATIONS = 100_000

_UNITS = (("nanoseconds", 1e9), ("microseconds", 1e6), ("milliseconds", 1e3))


class WrongAnswerError(Exception):
    """A hook's result does not conform.

    Parameters
    ----------
    what
        What the hook did wrong, as the predicate of a sentence.
    hint
        What it should do.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def plain_devices(devices: object) -> tuple[Device, ...]:
    """Return distinct devices."""
    if not isinstance(devices, Sequence) or isinstance(devices, str):
        raise _wrong_type(devices, "a sequence of Device")
    plain: dict[str, Device] = {}
    for device in devices:
        if not isinstance(device, Device):
            raise WrongAnswerError(
                f"returned a list with {_describe(device)}", "Return a sequence of Device."
            )
        kind: Any = device.kind
        index: Any = device.index
        if not isinstance(kind, str) or _whole_number(index) is None:
            raise WrongAnswerError(
                f"listed a device of kind {reprlib.repr(kind)} and index {reprlib.repr(index)}",
                "The kind must be a string such as 'cuda', the index an integer from 0.",
            )
        converted = Device(
            kind=_text(kind, "a device's kind"),
            index=int(index),
            identifier=_text(device.identifier, "a device's identifier"),
            description=_text(device.description, "a device's description"),
            uuid=_text(device.uuid, "a device's UUID"),
        )
        if converted.name in plain:
            raise WrongAnswerError(
                f"listed device {converted.name} twice", "Give each device its own kind and index."
            )
        plain[converted.name] = converted
    return tuple(plain.values())


def plain_export(exported: object, format: str) -> ExportedModel:
    """Return a model in the requested format; a live model is returned as it is."""
    if not isinstance(exported, ExportedModel):
        raise _wrong_type(exported, "ExportedModel or None")
    actual = _text(exported.format, "a format")
    if actual != format:
        raise WrongAnswerError(
            f"was asked for format {format!r} and returned {actual!r}",
            "Return None for a format that the engine does not export to.",
        )
    path: Any = exported.path
    if (path is None) == (exported.model is None):
        raise WrongAnswerError(
            "returned an ExportedModel with neither or both of path and model",
            "Set path if the format is a file, or model if it is a live object.",
        )
    size = _whole_number(exported.size_bytes)
    if size is None:
        raise WrongAnswerError(
            f"returned a size_bytes of {reprlib.repr(exported.size_bytes)}",
            "The size must be a number of bytes, an integer from 0.",
        )
    import shutil  # on use: listing engines exports nothing

    file = None if path is None else _existing_file(path)
    if file is not None and size > (most := shutil.disk_usage(file).total):
        raise WrongAnswerError(
            f"returned a size_bytes of {size}, but its disk has {most}",
            "The size must be that of the file, with all files that belong to it.",
        )
    return ExportedModel(
        format=actual,
        path=file,
        model=exported.model,
        inputs=_specs(exported.inputs, "inputs"),
        outputs=_specs(exported.outputs, "outputs"),
        size_bytes=size,
        exporter=_text(exported.exporter, "an exporter"),
        specific_to=_text(exported.specific_to, "a specific_to"),
        notes=_texts(exported.notes, "notes"),
    )


def check_session(session: Any) -> None:
    """Check the methods and the optional attributes of a session."""
    if session is None:
        raise _wrong_type(session, "a session")
    for method in ("run", "close"):
        if not callable(getattr(session, method, None)):
            raise WrongAnswerError(
                f"returned {_describe(session)}, which has no {method}()",
                "A session has run(placed) and close(); see Session in lexer_core/records.py.",
            )
    plain_phases(getattr(session, "phases", None))
    plain_caveat(getattr(session, "caveat", ""))
    if not callable(getattr(session, "call_context", nullcontext)):
        raise WrongAnswerError(
            "returned a session whose call_context is not callable",
            "The optional attribute 'call_context' must be a function that returns a context "
            "manager.",
        )


def plain_conversion(converted: object, exported: ExportedModel, workdir: Path) -> ExportedModel:
    """Return a converted model, which is in a folder and has the export's inputs and outputs."""
    plain = plain_export(converted, exported.format)
    for role in ("inputs", "outputs"):
        before, after = getattr(exported, role), getattr(plain, role)
        if before != after:
            listed = ", ".join(map(str, after)) or "none"
            raise WrongAnswerError(
                f"returned a model with other {role}: {listed} instead of "
                f"{', '.join(map(str, before)) or 'none'}",
                "A conversion keeps names, element types and shapes of inputs and outputs.",
            )
    if plain.path is not None and not plain.path.resolve().is_relative_to(workdir.resolve()):
        raise WrongAnswerError(
            f"returned {plain.path}, which is outside its workdir",
            "Write the converted model to the folder `workdir`, or return None if there is "
            "nothing to convert.",
        )
    return plain


def check_array_call(call: object) -> None:
    """Check a session's function from arrays to arrays; may be ``None``."""
    if call is not None and not callable(call):
        raise WrongAnswerError(
            f"returned a session whose array_call returned {_describe(call)}",
            "The optional method 'array_call' must return a function or None.",
        )


def plain_script(script: object) -> str:
    """Return the source of a script."""
    if not isinstance(script, str):
        raise _wrong_type(script, "the source of a script, a str")
    source = str.__str__(script)
    try:
        compile(source, "run.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise WrongAnswerError(
            f"returned a script that is not valid Python: {error}",
            "Write the values of the model as literals, with repr().",
        ) from error
    return source


def plain_caveat(caveat: object) -> str:
    """Return a session's remark on its row; may be empty."""
    return _optional_text(caveat, "caveat")


def plain_precision(precision: object) -> str:
    """Return what a session computes in; empty if it does not say."""
    return _optional_text(precision, "computed_precision")


def plain_tf32(uses_tf32: object) -> bool:
    """Return whether a session computes in TF32."""
    if not isinstance(uses_tf32, bool):
        raise _wrong_attribute(uses_tf32, "uses_tf32", "a bool")
    return uses_tf32


def plain_usage(usage: object) -> DeviceUsage:
    """Return what a session used of its device; unknown for ``None``."""
    if usage is None:
        return DeviceUsage()
    if not isinstance(usage, DeviceUsage):
        raise WrongAnswerError(
            f"returned a session whose device_usage() returns {_describe(usage)}",
            "The optional function 'device_usage' must return a DeviceUsage or None.",
        )
    peak: Any = usage.peak_memory_bytes
    number = None if peak is None else _whole_number(peak)
    if peak is not None and number is None:
        raise WrongAnswerError(
            f"returned a session with peak_memory_bytes {reprlib.repr(peak)}",
            "It must be a number of bytes, an integer from 0, or None.",
        )
    return DeviceUsage(peak_memory_bytes=number, notes=_texts(usage.notes, "notes"))


def plain_phases(phases: object, elapsed: float = math.inf) -> SessionPhases:
    """Return how a session spent its load time of ``elapsed`` seconds; unknown for ``None``."""
    if phases is None:
        return SessionPhases()
    if not isinstance(phases, SessionPhases):
        raise _wrong_attribute(phases, "phases", "a SessionPhases or None")
    seconds: Any = phases.compile_seconds
    number = None if seconds is None else _number(seconds)
    if seconds is not None and (number is None or not 0 <= number < _LONGEST_SECONDS):
        raise WrongAnswerError(
            f"returned a session with compile_seconds {reprlib.repr(seconds)}",
            "It must be a time in seconds, or None.",
        )
    if number is not None and number > _ELAPSED_FACTOR * elapsed + _ELAPSED_SECONDS:
        raise WrongAnswerError(
            f"returned a session with compile_seconds {number:.3g}; creating it and placing its "
            f"inputs took {elapsed:.3g} s",
            "Report the seconds that compilation took.",
        )
    warm: Any = phases.cache_warm
    if not (warm is None or isinstance(warm, bool)):
        raise WrongAnswerError(
            f"returned a session with cache_warm {reprlib.repr(warm)}",
            "It must be True, False or None.",
        )
    return SessionPhases(compile_seconds=number, cache_warm=warm)


def check_placed(placed: object) -> None:
    """Check that placed inputs are not ``None``."""
    if placed is None:
        raise _wrong_type(placed, "the argument of session.run")


def check_context(context: object) -> None:
    """Check that a session's ``call_context`` returned a context manager."""
    if not isinstance(context, AbstractContextManager):
        raise WrongAnswerError(
            f"returned a session whose call_context() returned {_describe(context)}",
            "Return a context manager, such as torch.inference_mode().",
        )


def plain_note(note: object) -> str:
    """Return the note of a session's ``relax_call_context``."""
    if not isinstance(note, str):
        raise WrongAnswerError(
            f"returned a session whose relax_call_context() returned {_describe(note)}",
            "Return a note for the row, or an empty string if the error is final.",
        )
    return _not_too_long(str.__str__(note), "a note")


def plain_timings(timings: object, count: int) -> Timings:
    """Return ``count`` host times, and as many device times if there are any."""
    if not isinstance(timings, Timings):
        raise _wrong_type(timings, "Timings")
    host, device = timings.host, timings.device
    return Timings(
        host=_seconds("host", host, count),
        device=None if device is None else _seconds("device", device, count),
    )


def check_elapsed(timings: Timings, loops: int, elapsed: float) -> None:
    """Check that samples are not longer than the time in which they were taken.

    Parameters
    ----------
    timings
        The times of one block.
    loops
        Calls per sample.
    elapsed
        The time of the whole block, in seconds.
    """
    for which, seconds in (("host", timings.host), ("device", timings.device)):
        if seconds is None:
            continue
        total = float(seconds.sum()) * loops
        if total <= _ELAPSED_FACTOR * elapsed + _ELAPSED_SECONDS:
            continue
        unit = next((name for name, factor in _UNITS if total / elapsed > 0.01 * factor), "")
        looks = f" Does it return {unit}?" if unit else ""
        raise WrongAnswerError(
            f"returned {which} times of {total:.3g} s in total for calls that took {elapsed:.3g} s",
            f"The times must be in seconds per call: divide by `loops`.{looks}",
        )


def plain_outputs(outputs: object, expected: Sequence[str] | None) -> dict[str, npt.NDArray[Any]]:
    """Return arrays of numbers by the expected names, in that order."""
    if not isinstance(outputs, Mapping):
        raise _wrong_type(outputs, "a mapping of output names to numpy arrays")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, array in outputs.items():
        if not isinstance(name, str):
            raise WrongAnswerError(
                f"named an output {reprlib.repr(name)}", "Use the names in ExportedModel.outputs."
            )
        arrays[str.__str__(name)] = _numbers(array, name)
    if expected is None:
        return arrays
    missing = [repr(name) for name in expected if name not in arrays]
    surplus = [repr(name) for name in arrays if name not in expected]
    parts = [f"left out {', '.join(missing)}"] if missing else []
    parts += [f"added {', '.join(surplus)}"] if surplus else []
    if parts:
        raise WrongAnswerError(
            " and ".join(parts), f"The outputs of this model are {', '.join(expected)}."
        )
    return {name: arrays[name] for name in expected}


def plain_placement(placement: object) -> Placement:
    """Return where a session's work is executed."""
    if not isinstance(placement, Placement):
        raise _wrong_type(placement, "Placement or None")
    share: Any = placement.share
    number = None if share is None else _number(share)
    if share is not None and (number is None or not 0.0 <= number <= 1.0):
        raise WrongAnswerError(
            f"returned a share of {reprlib.repr(share)}", "A share is between 0 and 1."
        )
    method: Any = placement.method
    if not isinstance(method, str) or method not in ("nodes", "time", "unknown"):
        raise WrongAnswerError(
            f"returned the method {reprlib.repr(method)}",
            "The method is 'nodes', 'time' or 'unknown'.",
        )
    return Placement(
        share=number,
        method=str.__str__(method),  # type: ignore[arg-type]
        fallbacks=_texts(placement.fallbacks, "fallbacks"),
    )


def plain_operations(operations: object, elapsed: float) -> tuple[ProfiledOperation, ...]:
    """Return the operations of profiled calls, which took ``elapsed`` seconds."""
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise _wrong_type(operations, "a list of ProfiledOperation, or None")
    if len(operations) > _MOST_OPERATIONS:
        raise WrongAnswerError(
            f"returned {len(operations)} operations",
            f"Add up the executions of an operation; at most {_MOST_OPERATIONS} are read.",
        )
    plain = tuple(map(_operation, operations))
    total = math.fsum(operation.seconds for operation in plain)
    # Operations may run side by side.
    if total > (os.cpu_count() or 1) * (_ELAPSED_FACTOR * elapsed + _ELAPSED_SECONDS):
        unit = next((name for name, factor in _UNITS if total / elapsed > 0.01 * factor), "")
        raise WrongAnswerError(
            f"returned operations of {total:.3g} s in total for calls that took {elapsed:.3g} s",
            f"The times must be in seconds.{f' Does it return {unit}?' if unit else ''}",
        )
    return plain


def _operation(operation: object) -> ProfiledOperation:
    if not isinstance(operation, ProfiledOperation):
        raise WrongAnswerError(
            f"returned {_describe(operation)} among the operations",
            "Each must be a ProfiledOperation.",
        )
    seconds, calls = _number(operation.seconds), _whole_number(operation.calls)
    if seconds is None or not 0.0 <= seconds < _LONGEST_SECONDS:
        raise WrongAnswerError(
            f"returned an operation of {reprlib.repr(operation.seconds)} s",
            "A time is a number of seconds from 0.",
        )
    if not calls:
        raise WrongAnswerError(
            f"returned an operation with {reprlib.repr(operation.calls)} calls",
            "The number of executions is an integer from 1.",
        )
    return ProfiledOperation(
        name=_text(operation.name, "the name of an operation"),
        operator=_text(operation.operator, "the type of an operation"),
        seconds=seconds,
        calls=calls,
        device=_text(operation.device, "the device of an operation"),
        nodes=_texts(operation.nodes, "nodes of an operation"),
        modules=_texts(operation.modules, "modules of an operation"),
    )


def _describe(value: object) -> str:
    """Describe a value by its type."""
    if value is None:
        return "nothing"
    kind = type(value)
    is_scalar = kind.__module__ == "numpy" and kind.__name__ != "ndarray"
    what = "a numpy scalar" if is_scalar else "a value"
    return f"{what} of type {kind.__qualname__}"


def _wrong_type(value: object, wanted: str) -> WrongAnswerError:
    """Return the problem of a hook that returned a value of another type."""
    hint = f"Return {wanted}."
    if value is None:
        hint += " Is a return statement missing?"
    return WrongAnswerError(f"returned {_describe(value)}", hint)


def _wrong_attribute(value: object, name: str, wanted: str) -> WrongAnswerError:
    return WrongAnswerError(
        f"returned a session whose {name} is {_describe(value)}",
        f"The optional attribute {name!r} must be {wanted}.",
    )


def _optional_text(value: object, name: str) -> str:
    """Return an optional attribute of a session."""
    if not isinstance(value, str):
        raise _wrong_attribute(value, name, "a str")
    return _not_too_long(str.__str__(value), f"a session's {name}")


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise WrongAnswerError(f"returned {_describe(value)} as {what}", "It must be a string.")
    return _not_too_long(str.__str__(value), what)


def _not_too_long(text: str, what: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise WrongAnswerError(
            f"returned {len(text)} characters as {what}",
            f"At most {_MOST_CHARACTERS} are shown to a reader.",
        )
    return text


def _texts(values: object, what: str) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise WrongAnswerError(
            f"returned {_describe(values)} as {what}", "It must be a tuple of strings."
        )
    return tuple(_text(value, f"one of the {what}") for value in values)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value)


def _whole_number(value: Any) -> int | None:
    """Return an integer from 0 that fits into 64 bits, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return None
    number = int(value)
    return number if 0 <= number < 2**63 else None


def _existing_file(path: object) -> Path:
    if not isinstance(path, Path):
        raise WrongAnswerError(
            f"returned {_describe(path)} as path", "The path must be a pathlib.Path."
        )
    plain = Path(str(path))
    if not plain.exists():
        raise WrongAnswerError(
            f"returned a path that does not exist: {plain}",
            "Write the file before returning its path.",
        )
    if not plain.is_file() and not plain.is_dir():
        raise WrongAnswerError(f"returned a path that is not a file: {plain}", "Write a file.")
    return plain


def _specs(specs: object, what: str) -> tuple[TensorSpec, ...]:
    if not isinstance(specs, Sequence) or isinstance(specs, str):
        _refuse_specs(specs, what)
    plain = []
    for spec in specs:
        if not isinstance(spec, TensorSpec):
            _refuse_specs(spec, what)
        shape: Any = spec.shape
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            _refuse_specs(shape, f"{what}, as a shape,")
        plain.append(
            TensorSpec(
                name=_text(spec.name, f"a name in {what}"),
                dtype=_text(spec.dtype, f"a dtype in {what}"),
                shape=tuple(_axis(axis, what) for axis in shape),
            )
        )
    return tuple(plain)


def _refuse_specs(value: object, what: str) -> NoReturn:
    raise WrongAnswerError(
        f"returned {_describe(value)} in {what}", f"{what} must be a tuple of TensorSpec."
    )


def _axis(axis: object, what: str) -> int | str:
    if isinstance(axis, str):
        return str.__str__(axis)
    number = _whole_number(axis)
    if number is None:
        raise WrongAnswerError(
            f"returned a shape with {reprlib.repr(axis)} in {what}",
            "A dimension is an integer from 0, or the name of a dynamic axis.",
        )
    return number


def _seconds(which: str, seconds: object, count: int) -> npt.NDArray[np.float64]:
    import numpy as np  # on use: loading an engine must not import numpy

    if not isinstance(seconds, np.ndarray) or seconds.dtype != np.float64:
        is_array = isinstance(seconds, np.ndarray)
        what = f"an array of {seconds.dtype}" if is_array else _describe(seconds)  # type: ignore[attr-defined]
        raise WrongAnswerError(
            f"returned {what} as {which} times",
            f"The times must be float64 of shape ({count},), in seconds per call.",
        )
    # A copy, which the plugin cannot change any more.
    plain = np.array(seconds, dtype=np.float64, order="C", subok=False)
    if plain.shape != (count,):
        raise WrongAnswerError(
            f"returned {which} times of shape {plain.shape} for {count} samples",
            "Return one value per sample: count values, not count * loops.",
        )
    bad = ~(np.isfinite(plain) & (plain > 0))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise WrongAnswerError(
            f"returned {which} times that are not positive and finite: "
            f"sample {first} is {float(plain[first])} s",
            "If the clock did not advance, the engine must make `loops` calls per sample.",
        )
    bad = (plain < _SHORTEST_SECONDS) | (plain > _LONGEST_SECONDS)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise WrongAnswerError(
            f"returned {which} times that no call can take: "
            f"sample {first} is {float(plain[first]):.3g} s",
            "The times must be in seconds per call.",
        )
    return plain


def _numbers(array: object, name: str) -> npt.NDArray[Any]:
    import numpy as np  # on use: loading an engine must not import numpy

    hint = "Each output must be a numpy.ndarray of numbers; use numpy.asarray for a scalar."
    if not isinstance(array, np.ndarray):
        raise WrongAnswerError(f"returned {_describe(array)} for output {name!r}", hint)
    plain = np.asarray(array)  # not of a subclass
    of_ml_dtypes = plain.dtype.type.__module__.partition(".")[0] == "ml_dtypes"
    if plain.dtype.kind not in "biufc" and not of_ml_dtypes:
        what = "objects" if plain.dtype == object else f"type {plain.dtype}"
        raise WrongAnswerError(f"returned an array of {what} for output {name!r}", hint)
    return plain
