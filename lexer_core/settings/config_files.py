"""What does a configuration file set?"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.errors import SettingError
from lexer_core.settings.layers import Layer
from lexer_core.settings.legacy import LEGACY_SECTIONS, translate_legacy
from lexer_core.settings.table import Origin, Settings, SettingValue
from lexer_core.settings.toml_lines import key_lines
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["parse_toml_file", "read_file", "read_text_file"]

_ENGINES_SECTION = "engines"
_SCALARS = (bool, int, float, str)


def read_file(path: Path, *, within: tuple[str, ...] = ()) -> Layer | None:
    """Read a configuration file; return ``None`` if it sets nothing.

    Parameters
    ----------
    path
        Path of a TOML file.
    within
        The table with Lexer's settings: ``("tool", "lexer")`` in ``pyproject.toml``.

    Raises
    ------
    SettingError
        The file cannot be read, is not valid TOML, or has an unknown or wrong
        section or key. The error names file and line.
    """
    text = read_text_file(path)
    content: Any = parse_toml_file(text, path)
    for name in within:
        content = content.get(name) if isinstance(content, dict) else None
    if not content:
        return None
    return _File(path, text, within).layer(content)


def _setting_sections() -> dict[str, tuple[str, ...]]:
    """Return the names of the settings in each section of a file, in the order of the table."""
    names: dict[str, list[str]] = {}
    for setting in attrs.fields(Settings):
        names.setdefault(setting.metadata["section"], []).append(setting.name)
    return {section: tuple(settings) for section, settings in names.items()}


def read_text_file(
    path: Path, *, hint: str = "Lexer reads settings from this file. Make it readable or remove it."
) -> str:
    """Read a UTF-8 file.

    Raises
    ------
    SettingError
        It cannot be read, or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror or error}.", hint=hint) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingError(
            f"{path}, line {line}: the file is not valid UTF-8.", hint="Save the file as UTF-8."
        ) from error


def parse_toml_file(text: str, path: Path) -> dict[str, Any]:
    """Parse the text of a TOML file.

    Raises
    ------
    SettingError
        It is not valid TOML; the error names file and line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # "Invalid value (at line 3, column 8)", or "(at end of document)".
        match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
        reason = match[1] if match else str(error).removesuffix(" (at end of document)")
        line = int(match[2]) if match else len(text.splitlines())
        where = f", column {match[3]}" if match else ""
        raise SettingError(
            f"{path}, line {line}{where}: the file is not valid TOML: {reason}."
        ) from error


class _File:
    """A file that is being read; knows the line of each key."""

    def __init__(self, path: Path, text: str, within: tuple[str, ...]) -> None:
        self._path = path
        self._within = within
        self._lines = key_lines(text)
        self._sections = _setting_sections()

    def layer(self, content: Any) -> Layer:
        if not isinstance(content, dict):
            raise self._error((), f"{'.'.join(self._within)!r} must be a table.")
        settings: dict[str, SettingValue] = {}
        engines: dict[str, Mapping[str, SettingValue]] = {}
        for section, body in content.items():
            if section == _ENGINES_SECTION:
                engines = self._engines(body)
            else:
                settings |= self._section(section, body)
        translated = translate_legacy(settings)
        for name, legacy in translated.engines.items():
            for key in set(legacy) & set(engines.get(name, {})):
                raise self._error(
                    (_ENGINES_SECTION, name, key),
                    f"{key!r} in {self._shown(_ENGINES_SECTION, name)} is already set by a legacy "
                    f"key in {legacy[key].origin}.",
                    "Keep one of them.",
                )
            engines[name] = {**engines.get(name, {}), **legacy}
        return Layer(
            name=str(self._path),
            settings=translated.settings,
            engines=engines,
            notes=translated.notes,
        )

    def _section(self, section: str, body: Any) -> dict[str, SettingValue]:
        if section not in self._sections:
            raise self._unknown_section(section)
        if not isinstance(body, dict):
            raise self._error((section,), f"{section!r} must be a section.", f"Write [{section}].")
        allowed = self._sections[section]
        legacy = [name for name, home in LEGACY_SECTIONS.items() if home == section]
        for name in body:
            if name not in allowed and name not in legacy:
                raise self._unknown_key(section, name, allowed)
        return {name: self._value((section, name), value) for name, value in body.items()}

    def _engines(self, body: Any) -> dict[str, Mapping[str, SettingValue]]:
        engines: dict[str, Mapping[str, SettingValue]] = {}
        how = "Options of an engine belong in its own section: [engines.onnxruntime]."
        if not isinstance(body, dict):
            raise self._error((_ENGINES_SECTION,), "'engines' must be a section.", how)
        for name, options in body.items():
            path = (_ENGINES_SECTION, name)
            if not isinstance(options, dict):
                raise self._error(path, f"unknown key {name!r} in {self._shown('engines')}.", how)
            for key, value in options.items():
                if not isinstance(value, _SCALARS):
                    raise self._error(
                        (*path, key),
                        f"option {key!r} in {self._shown(*path)} is {value!r}; "
                        "it must be text, a number, or true or false.",
                    )
            if options:
                engines[name] = {
                    key: self._value((*path, key), value) for key, value in options.items()
                }
        return engines

    def _unknown_section(self, section: str) -> SettingError:
        known = {name: home for home, names in self._sections.items() for name in names}
        home = LEGACY_SECTIONS.get(section) or known.get(section)
        if home is not None:
            return self._error(
                (section,),
                f"{section!r} must be inside a section.",
                f"Move it to {self._shown(home)}.",
            )
        names = [*self._sections, _ENGINES_SECTION]
        # Keys as well as sections: it may be a mistyped key outside any section.
        near = did_you_mean(section, [*names, *known]).strip()
        listed = ", ".join(self._shown(name) for name in (*self._sections, "engines.NAME"))
        return self._error(
            (section,),
            f"unknown section {self._shown(section)}.",
            f"Known sections: {listed}.   {near}",
        )

    def _unknown_key(self, section: str, name: str, allowed: Sequence[str]) -> SettingError:
        for home, names in self._sections.items():
            if name in names or LEGACY_SECTIONS.get(name) == home:
                return self._error(
                    (section, name),
                    f"{name!r} does not belong in {self._shown(section)}.",
                    f"Move it to {self._shown(home)}.",
                )
        all_names = [each for names in self._sections.values() for each in names]
        near = did_you_mean(name, allowed) or did_you_mean(name, all_names)
        return self._error(
            (section, name),
            f"unknown key {name!r} in {self._shown(section)}.",
            f"Known keys: {', '.join(allowed)}.{near}",
        )

    def _shown(self, *names: str) -> str:
        return f"[{'.'.join((*self._within, *names))}]"

    def _value(self, path: tuple[str, ...], value: object) -> SettingValue:
        return SettingValue(value, self._origin(path))

    def _origin(self, path: tuple[str, ...]) -> Origin:
        return Origin(str(self._path), self._lines.get((*self._within, *path)), outside=True)

    def _error(self, path: tuple[str, ...], message: str, hint: str = "") -> SettingError:
        return SettingError(f"{self._origin(path)}: {message}", hint=hint.strip())
