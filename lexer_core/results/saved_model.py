"""Which models did the rows of a report run, and where are their files?

The files live as long as somebody holds the report: they lie in a temporary
folder that goes with the last one who knows of it.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from attrs import field, frozen

from lexer_core.errors import ArtifactError
from lexer_core.results.attrs_fields import texts

if TYPE_CHECKING:
    from lexer_core.records import TensorSpec

__all__ = ["SavedFiles", "SavedModel", "TemporaryFolder"]


# Named, because mypy loses the element type of the bare ``tuple`` as a converter.
def _specs(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(specs)


@frozen(kw_only=True, eq=False)
class SavedModel:
    """A model in the format in which some rows of a report ran it.

    Parameters
    ----------
    format
        ``"onnx"``, ``"torch_export"``, or an engine's own. One that is a live
        object (``"torch"``) is not kept.
    files
        The model's file first, then its external data, which lie in its folder
        or below. Those of a saved report are unpacked when they are asked for.
        They go with the report: copy what is to stay.
    labels
        The rows that ran it.
    inputs, outputs
        What it takes and gives.
    exporter
        What made it, with its version.
    """

    format: str
    files: Sequence[Path]
    labels: tuple[str, ...] = field(default=(), converter=texts)
    inputs: tuple[TensorSpec, ...] = field(default=(), converter=_specs)
    outputs: tuple[TensorSpec, ...] = field(default=(), converter=_specs)
    exporter: str = ""


class TemporaryFolder:
    """A folder that is removed with the last object that holds this one.

    A copy is the same folder; one that was pickled knows the path and does not
    remove it.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="lexer-kept-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __copy__(self) -> TemporaryFolder:
        return self

    def __deepcopy__(self, memo: object) -> TemporaryFolder:
        return self


class SavedFiles(Sequence[Path]):
    """The files of one model, seen to be those that were measured.

    Parameters
    ----------
    paths
        The model first.
    folder
        Where they lie, if that is to go with them; ``None`` for files of the
        user's own.
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
                    f"the model's file {str(path)!r} is no longer there: {error.strerror}.",
                    hint="The files of a report live as long as it does, and no longer than "
                    "the process that measured.",
                ) from error
            if not same:
                raise ArtifactError(
                    f"the model's file {str(path)!r} was changed after it was measured.",
                    hint="Measure again, or leave the model out: include_model=False, --no-model.",
                )
        return tuple(self._states)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
