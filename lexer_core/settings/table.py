"""Which settings are there, and which value does each get?

:class:`Settings` is the single table of settings. Its fields define the keyword
arguments of the API, the options of the command line, the ``LEXER_`` variables
and the keys of configuration files, with type, default, range and help.
:func:`resolve_settings` merges the values of several layers. The other modules of
:mod:`lexer_core.settings` read the layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.errors import SettingError
from lexer_core.renamed import renamed_property
from lexer_core.settings.values import validate_setting
from lexer_core.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.choice import EngineChoice
    from lexer_core.records import OptionValue

__all__ = [
    "DEFAULT",
    "LOAD_SECONDS",
    "PRESETS",
    "TUNING_SECONDS",
    "Origin",
    "SettingValue",
    "Settings",
    "preset_origin",
    "resolve_settings",
    "setting_names",
]


_WEEK = 7 * 24 * 3600
"""The longest time that a setting may allow, in seconds."""


@frozen
class Origin:
    """Where a value was set: an argument, a variable, or a line of a file.

    Parameters
    ----------
    name
        The name used in error messages: ``"the call"``, ``"LEXER_THREADS"``, or
        the path of a file.
    line
        The line of the file, from 1.
    outside
        Whether it is outside the program: the environment or a file.
    """

    name: str
    line: int | None = None
    outside: bool = False

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}, line {self.line}"


DEFAULT = Origin("default")
"""The origin of a setting that is not set."""


@frozen
class SettingValue:
    """A value and where it was set."""

    value: object
    origin: Origin

    place = renamed_property("SettingValue", "place", "origin")


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
    """Return a field with its metadata.

    ``example`` is a value in TOML syntax. ``option`` is the command-line option
    if it is not derived from the setting's name. The text of a ``share`` may be
    a percentage, ``2%``.
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
    """All settings and their defaults.

    The run itself decides a setting that is ``None``.
    """

    engines: tuple[EngineChoice, ...] | None = _setting(
        None,
        "benchmarks",
        "Engines to measure; the first is the baseline. Default: every engine that is ready.",
        example='["torch", "onnxruntime[graph_optimization_level=basic]"]',
        option="--engine",
    )
    device: str = _setting(
        "cpu",
        "benchmarks",
        "Device to run on. An engine never falls back to another device.",
        example='"cuda:0"',
    )
    num_iterations: int | None = _setting(
        None,
        "benchmarks",
        "Exact number of samples per engine. Default: measure until the result is precise enough.",
        low=1,
        high=10**8,
        example="1000",
        option="--iterations",
    )
    preset: str = _setting(
        "default",
        "benchmarks",
        "Defaults of the other settings. 'quick': stop as soon as every verdict is clear, after "
        "10 s at most. 'thorough': ratios to 1%, tails, 3 launches, 5 minutes at most.",
        choices=("default", "quick", "thorough"),
    )
    precision: tuple[str, ...] | None = _setting(
        None,
        "benchmarks",
        "Precisions in which the engines compute: float32, float16, bfloat16, int8-dynamic, "
        "int8-weights. Each engine is measured in each of them. Default: the model's own.",
        example='["float32", "bfloat16"]',
    )
    margin: float = _setting(
        0.02,
        "benchmarks",
        "Margin of the ratios: measure until the verdicts are clear and every 95% confidence "
        "interval is at most this wide on each side, or a fifth of the ratio's distance from 1.",
        low=0,
        high=1,
        exclusive=True,
        example="0.02",
        share=True,
    )
    max_seconds: float = _setting(
        30.0,
        "benchmarks",
        "Maximum time for warm-up and rounds of all engines, in seconds. Export and load come on "
        "top of it.",
        low=0,
        high=_WEEK,
        exclusive=True,
        example="20",
    )
    min_seconds: float = _setting(
        2.0,
        "benchmarks",
        "Minimum time for the rounds, in seconds, unless their number is set.",
        low=0,
        high=_WEEK,
        example="5",
    )
    tails: bool = _setting(False, "benchmarks", "Also measure until p99 has a confidence interval.")
    warm_up_seconds: float = _setting(
        1.0,
        "benchmarks",
        "Maximum time for the calls of one engine before the rounds, in seconds. Early rounds in "
        "which an engine still warms up are not counted either.",
        low=0,
        high=30,
        example="2",
    )
    rounds: int | None = _setting(
        None,
        "benchmarks",
        "Exact number of rounds. Default: measure until the result is precise enough.",
        low=1,
        high=10**7,
        example="30",
    )
    launches: int = _setting(
        1,
        "benchmarks",
        "Number of process launches per engine. More are added where only they can decide.",
        low=1,
        high=100,
        example="5",
    )
    threads: int | None = _setting(
        None,
        "benchmarks",
        "Number of threads per call, the same for every engine. Default: all usable cores.",
        low=1,
        high=4096,
        example="1",
    )
    isolation: str = _setting(
        "process",
        "benchmarks",
        "'process' runs each engine in its own process; 'none' runs all in the calling process.",
        choices=("process", "none"),
    )
    items_per_call: int | None = _setting(
        None,
        "benchmarks",
        "Number of items that one call processes, for items/s. Default: dimension 0 of the "
        "inputs if they share it, otherwise 1.",
        low=1,
        high=10**12,
        example="8",
    )
    seed: int | None = _setting(
        None,
        "benchmarks",
        "Seed of the order of rounds. Default: a new seed, which is reported.",
        low=0,
        high=2**63 - 1,
        example="7",
    )
    tie: float = _setting(
        0.02,
        "benchmarks",
        "Engines whose ratio is within this margin, with confidence, are a tie.",
        low=0,
        high=1,
        example="0.05",
        share=True,
    )
    max_configurations: int = _setting(
        256,
        "benchmarks",
        "Maximum number of configurations that `lexer tune` tries. Of a larger space, a sampler "
        "chooses them (pip install 'lexer-core[tune]').",
        low=2,
        high=10**5,
        example="64",
    )
    profile: bool = _setting(
        False,
        "benchmarks",
        "After the rounds, also measure in which modules of the model each engine spends its time.",
    )
    canary: bool = _setting(
        True,
        "benchmarks",
        "Measure a fixed reference workload along with the engines, so that this run can be "
        "compared with others.",
    )
    rtol: float | None = _setting(
        None,
        "benchmarks",
        "Relative tolerance of outputs. Default: depends on the element type.",
        low=0,
        high=10**6,
        example="1e-3",
    )
    atol: float | None = _setting(
        None,
        "benchmarks",
        "Absolute tolerance of outputs. Default: a fraction of their RMS, depending on the element "
        "type.",
        low=0,
        high=1e30,
        example="1e-4",
    )
    second_inputs: bool = _setting(
        True,
        "benchmarks",
        "Compare outputs also for second inputs, with the same shapes and other values. This "
        "detects exports that froze a value or a branch. Not for models that take over 10 s.",
    )
    locate_differences: bool = _setting(
        True,
        "benchmarks",
        "If outputs differ from the model's, find the module in which they first do. Takes one "
        "more launch of the engine after the measurement.",
    )
    load_timeout: float = _setting(
        600.0,
        "benchmarks",
        "Time limit for importing the runtime, exporting, loading or placing inputs, in seconds.",
        low=0,
        high=_WEEK,
        exclusive=True,
        example="120",
    )
    call_timeout: float = _setting(
        120.0,
        "benchmarks",
        "Time limit for one call, in seconds.",
        low=0,
        high=_WEEK,
        exclusive=True,
        example="10",
    )
    memory_limit_mb: float | None = _setting(
        None,
        "benchmarks",
        "Memory limit of one worker, in MiB. Default: no limit.",
        low=0,
        high=10**9,
        exclusive=True,
        example="2048",
    )
    exporter: str = _setting(
        "dynamo",
        "exports",
        "PyTorch's ONNX exporter to use.",
        choices=("dynamo", "torchscript"),
    )
    opset: int | None = _setting(
        None,
        "exports",
        "ONNX opset version. Default: the exporter's default.",
        low=7,
        high=100,
        example="18",
    )
    onnx_checks: bool = _setting(True, "exports", "Check exported models with onnx.checker.")
    use_cache: bool = _setting(
        True, "exports", "Reuse earlier exports of the same model.", option="--cache/--no-cache"
    )
    validation: bool = _setting(
        True,
        "exports",
        "Compare the outputs of every engine, and of an exported file, with those of the model.",
    )
    print_report: bool = _setting(
        False, "outputs", "Print the report after a benchmark. `lexer benchmark` always does."
    )
    show_progress: bool = _setting(
        True,
        "outputs",
        "Show progress on standard error: a bar in a terminal or notebook, else a line every few "
        "seconds.",
        option="--progress/--no-progress",
    )
    include_model: bool = _setting(
        True,
        "outputs",
        "Save the exported models in a .lexer file, along with the results.",
        option="--include-model/--no-model",
    )
    include_csv: bool = _setting(True, "outputs", "Also save the results as CSV in a .lexer file.")

    def export_options(self) -> dict[str, OptionValue]:
        """Return the options that are passed to ``lexer_export_model``."""
        options: dict[str, OptionValue] = {"exporter": self.exporter, "checks": self.onnx_checks}
        if self.opset is not None:
            options["opset"] = self.opset
        return options

    def to_dict(self) -> dict[str, object]:
        """Return every setting by name; engines as written on the command line."""
        engines = None if self.engines is None else [str(choice) for choice in self.engines]
        return {**attrs.asdict(self, recurse=False), "engines": engines}


PRESETS: Mapping[str, Mapping[str, object]] = {
    "default": {},
    "quick": {"margin": 0.5, "max_seconds": 10.0, "min_seconds": 0.0},
    "thorough": {"margin": 0.01, "max_seconds": 300.0, "tails": True, "launches": 3},
}
"""What each preset sets, unless a layer sets it itself."""


LOAD_SECONDS = 120.0
"""Default of ``max_seconds`` for a load test."""

TUNING_SECONDS = 100.0
"""Default of ``max_seconds`` for a tuning, which is longer than a benchmark."""


def preset_origin(preset: str) -> Origin:
    """Return the origin of the settings that a preset sets."""
    return Origin(f"preset {preset!r}")


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings, in the order of the table."""
    return tuple(field.name for field in attrs.fields(Settings))


def resolve_settings(
    layers: Sequence[tuple[str, Mapping[str, object]]],
) -> tuple[Settings, dict[str, Origin]]:
    """Merge layers of settings, the strongest first.

    Parameters
    ----------
    layers
        Pairs of a layer's name, for error messages, and its settings. A value
        of ``None`` is not set. A :class:`SettingValue` has its own origin.

    Returns
    -------
    tuple[Settings, dict[str, Origin]]
        The settings, and where each was set (:data:`DEFAULT` if no layer sets it).

    Raises
    ------
    SettingError
        A name is unknown, or a value has the wrong type or is out of range,
        even if a stronger layer overrides it.
    """
    table = attrs.fields_dict(Settings)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(table, DEFAULT)
    for layer, settings in layers:
        for name, item in settings.items():
            setting = item if isinstance(item, SettingValue) else SettingValue(item, Origin(layer))
            if name not in table:
                raise _unknown(name, str(setting.origin))
            if setting.value is None:
                continue
            value = validate_setting(table[name], setting.value, str(setting.origin))
            if name not in values:
                values[name] = value
                origins[name] = setting.origin
    preset = str(values.get("preset", "default"))
    for name, value in PRESETS[preset].items():
        if name not in values:
            values[name] = value
            origins[name] = preset_origin(preset)
    return Settings(**values), origins


def _unknown(name: str, origin: str) -> SettingError:
    near = nearest(name, setting_names())
    hint = f"Did you mean {near!r}? " if near else ""
    return SettingError(
        f"unknown setting {name!r} in {origin}.",
        hint=f"{hint}Known settings: {', '.join(setting_names())}.",
    )
