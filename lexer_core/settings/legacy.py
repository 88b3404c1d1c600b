"""What do the settings of earlier versions mean in this version?

The configuration files of the original Lexer SDK had the same name, and its keys could
also be given to the decorator and the call. They still work. So does the margin of the
ratios under its former name, ``precision``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.errors import SettingError
from lexer_core.settings.table import Origin, SettingValue
from lexer_core.settings.values import parse_fraction
from lexer_core.typed_values import validate_value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LEGACY_SECTIONS", "TranslatedSettings", "former_margin", "translate_legacy"]

_SETTINGS = {
    "enable_onnx_checks": "onnx_checks",
    "enable_export_validation": "validation",
    "enable_csv": "include_csv",
    "enable_stdout": "print_report",
}
_ENGINES = {"enable_onnxruntime": "onnxruntime", "enable_pytorch": "torch"}

LEGACY_SECTIONS: Mapping[str, str] = {
    "batch_size": "exports",
    "enable_export_validation": "exports",
    "enable_onnx_checks": "exports",
    "enable_onnxruntime": "benchmarks",
    "enable_pytorch": "benchmarks",
    "enable_csv": "outputs",
    "enable_stdout": "outputs",
}
"""The section of each legacy key. ``num_iterations`` has the same name here."""

_UNSET = SettingValue(None, Origin(""))


@frozen(kw_only=True)
class TranslatedSettings:
    """Settings by their current names, engine settings, and notes for the user."""

    settings: Mapping[str, SettingValue]
    engines: Mapping[str, Mapping[str, SettingValue]] = field(factory=dict)
    notes: tuple[str, ...] = ()


def translate_legacy(settings: Mapping[str, SettingValue]) -> TranslatedSettings:
    """Replace legacy names with their current ones; leave all other settings alone.

    Raises
    ------
    SettingError
        A value has the wrong type, or a setting is set under both names.
    """
    current: dict[str, SettingValue] = {}
    engines: dict[str, Mapping[str, SettingValue]] = {}
    notes = []
    for name, setting in settings.items():
        margin = former_margin(name, setting.value)
        if margin is not None:
            if settings.get("margin", _UNSET).value is not None:
                raise _both("precision", "margin", setting)
            notes.append(_warn_of_margin(margin, setting))
            current["margin"] = SettingValue(margin, setting.origin)
            continue
        if name not in LEGACY_SECTIONS:
            current[name] = setting
            continue
        if setting.value is None:
            continue
        _check(name, setting)
        if name == "batch_size":
            notes.append(
                f"batch_size in {setting.origin} has no effect: it is read from the example "
                "inputs, unless you set items_per_call"
            )
        elif name in _ENGINES:
            engines[_ENGINES[name]] = {"enabled": setting}
        elif settings.get(_SETTINGS[name], _UNSET).value is not None:
            raise _both(name, _SETTINGS[name], setting)
        else:
            current[_SETTINGS[name]] = setting
    return TranslatedSettings(settings=current, engines=engines, notes=tuple(notes))


def former_margin(name: str, value: object) -> float | None:
    """Return the margin of the ratios that is set under its former name, ``precision``.

    ``None`` if the setting is another one, or names the precision to compute in.
    """
    if name != "precision" or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return parse_fraction(value)
    return float(value) if isinstance(value, (int, float)) else None


def _warn_of_margin(margin: float, setting: SettingValue) -> str:
    note = (
        f"precision={setting.value} in {setting.origin} is the margin of the ratios, which is now "
        f"the setting margin ({margin:g}); precision is what the engines compute in"
    )
    warnings.warn(
        f"{note}. The old meaning goes in lexer-core 0.3", DeprecationWarning, stacklevel=6
    )
    return note


def _both(old: str, new: str, setting: SettingValue) -> SettingError:
    return SettingError(
        f"{old!r} and {new!r} are both set in {setting.origin.name}.",
        hint=f"They mean the same; keep {new!r}.",
    )


def _check(name: str, setting: SettingValue) -> None:
    what = f"setting {name!r} in {setting.origin}"
    if name != "batch_size":
        validate_value(bool, setting.value, what, strict=True)
    elif int(validate_value(int, setting.value, what, strict=True)) < 1:
        raise SettingError(f"{what} is {setting.value!r}; it must be at least 1.")
