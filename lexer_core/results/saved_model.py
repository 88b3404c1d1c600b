"""Which models did the rows of a report run, and where are their files?

The files are in a temporary folder that is removed with the last reference to it,
usually that of the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from attrs import field, frozen

from lexer_core.errors import ArtifactError
from lexer_core.results.attrs_fields import texts

if TYPE_CHECKING:
    from lexer_core.records import TensorSpec
    from lexer_core.temporary_folders import TemporaryFolder

__all__ = ["SavedFiles", "SavedModel"]


# A function, because mypy loses the element type of a bare ``tuple`` converter.
def _specs(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(specs)


@frozen(kw_only=True, eq=False)
class SavedModel:
    """A model in the format in which rows of a report ran it.

    Parameters
    ----------
    format
        ``"onnx"``, ``"torch_export"``, or an engine's own format. Live objects
        (``"torch"``) are not saved.
    files
        The model's file, then its external data in the same folder or below. Those
        of a saved report are unpacked on first use. They are deleted with the
        report: copy the files that you want to keep.
    labels
        Labels of the rows that ran it.
    inputs, outputs
        Its inputs and outputs.
    exporter
        Name and version of the exporter.
    precision
        The precision to which the engine converted it; empty if it did not.
    """

    format: str
    files: Sequence[Path]
    labels: tuple[str, ...] = field(default=(), converter=texts)
    inputs: tuple[TensorSpec, ...] = field(default=(), converter=_specs)
    outputs: tuple[TensorSpec, ...] = field(default=(), converter=_specs)
    exporter: str = ""
    precision: str = ""


class SavedFiles(Sequence[Path]):
    """The files of one model; using one that changed since is an error.

    Parameters
    ----------
    paths
        The files, the model's first.
    folder
        Their folder, if it is to be removed with them; ``None`` for the user's own
        files.
    """

    def __init__(self, paths: Sequence[Path], folder: TemporaryFolder | None = None) -> None:
        self._states = {path: _state(path) for path in paths}
        self._folder = folder

    def __len__(self) -> int:
        return len(self._states)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Path, ...]: ...
    def __getitem__(self, index: int | slice) -> Path | tuple[Path, ...]:
        return self._checked()[index]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._checked())

    def __repr__(self) -> str:
        return f"SavedFiles({', '.join(repr(str(path)) for path in self._states)})"

    def _checked(self) -> tuple[Path, ...]:
        for path, state in self._states.items():
            try:
                same = _state(path) == state
            except OSError as error:
                raise ArtifactError(
                    f"model file {str(path)!r} is no longer available: {error.strerror}.",
                    hint="The files of a report are deleted with it, or when the process that "
                    "measured it ends.",
                ) from error
            if not same:
                raise ArtifactError(
                    f"model file {str(path)!r} was changed after it was measured.",
                    hint="Measure again, or leave the model out: include_model=False, --no-model.",
                )
        return tuple(self._states)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
