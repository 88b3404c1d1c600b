"""Which settings hold, and where did each come from?

:class:`Settings` is the one table: its fields give the keyword arguments of the
API, their types, defaults, ranges and help. :func:`resolve` lays layers over
each other, the strongest first.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, cast

import attrs
from attrs import frozen

from lexer_core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.records import OptionValue

__all__ = ["Settings", "resolve", "setting_names"]


def _setting(  # one line of the table
    default: Any,
    section: str,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    exclusive: bool = False,
    choices: tuple[str, ...] = (),
) -> Any:
    return attrs.field(
        default=default,
        metadata={
            "section": section,
            "help": help,
            "low": low,
            "high": high,
            "exclusive": exclusive,
            "choices": choices,
        },
    )


@frozen(kw_only=True)
class Settings:
    """Everything that may be set, with its default.

    A field without a value means: decided by the run itself.
    """

    num_iterations: int | None = _setting(
        None, "benchmarks", "Samples per engine, exactly; without it, until precise enough.", low=1
    )
    precision: float = _setting(
        0.01,
        "benchmarks",
        "Stop when the 95 % interval of every ratio is at most this far to each side.",
        low=0,
        high=1,
        exclusive=True,
    )
    max_seconds: float = _setting(
        60.0,
        "benchmarks",
        "Time to spend on samples at the most, in seconds.",
        low=0,
        exclusive=True,
    )
    warm_up_seconds: float = _setting(
        1.0,
        "benchmarks",
        "Warm every engine up for at least this long, in seconds.",
        low=0,
        high=30,
    )
    rounds: int | None = _setting(
        None, "benchmarks", "Rounds to take, exactly; without it, until precise enough.", low=1
    )
    launches: int = _setting(
        1, "benchmarks", "Times that every engine is started anew.", low=1, high=100
    )
    threads: int | None = _setting(
        None,
        "benchmarks",
        "Threads that one call may use, the same for every engine; without it, every usable core.",
        low=1,
    )
    isolation: str = _setting(
        "process",
        "benchmarks",
        "'process': every engine in a process of its own; 'none': all in the caller's.",
        choices=("process", "none"),
    )
    seed: int | None = _setting(
        None, "benchmarks", "Seed of the order of rounds; without it, a fresh one, reported.", low=0
    )
    tie: float = _setting(
        0.02,
        "benchmarks",
        "Engines closer than this are a tie, where the data show that they are.",
        low=0,
        high=1,
    )
    rtol: float | None = _setting(
        None, "benchmarks", "Relative tolerance of outputs; without it, by element type.", low=0
    )
    atol: float | None = _setting(
        None,
        "benchmarks",
        "Absolute tolerance of outputs; without it, by element type, as a part of their RMS.",
        low=0,
    )
    load_timeout: float = _setting(
        600.0,
        "benchmarks",
        "Time limit for importing, exporting, loading or placing, in seconds.",
        low=0,
        exclusive=True,
    )
    call_timeout: float = _setting(
        120.0, "benchmarks", "Time limit for one call, in seconds.", low=0, exclusive=True
    )
    memory_limit_mb: float | None = _setting(
        None, "benchmarks", "Memory that one worker may use, in MiB.", low=0, exclusive=True
    )
    exporter: str = _setting(
        "dynamo",
        "exports",
        "Which of torch's ONNX exporters to use.",
        choices=("dynamo", "torchscript"),
    )
    opset: int | None = _setting(
        None, "exports", "ONNX opset version; without it, the exporter's own.", low=7
    )
    onnx_checks: bool = _setting(True, "exports", "Run onnx.checker on what was exported.")
    use_cache: bool = _setting(True, "exports", "Use exports made earlier of the same model.")

    def export_options(self) -> dict[str, OptionValue]:
        """What engines are told when they export."""
        options: dict[str, OptionValue] = {"exporter": self.exporter, "checks": self.onnx_checks}
        if self.opset is not None:
            options["opset"] = self.opset
        return options


def setting_names() -> tuple[str, ...]:
    """Names of all settings, in the order of the table."""
    return tuple(field.name for field in attrs.fields(Settings))


def resolve(layers: Sequence[tuple[str, Mapping[str, object]]]) -> tuple[Settings, dict[str, str]]:
    """Lay layers of settings over each other.

    Parameters
    ----------
    layers
        Pairs of a layer's name, as an error would call it, and its settings;
        the strongest first. A value of ``None`` is not set.

    Returns
    -------
    tuple[Settings, dict[str, str]]
        The settings that hold, and for each the name of its layer
        (``"default"`` where no layer sets it).

    Raises
    ------
    SettingError
        A name is unknown, or a value has the wrong type or is out of range.
    """
    table = attrs.fields_dict(Settings)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(table, "default")
    for layer, settings in layers:
        for name, value in settings.items():
            if name not in table:
                raise _unknown(name, layer)
            if value is None or name in values:
                continue
            values[name] = _checked(table[name], value, layer)
            origins[name] = layer
    return Settings(**values), origins


def _unknown(name: str, layer: str) -> SettingError:
    near = difflib.get_close_matches(name, setting_names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return SettingError(
        f"unknown setting {name!r} in {layer}.",
        hint=f"{hint}There are: {', '.join(setting_names())}.",
    )


def _checked(field: attrs.Attribute[Any], value: object, layer: str) -> Any:
    where = f"setting {field.name!r} in {layer}"
    kind = str(field.type).split(" |")[0]
    value = _typed(kind, value, where)
    facts = field.metadata
    if facts["choices"] and value not in facts["choices"]:
        near = difflib.get_close_matches(str(value), facts["choices"], n=1)
        raise SettingError(
            f"{where} is {value!r}, which is not one of {', '.join(map(repr, facts['choices']))}.",
            hint=f"Did you mean {near[0]!r}?" if near else "",
        )
    low, high = facts["low"], facts["high"]
    if low is not None and (value < low or (facts["exclusive"] and value == low)):
        bound = "greater than" if facts["exclusive"] else "at least"
        raise SettingError(f"{where} is {value!r}; it must be {bound} {low}.", hint=facts["help"])
    if high is not None and value > high:
        raise SettingError(f"{where} is {value!r}; it must be at most {high}.", hint=facts["help"])
    return value


def _typed(kind: str, value: object, where: str) -> object:
    # bool is an int to Python, but threads=True is a mistake.
    if kind == "bool":
        good = isinstance(value, bool)
    elif kind == "int":
        good = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "float":
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if good else value  # type: ignore[arg-type]
        good = good and not math.isnan(cast("float", value))
    else:
        good = isinstance(value, str)
    if not good:
        wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}
        raise SettingError(f"{where} is {value!r}; it must be {wanted.get(kind, 'text')}.")
    return value
