"""What does the plan of a fleet say?

A TOML file, or JSON of the same form. An error names the file, the line and the key.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs

from lexer_core.errors import UsageError
from lexer_core.fleet.records import ANY_MACHINE, FleetPlan, MachineKind
from lexer_core.merged.prices import read_price
from lexer_core.run_plan import RunPlan
from lexer_core.settings.config_files import parse_toml_file, read_text_file
from lexer_core.settings.table import Origin, SettingValue, resolve_settings
from lexer_core.settings.toml_lines import key_lines
from lexer_core.suggestions import did_you_mean
from lexer_core.target.example_inputs import read_request
from lexer_core.tuning.goals import read_goals, read_limits
from lexer_core.tuning.space import read_axes
from lexer_core.validated_data import InvalidDataError, validated

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["LABEL", "MACHINE_LABEL", "read_plan"]

MACHINE_LABEL = "machine"
"""The Dask resource of which every machine has one, so that it does one thing at a time."""

LABEL = re.compile(r"[A-Za-z0-9_.-]+")

_Texts = str | tuple[str, ...]
_Sizes = int | tuple[int, ...]
_Table = dict[str, object]

_PLAN_KEYS: dict[str, Any] = {
    "code": str,
    "settings": object,
    "machines": tuple[object, ...],
    "runs": tuple[object, ...],
}
_MACHINE_KEYS: dict[str, Any] = {
    "name": str,
    "labels": _Texts,
    "count": int,
    "price": str,
    "settings": object,
}
_RUN_KEYS: dict[str, Any] = {
    "name": str,
    "targets": _Texts,
    "inputs": _Texts,
    "inputs_file": str,
    "second_inputs": _Texts,
    "batch_size": _Sizes,
    "input_names": _Texts,
    "output_names": _Texts,
    "interpreters": object,
    "vary": object,
    "minimize": _Texts,
    "maximize": _Texts,
    "limits": _Texts,
    "settings": object,
}
_LISTS = [name for name, kind in {**_MACHINE_KEYS, **_RUN_KEYS}.items() if kind is _Texts]


def read_plan(path: str | os.PathLike[str]) -> FleetPlan:
    """Read the plan of a fleet.

    Parameters
    ----------
    path
        A TOML file, or a ``.json`` file of the same form. ``lexer fleet plan --example``
        prints a commented one. Its ``code`` is relative to its folder.

    Raises
    ------
    UsageError
        The file cannot be read, or a key or a value in it is wrong.
    """
    path = Path(path)
    text = read_text_file(path, hint="To write a plan to start from: lexer fleet plan --example")
    if path.suffix.lower() == ".json":
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path}: the file is not valid JSON: {error}.") from error
        return _File(path, {}).plan(content)
    content = parse_toml_file(text, path)
    return _File(path, key_lines(text)).plan(content)


class _File:
    """A plan that is being read; knows the line of each key."""

    def __init__(self, path: Path, lines: Mapping[tuple[str, ...], int]) -> None:
        self._path, self._lines = path, lines

    def plan(self, content: object) -> FleetPlan:
        table = self._table(content, (), _PLAN_KEYS, "the plan")
        settings = self._settings(table, ())
        kinds = [
            self._kind(each, ("machines", str(at)))
            for at, each in enumerate(cast("Sequence[object]", table.get("machines", ())))
        ]
        runs = [
            run
            for at, each in enumerate(cast("Sequence[object]", table.get("runs", ())))
            for run in self._runs(each, ("runs", str(at)))
        ]
        if not runs:
            raise self._error((), "the plan has no [[runs]].", "lexer fleet plan --example")
        self._refuse_twice([run.title for run in runs], "runs", "Give each a name of its own.")
        self._refuse_twice([kind.name for kind in kinds], "machines", "Rename one of them.")
        code = cast("str | None", table.get("code"))
        plan = FleetPlan(
            runs=runs,
            machines=kinds,
            settings=settings,
            code=None if code is None else self._path.parent / code,
        )
        if plan.code is not None and not plan.code.exists():
            raise self._error(
                ("code",),
                f"the code {code!r} does not exist.",
                f"Searched {self._path.parent.resolve()}. Name a folder or a wheel, or leave out "
                "'code' if the models are installed on the machines.",
            )
        return plan

    def _kind(self, value: object, path: tuple[str, ...]) -> MachineKind:
        table = self._table(value, path, _MACHINE_KEYS, "[[machines]]")
        table["settings"] = self._settings(table, path)
        labels = cast("Sequence[str]", table.get("labels", ()))
        table.setdefault("name", " and ".join(labels) or ANY_MACHINE.name)
        kind = MachineKind(**cast("dict[str, Any]", table))
        for label in kind.labels:
            if not LABEL.fullmatch(label) or label == MACHINE_LABEL:
                raise self._error(
                    (*path, "labels"),
                    f"{label!r} cannot be a label.",
                    'Use letters, digits, "_", "-" and "."; every machine has the label '
                    f"{MACHINE_LABEL!r} anyway.",
                )
        if kind.count is not None and kind.count < 1:
            raise self._error((*path, "count"), f"the count is {kind.count}.", "Write 1 or more.")
        if kind.price:
            self._checked((*path, "price"), lambda: read_price(kind.price))
        return kind

    def _runs(self, value: object, path: tuple[str, ...]) -> list[RunPlan]:
        table = self._table(value, path, _RUN_KEYS, "[[runs]]")
        if not table.get("targets"):
            raise self._error(path, "the run has no 'targets'.", 'targets = ["net.py:Net"]')
        table["settings"] = self._settings(table, path)
        table["interpreters"] = self._mapping(table, path, "interpreters", dict[str, str])
        table["vary"] = self._mapping(table, path, "vary", dict[str, object])
        sizes = table.pop("batch_size", None)
        run = RunPlan(**cast("dict[str, Any]", table))
        if run.is_tuning:
            self._checked((*path, "vary"), lambda: read_axes(run.vary))
            self._checked(path, lambda: read_goals(run.minimize, run.maximize))
            self._checked((*path, "limits"), lambda: read_limits(run.limits))
            if len(run.targets) > 1:
                raise self._error(
                    (*path, "targets"),
                    "a run with 'vary' has one target.",
                    "Write a run for each model.",
                )
        elif run.minimize or run.maximize or run.limits:
            raise self._error(path, "goals and limits need 'vary'.", "vary = {threads = [1, 2]}")
        if run.inputs and run.inputs_file is not None:
            raise self._error(path, "'inputs' and 'inputs_file' exclude each other.")
        self._checked((*path, "inputs"), lambda: read_request(run.inputs, None, None, 0))
        if isinstance(sizes, tuple):
            return [
                attrs.evolve(run, batch_size=size, name=f"{run.title} batch {size}")
                for size in sizes
            ]
        return [attrs.evolve(run, batch_size=cast("int | None", sizes))]

    def _settings(self, table: _Table, path: tuple[str, ...]) -> dict[str, object]:
        settings = self._mapping(table, path, "settings", dict[str, object])
        where = {
            name: SettingValue(value, self._origin((*path, "settings", name)))
            for name, value in settings.items()
        }
        resolve_settings([(str(self._path), where)])  # raises with the line
        return settings

    def _mapping(
        self, table: _Table, path: tuple[str, ...], name: str, kind: Any
    ) -> dict[str, Any]:
        return cast("dict[str, Any]", self._value(table.get(name, {}), (*path, name), kind))

    def _table(
        self, value: object, path: tuple[str, ...], keys: Mapping[str, Any], shown: str
    ) -> _Table:
        """Return the checked values of a table."""
        table = cast("_Table", self._value(value, path, dict[str, object]))
        checked: _Table = {}
        for name, each in table.items():
            if name not in keys:
                raise self._error(
                    (*path, name),
                    f"unknown key {name!r} in {shown}.",
                    f"Known keys: {', '.join(keys)}.{did_you_mean(name, keys)}",
                )
            found = self._value(each, (*path, name), keys[name])
            checked[name] = (found,) if name in _LISTS and isinstance(found, str) else found
        return checked

    def _value(self, value: object, path: tuple[str, ...], kind: Any) -> object:
        try:
            return validated(value, kind)
        except InvalidDataError as error:
            name = path[-1] if path else "the plan"
            raise self._error(path, f"{name!r}: {error}.") from error

    def _checked(self, path: tuple[str, ...], check: Callable[[], object]) -> None:
        try:
            check()
        except UsageError as error:
            raise self._error(path, error.message, error.hint) from error

    def _refuse_twice(self, names: Sequence[str], what: str, hint: str) -> None:
        for name in names:
            if names.count(name) > 1:
                raise self._error((what,), f"two of the {what} are called {name!r}.", hint)

    def _origin(self, path: tuple[str, ...]) -> Origin:
        while path and path not in self._lines:
            path = path[:-1]
        return Origin(str(self._path), self._lines.get(path), outside=True)

    def _error(self, path: tuple[str, ...], message: str, hint: str = "") -> UsageError:
        return UsageError(f"{self._origin(path)}: {message}", hint=hint)
