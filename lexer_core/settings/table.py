"""Which settings hold, and where did each come from?

:class:`Settings` is the one table: its fields give the keyword arguments of the
API, the options of the command line, the ``LEXER_`` variables and the keys of
configuration files, with their types, defaults, ranges and help.
:func:`resolve` lays layers over each other, the strongest first; where layers
come from is in :mod:`lexer_core.configuration`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.errors import SettingError
from lexer_core.settings.values import checked
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.choice import EngineChoice
    from lexer_core.records import OptionValue

__all__ = [
    "DEFAULT",
    "Origin",
    "SettingValue",
    "Settings",
    "resolve",
    "resolve_origins",
    "setting_names",
]


@frozen
class Origin:
    """Where a value was set: an argument, a variable, or a line of a file.

    Parameters
    ----------
    name
        As an error would call it: ``"the call"``, ``"LEXER_THREADS"``, or the
        path of a file.
    line
        In a file.
    outside
        Whether it is outside of the program: the environment, or a file.
    """

    name: str
    line: int | None = None
    outside: bool = False

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}, line {self.line}"


DEFAULT = Origin("default")
"""The place of a setting that nobody set."""


@frozen
class SettingValue:
    """A value, with the place where it was set."""

    value: object
    place: Origin


def _setting(  # one line of the table
    default: Any,
    section: str,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    exclusive: bool = False,
    choices: tuple[str, ...] = (),
    example: str = "",
    option: str = "",
    share: bool = False,
) -> Any:
    """Make a field.

    ``example`` is a value as a file has it, ``option`` the name on the command
    line where that is not the setting's own; a ``share`` may be written ``2%``
    where it is a text.
    """
    return attrs.field(
        default=default,
        metadata={
            "section": section,
            "help": help,
            "low": low,
            "high": high,
            "exclusive": exclusive,
            "choices": choices,
            "example": example,
            "option": option,
            "share": share,
        },
    )


@frozen(kw_only=True)
class Settings:
    """Everything that may be set, with its default.

    A field without a value means: decided by the run itself.
    """

    engines: tuple[EngineChoice, ...] | None = _setting(
        None,
        "benchmarks",
        "Engines to measure, the first as the baseline; without it, every ready engine.",
        example='["torch", "onnxruntime[graph_optimization_level=basic]"]',
        option="--engine",
    )
    device: str = _setting(
        "cpu", "benchmarks", "Where to run; no engine falls back to another.", example='"cuda:0"'
    )
    num_iterations: int | None = _setting(
        None,
        "benchmarks",
        "Samples per engine, exactly; without it, until precise enough.",
        low=1,
        example="1000",
        option="--iterations",
    )
    precision: float = _setting(
        0.01,
        "benchmarks",
        "Stop when the 95 % interval of every ratio is at most this far to each side.",
        low=0,
        high=1,
        exclusive=True,
        example="0.02",
        share=True,
    )
    max_seconds: float = _setting(
        60.0,
        "benchmarks",
        "Time to spend on samples at the most, in seconds.",
        low=0,
        exclusive=True,
        example="20",
    )
    warm_up_seconds: float = _setting(
        1.0,
        "benchmarks",
        "Warm every engine up for at least this long, in seconds.",
        low=0,
        high=30,
        example="2",
    )
    rounds: int | None = _setting(
        None,
        "benchmarks",
        "Rounds to take, exactly; without it, until precise enough.",
        low=1,
        example="30",
    )
    launches: int = _setting(
        1, "benchmarks", "Times that every engine is started anew.", low=1, high=100, example="5"
    )
    threads: int | None = _setting(
        None,
        "benchmarks",
        "Threads that one call may use, the same for every engine; without it, every usable core.",
        low=1,
        example="1",
    )
    isolation: str = _setting(
        "process",
        "benchmarks",
        "'process': every engine in a process of its own; 'none': all in the caller's.",
        choices=("process", "none"),
    )
    seed: int | None = _setting(
        None,
        "benchmarks",
        "Seed of the order of rounds; without it, a fresh one, reported.",
        low=0,
        example="7",
    )
    tie: float = _setting(
        0.02,
        "benchmarks",
        "Engines closer than this are a tie, where the data show that they are.",
        low=0,
        high=1,
        example="0.05",
        share=True,
    )
    canary: bool = _setting(
        True,
        "benchmarks",
        "Measure a fixed piece of work beside the engines, so that this run can be compared with "
        "another.",
    )
    rtol: float | None = _setting(
        None,
        "benchmarks",
        "Relative tolerance of outputs; without it, by element type.",
        low=0,
        example="1e-3",
    )
    atol: float | None = _setting(
        None,
        "benchmarks",
        "Absolute tolerance of outputs; without it, by element type, as a part of their RMS.",
        low=0,
        example="1e-4",
    )
    load_timeout: float = _setting(
        600.0,
        "benchmarks",
        "Time limit for importing, exporting, loading or placing, in seconds.",
        low=0,
        exclusive=True,
        example="120",
    )
    call_timeout: float = _setting(
        120.0,
        "benchmarks",
        "Time limit for one call, in seconds.",
        low=0,
        exclusive=True,
        example="10",
    )
    memory_limit_mb: float | None = _setting(
        None,
        "benchmarks",
        "Memory that one worker may use, in MiB.",
        low=0,
        exclusive=True,
        example="2048",
    )
    exporter: str = _setting(
        "dynamo",
        "exports",
        "Which of torch's ONNX exporters to use.",
        choices=("dynamo", "torchscript"),
    )
    opset: int | None = _setting(
        None, "exports", "ONNX opset version; without it, the exporter's own.", low=7, example="18"
    )
    onnx_checks: bool = _setting(True, "exports", "Run onnx.checker on what was exported.")
    use_cache: bool = _setting(
        True, "exports", "Use exports made earlier of the same model.", option="--cache/--no-cache"
    )
    validation: bool = _setting(
        True,
        "exports",
        "Compare outputs with the model's own: every engine's, and those of an exported file.",
    )
    print_report: bool = _setting(
        False, "outputs", "Print the report when a benchmark is done; the command always does."
    )
    include_model: bool = _setting(
        True,
        "outputs",
        "Keep the exported models in a .lexer file, beside the results.",
        option="--include-model/--no-model",
    )
    include_csv: bool = _setting(
        True, "outputs", "Keep the results as CSV in a .lexer file as well."
    )

    def export_options(self) -> dict[str, OptionValue]:
        """What engines are told when they export."""
        options: dict[str, OptionValue] = {"exporter": self.exporter, "checks": self.onnx_checks}
        if self.opset is not None:
            options["opset"] = self.opset
        return options

    def to_dict(self) -> dict[str, object]:
        """Give every setting by its name; engines as the command line writes them."""
        engines = None if self.engines is None else [str(choice) for choice in self.engines]
        return {**attrs.asdict(self, recurse=False), "engines": engines}


def setting_names() -> tuple[str, ...]:
    """Names of all settings, in the order of the table."""
    return tuple(field.name for field in attrs.fields(Settings))


def resolve(layers: Sequence[tuple[str, Mapping[str, object]]]) -> tuple[Settings, dict[str, str]]:
    """Lay layers of settings over each other.

    Parameters
    ----------
    layers
        Pairs of a layer's name, as an error would call it, and its settings;
        the strongest first. A value of ``None`` is not set, and one that is
        :class:`SettingValue` has a place of its own.

    Returns
    -------
    tuple[Settings, dict[str, str]]
        The settings that hold, and for each where it was set (``"default"``
        where no layer sets it).

    Raises
    ------
    SettingError
        A name is unknown, or a value has the wrong type or is out of range,
        also where a stronger layer sets another.
    """
    settings, places = resolve_origins(layers)
    return settings, {name: str(place) for name, place in places.items()}


def resolve_origins(
    layers: Sequence[tuple[str, Mapping[str, object]]],
) -> tuple[Settings, dict[str, Origin]]:
    """Do what :func:`resolve` does, and give the places as they are."""
    table = attrs.fields_dict(Settings)
    values: dict[str, Any] = {}
    places = dict.fromkeys(table, DEFAULT)
    for layer, settings in layers:
        for name, given in settings.items():
            placed = (
                given if isinstance(given, SettingValue) else SettingValue(given, Origin(layer))
            )
            if name not in table:
                raise _unknown(name, str(placed.place))
            if placed.value is None:
                continue
            value = checked(table[name], placed.value, str(placed.place))
            if name not in values:
                values[name] = value
                places[name] = placed.place
    return Settings(**values), places


def _unknown(name: str, where: str) -> SettingError:
    near = nearest(name, setting_names())
    hint = f"Did you mean {near!r}? " if near else ""
    return SettingError(
        f"unknown setting {name!r} in {where}.",
        hint=f"{hint}There are: {', '.join(setting_names())}.",
    )
