"""What does ``lexer.json`` say about a deployed model?"""

from __future__ import annotations

import json

# validated_data resolves the annotations.
from collections.abc import Iterator, Mapping
from typing import Any, cast

from attrs import field, frozen

from lexer_core.errors import DeploymentError, UnsupportedError
from lexer_core.records import (
    CallStructure,
    OptionValue,
    TensorRef,
    TensorSpec,
)
from lexer_core.results.attrs_fields import plain, without_not_finite
from lexer_core.validated_data import InvalidDataError, check_version, parse_json, validated

__all__ = [
    "DEPLOYMENT_VERSION",
    "Manifest",
    "StoredFile",
    "read_manifest",
    "structure_from_json",
    "structure_to_json",
    "write_manifest",
]

DEPLOYMENT_VERSION = 1
"""Version of the folder's layout that docs/deploying.md documents."""


@frozen(kw_only=True)
class StoredFile:
    """Size and SHA-256 checksum of one file."""

    size_bytes: int
    sha256: str


@frozen(kw_only=True)
class Manifest:
    """A model in a folder, and the session that was measured.

    Parameters
    ----------
    model_name, label
        The model's name, and the label of its row in the report.
    engine, engine_version, engine_distribution
        Name of the engine; version of its runtime; its plugin's distribution and version.
    device, threads, precision, options
        The settings of the session.
    format, exporter
        The format of the model, and what exported it.
    converted_to
        The precision to which the engine converted the model's file; empty if it did not.
    file
        Name of the model's file in ``files``.
    inputs, outputs
        Specifications of the inputs and outputs, in order.
    files
        All files of the folder except ``lexer.json``, by their name relative to it.
    build, arguments
        For weights: what builds the module, as ``module:Class``, and its keyword
        arguments.
    call
        For weights: the arguments of ``forward``, as JSON
        (:func:`structure_to_json`).
    created_at
        When it was measured: UTC, ISO 8601.
    measured
        The figures of the row, by the names of docs/json.md.
    versions
        Versions of Python, Lexer, engines and packages where it was measured.
    machine
        The machine where it was measured.
    """

    model_name: str
    label: str
    engine: str
    engine_version: str | None = None
    engine_distribution: str = ""
    device: str
    threads: int
    precision: str = ""
    options: Mapping[str, OptionValue] = field(factory=dict)
    format: str
    exporter: str = ""
    converted_to: str = ""
    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    files: Mapping[str, StoredFile]
    build: str = ""
    arguments: Mapping[str, object] = field(factory=dict)
    call: Mapping[str, object] = field(factory=dict)
    created_at: str = ""
    measured: Mapping[str, object] = field(factory=dict)
    versions: Mapping[str, str] = field(factory=dict)
    machine: Mapping[str, object] = field(factory=dict)


def write_manifest(manifest: Manifest) -> str:
    """Return the JSON of a manifest. Numbers that are not finite become ``null``."""
    data = {"schema_version": DEPLOYMENT_VERSION, **cast("dict[str, object]", plain(manifest))}
    return json.dumps(without_not_finite(data, {}), indent=2, ensure_ascii=False) + "\n"


def read_manifest(text: bytes, what: str) -> Manifest:
    """Read the JSON of a manifest, which is not trusted.

    Parameters
    ----------
    text
        The JSON.
    what
        Its name in errors.

    Raises
    ------
    DeploymentError
        It is not valid JSON, has another version, or a value has the wrong type.
    """
    try:
        data = parse_json(text)
        check_version(data, "schema_version", DEPLOYMENT_VERSION)
        manifest: Manifest = validated(data, Manifest)
        _check_values(manifest)
        _check_structure(structure_from_json(manifest.call), manifest.inputs)
    except InvalidDataError as error:
        raise DeploymentError(
            f"{what} is invalid: {error}.", hint=error.hint or "Save the row again."
        ) from error
    return manifest


def _check_values(manifest: Manifest) -> None:
    if manifest.threads < 1:
        raise InvalidDataError(f"expected at least 1, not {manifest.threads}", "threads")
    for role in ("inputs", "outputs"):
        specs: tuple[TensorSpec, ...] = getattr(manifest, role)
        if len({spec.name for spec in specs}) < len(specs):
            raise InvalidDataError("two tensors have the same name", role)
        for number, spec in enumerate(specs):
            if any(isinstance(size, int) and size < 0 for size in spec.shape):
                raise InvalidDataError("a size is negative", f"{role}[{number}].shape")


def _check_structure(structure: CallStructure, inputs: tuple[TensorSpec, ...]) -> None:
    known = {spec.name for spec in inputs}
    for name in _references([*structure.args, *structure.kwargs.values()]):
        if name not in known:
            raise InvalidDataError(f"there is no input {name!r}", "call")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, TensorRef):
        yield value.name
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _references(item)


# -- the arguments of forward --------------------------------------------------------


def structure_to_json(structure: CallStructure) -> dict[str, object]:
    """Return the arguments of a call as JSON types.

    Raises
    ------
    UnsupportedError
        An argument is neither a tensor, a number, a string, a boolean, ``None``, nor a
        list, tuple or dict of these.
    """
    return {
        "args": [_to_json(value) for value in structure.args],
        "kwargs": {name: _to_json(value) for name, value in structure.kwargs.items()},
    }


def structure_from_json(data: Mapping[str, object]) -> CallStructure:
    """Return the arguments of a call from :func:`structure_to_json`.

    Raises
    ------
    InvalidDataError
        The data is not valid.
    """
    call: _Call = validated(data, _Call, "call")
    return CallStructure(
        args=tuple(_from_json(value, "call.args") for value in call.args),
        kwargs={name: _from_json(value, "call.kwargs") for name, value in call.kwargs.items()},
    )


@frozen(kw_only=True)
class _Call:
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(factory=dict)


def _to_json(value: Any) -> dict[str, object]:
    if type(value) is TensorRef:
        return {"tensor": value.name}
    if value is None or type(value) in (bool, int, float, str):
        return {"value": value}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_to_json(item) for item in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _to_json(item) for key, item in value.items()}}
    raise UnsupportedError(
        f"forward takes an argument of type {type(value).__name__}, which lexer.json cannot hold.",
        hint="Save a row of an engine that runs an exported model, such as onnxruntime.",
    )


def _from_json(data: object, path: str) -> Any:
    kind, value = _only_item(data, path)
    if kind == "tensor":
        return TensorRef(validated(value, str, path))
    if kind == "value":
        return validated(value, bool | int | float | str | None, path)
    if kind in ("list", "tuple"):
        items = [_from_json(item, path) for item in validated(value, tuple[object, ...], path)]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        entries: Mapping[str, object] = validated(value, Mapping[str, object], path)
        return {key: _from_json(item, path) for key, item in entries.items()}
    raise InvalidDataError(f"unknown kind of argument {kind!r}", path)


def _only_item(data: object, path: str) -> tuple[str, object]:
    entries: Mapping[str, object] = validated(data, Mapping[str, object], path)
    if len(entries) != 1:
        raise InvalidDataError("expected exactly one key", path)
    return next(iter(entries.items()))
