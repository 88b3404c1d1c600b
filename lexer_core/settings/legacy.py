"""What do the settings of the original Lexer SDK mean here?

Its configuration files had the same name, and its keys could be given to the
decorator and to the call as well. They go on to mean what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.errors import SettingError
from lexer_core.settings.table import Origin, SettingValue
from lexer_core.settings.values import checked_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ORIGINAL_SECTIONS", "Translated", "translate"]

_SETTINGS = {
    "enable_onnx_checks": "onnx_checks",
    "enable_export_validation": "validation",
    "enable_csv": "include_csv",
    "enable_stdout": "print_report",
}
_ENGINES = {"enable_onnxruntime": "onnxruntime", "enable_pytorch": "torch"}

ORIGINAL_SECTIONS: Mapping[str, str] = {
    "batch_size": "exports",
    "enable_export_validation": "exports",
    "enable_onnx_checks": "exports",
    "enable_onnxruntime": "benchmarks",
    "enable_pytorch": "benchmarks",
    "enable_csv": "outputs",
    "enable_stdout": "outputs",
}
"""The section of each key that has another name here; ``num_iterations`` has its own."""


@frozen(kw_only=True)
class Translated:
    """Settings by their names here, what is said of engines, and what to tell the user."""

    settings: Mapping[str, SettingValue]
    engines: Mapping[str, Mapping[str, SettingValue]] = field(factory=dict)
    notes: tuple[str, ...] = ()


def translate(settings: Mapping[str, SettingValue]) -> Translated:
    """Replace the original's names by today's, and leave all others as they are.

    Raises
    ------
    SettingError
        A value has the wrong type, or one thing is set under both names.
    """
    kept: dict[str, SettingValue] = {}
    engines: dict[str, Mapping[str, SettingValue]] = {}
    notes = []
    for name, given in settings.items():
        if name not in ORIGINAL_SECTIONS:
            kept[name] = given
            continue
        if given.value is None:
            continue
        _check(name, given)
        if name == "batch_size":
            notes.append(
                f"batch_size in {given.place} has no effect: it is read from the example inputs"
            )
        elif name in _ENGINES:
            engines[_ENGINES[name]] = {"enabled": given}
        elif settings.get(_SETTINGS[name], _UNSET).value is not None:
            raise SettingError(
                f"{name!r} and {_SETTINGS[name]!r} are both set in {given.place.name}.",
                hint=f"They mean the same: keep {_SETTINGS[name]!r}.",
            )
        else:
            kept[_SETTINGS[name]] = given
    return Translated(settings=kept, engines=engines, notes=tuple(notes))


_UNSET = SettingValue(None, Origin(""))


def _check(name: str, given: SettingValue) -> None:
    what = f"setting {name!r} in {given.place}"
    if name != "batch_size":
        checked_kind("bool", given.value, what)
    elif checked_kind("int", given.value, what) < 1:
        raise SettingError(f"{what} is {given.value!r}; it must be at least 1.")
