"""Does the result of a hook conform to the hook's specification?

Each function returns the problem, or ``None``. Nothing relies on the annotations,
because plugins may ignore them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from lexer_core.records import Device, ExportedModel, Placement, SessionPhases, Timings

__all__ = [
    "WrongAnswer",
    "describe",
    "wrong_context",
    "wrong_devices",
    "wrong_export",
    "wrong_outputs",
    "wrong_placement",
    "wrong_session",
    "wrong_timings",
    "wrong_type",
]


class WrongAnswer(NamedTuple):
    """What a hook did wrong, as the predicate of a sentence, and what it should do."""

    what: str
    hint: str


def describe(value: object) -> str:
    """Describe a value by its type."""
    return "nothing" if value is None else f"a value of type {type(value).__qualname__}"


def wrong_type(value: object, wanted: str) -> WrongAnswer:
    """Return the problem of a hook that returned a value of another type."""
    hint = f"Return {wanted}."
    if value is None:
        hint += " Is a return statement missing?"
    return WrongAnswer(f"returned {describe(value)}", hint)


def wrong_devices(devices: Any) -> WrongAnswer | None:
    """Check that the value is a sequence of distinct devices."""
    if not isinstance(devices, Sequence) or isinstance(devices, str):
        return wrong_type(devices, "a sequence of Device")
    names: set[str] = set()
    for device in devices:
        if not isinstance(device, Device):
            return WrongAnswer(
                f"returned a list with {describe(device)}", "Return a sequence of Device."
            )
        kind: Any = device.kind
        index: Any = device.index
        if not (isinstance(kind, str) and isinstance(index, int)):
            return WrongAnswer(
                f"listed a device of kind {kind!r} and index {index!r}",
                "The kind must be a string such as 'cuda', the index an integer.",
            )
        if device.name in names:
            return WrongAnswer(
                f"listed device {device.name} twice", "Give each device its own kind and index."
            )
        names.add(device.name)
    return None


def wrong_export(exported: Any, format: str) -> WrongAnswer | None:
    """Check that the value is a model in the requested format."""
    if not isinstance(exported, ExportedModel):
        return wrong_type(exported, "ExportedModel or None")
    if exported.format != format:
        return WrongAnswer(
            f"was asked for format {format!r} and returned {exported.format!r}",
            "Return None for a format that the engine does not export to.",
        )
    if (exported.path is None) == (exported.model is None):
        return WrongAnswer(
            "returned an ExportedModel with neither or both of path and model",
            "Set path if the format is a file, or model if it is a live object.",
        )
    if exported.path is not None and not exported.path.exists():
        return WrongAnswer(
            f"returned a path that does not exist: {exported.path}",
            "Write the file before returning its path.",
        )
    return None


def wrong_session(session: Any) -> WrongAnswer | None:
    """Check the methods and the optional attributes of a session."""
    if session is None:
        return wrong_type(session, "a session")
    for method in ("run", "close"):
        if not callable(getattr(session, method, None)):
            return WrongAnswer(
                f"returned {describe(session)}, which has no {method}()",
                "A session has run(placed) and close(); see Session in lexer_core/records.py.",
            )
    phases = getattr(session, "phases", None)
    if phases is not None and not isinstance(phases, SessionPhases):
        return WrongAnswer(
            f"returned a session whose phases is {describe(phases)}",
            "The optional attribute 'phases' must be a SessionPhases or None.",
        )
    caveat = getattr(session, "caveat", "")
    if not isinstance(caveat, str):
        return WrongAnswer(
            f"returned a session whose caveat is {describe(caveat)}",
            "The optional attribute 'caveat' must be a str.",
        )
    if not callable(getattr(session, "call_context", nullcontext)):
        return WrongAnswer(
            "returned a session whose call_context is not callable",
            "The optional attribute 'call_context' must be a function that returns a context "
            "manager.",
        )
    return None


def wrong_context(context: Any) -> WrongAnswer | None:
    """Check that a session's ``call_context`` returned a context manager."""
    if isinstance(context, AbstractContextManager):
        return None
    return WrongAnswer(
        f"returned a session whose call_context() returned {describe(context)}",
        "Return a context manager, such as torch.inference_mode().",
    )


def wrong_timings(timings: Any, count: int) -> WrongAnswer | None:
    """Check that the value has ``count`` host times, and as many device times if any."""
    if not isinstance(timings, Timings):
        return wrong_type(timings, "Timings")
    wrong = _wrong_seconds("host", timings.host, count)
    if wrong is None and timings.device is not None:
        wrong = _wrong_seconds("device", timings.device, count)
    return wrong


def _wrong_seconds(which: str, seconds: Any, count: int) -> WrongAnswer | None:
    import numpy as np  # on use: loading an engine must not import numpy

    if not isinstance(seconds, np.ndarray) or seconds.dtype != np.float64:
        is_array = isinstance(seconds, np.ndarray)
        what = f"an array of {seconds.dtype}" if is_array else describe(seconds)
        return WrongAnswer(
            f"returned {what} as {which} times",
            f"The times must be float64 of shape ({count},), in seconds per call.",
        )
    if seconds.shape != (count,):
        return WrongAnswer(
            f"returned {which} times of shape {seconds.shape} for {count} samples",
            "Return one value per sample: count values, not count * loops.",
        )
    bad = ~(np.isfinite(seconds) & (seconds > 0))
    if not bad.any():
        return None
    first = int(np.flatnonzero(bad)[0])
    return WrongAnswer(
        f"returned {which} times that are not positive and finite: "
        f"sample {first} is {float(seconds[first])} s",
        "If the clock did not advance, the engine must make `loops` calls per sample.",
    )


def wrong_outputs(arrays: Any, expected: Sequence[str] | None) -> WrongAnswer | None:
    """Check that the value maps exactly the expected names to arrays of numbers."""
    import numpy as np  # on use: loading an engine must not import numpy

    if not isinstance(arrays, Mapping):
        return wrong_type(arrays, "a mapping of output names to numpy arrays")
    for name, array in arrays.items():
        if not isinstance(name, str):
            return WrongAnswer(
                f"named an output {name!r}", "Use the names in ExportedModel.outputs."
            )
        if not isinstance(array, np.ndarray) or array.dtype == object:
            what = "an array of objects" if isinstance(array, np.ndarray) else describe(array)
            return WrongAnswer(
                f"returned {what} for output {name!r}",
                "Each output must be a numpy.ndarray of numbers; use numpy.asarray for a scalar.",
            )
    if expected is None:
        return None
    missing = [repr(name) for name in expected if name not in arrays]
    surplus = [repr(name) for name in arrays if name not in expected]
    parts = [f"left out {', '.join(missing)}"] if missing else []
    parts += [f"added {', '.join(surplus)}"] if surplus else []
    if not parts:
        return None
    return WrongAnswer(" and ".join(parts), f"The outputs of this model are {', '.join(expected)}.")


def wrong_placement(placement: Any) -> WrongAnswer | None:
    """Check that the value is a placement with a valid share."""
    if not isinstance(placement, Placement):
        return wrong_type(placement, "Placement or None")
    if placement.share is not None and not 0.0 <= placement.share <= 1.0:
        return WrongAnswer(f"returned a share of {placement.share}", "A share is between 0 and 1.")
    return None
