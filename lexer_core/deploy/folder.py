"""How is a folder written completely or not at all, and checked before it is used?"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.deploy.manifest import Manifest, StoredFile, read_manifest
from lexer_core.errors import DeploymentError, OutputFileError
from lexer_core.temporary_folders import remove_all
from lexer_core.termination import removed_on_termination
from lexer_core.validated_data import is_safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MANIFEST",
    "check_new_folder",
    "checked_manifest",
    "is_deployment",
    "new_folder",
    "stored_files",
]

MANIFEST = "lexer.json"
_LARGEST_MANIFEST = 8 * 2**20
_CHUNK = 2**20
_MOST_FILES = 10_000
_CACHES = ("__pycache__",)
"""Folders that Python writes next to a script; nothing is loaded from them."""


def is_deployment(folder: Path) -> bool:
    """Return whether a folder has a file ``lexer.json``."""
    return (folder / MANIFEST).is_file()


def stored_files(folder: Path) -> dict[str, StoredFile]:
    """Return size and checksum of every file in a folder except ``lexer.json``."""
    return {name: _stored(folder / name) for name in _names(folder) if name != MANIFEST}


@contextlib.contextmanager
def new_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Provide an empty folder that becomes ``path`` when the ``with`` block succeeds.

    Parameters
    ----------
    path
        The folder to create. If it exists, it must be empty or a deployment.
    overwrite
        Whether to replace a deployment. Until the new one is complete, it stays.

    Raises
    ------
    DeploymentError
        The folder exists and is not replaced.
    OutputFileError
        It cannot be written. Any ``OSError`` inside the block is converted.
    """
    target, temporary = _places(path, overwrite=overwrite)

    def remove_unfinished() -> None:
        shutil.rmtree(temporary, ignore_errors=True)
        remove_all()

    try:
        if not target.parent.is_dir():
            raise FileNotFoundError(2, f"folder {str(target.parent)!r} does not exist")
        with removed_on_termination(remove_unfinished):
            temporary.mkdir()
            try:
                yield temporary
                for name in _names(temporary):
                    _write_through(temporary / name)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        _replace(target, temporary)
    except OSError as error:
        raise _cannot_write(path, error) from error


def check_new_folder(path: Path, *, overwrite: bool) -> None:
    """Check that :func:`new_folder` can create a folder, without creating it.

    Raises
    ------
    DeploymentError
        The folder exists and is not replaced.
    OutputFileError
        It cannot be written.
    """
    _, probe = _places(path, overwrite=overwrite)
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise _cannot_write(path, error) from error


def checked_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder, and check that its files are those that were saved.

    Raises
    ------
    DeploymentError
        The folder is not a deployment, a file is missing, was added or was changed, or
        the manifest is invalid.
    """
    what = f"{MANIFEST!r} in {str(folder)!r}"
    try:
        manifest = read_manifest(_manifest_text(folder), what)
        _check_names(manifest, what)
        present = set(_names(folder)) - {MANIFEST}
        missing, extra = set(manifest.files) - present, present - set(manifest.files)
        if missing or extra:
            name = min(missing or extra)
            raise DeploymentError(
                f"file {name!r} is missing from {str(folder)!r}."
                if missing
                else f"{str(folder)!r} has a file {name!r} that does not belong to it.",
                hint="Copy the folder again, or save it again."
                if missing
                else "Move it somewhere else.",
            )
        for name, expected in manifest.files.items():
            if _stored(folder / name) != expected:
                raise DeploymentError(
                    f"file {name!r} in {str(folder)!r} was changed: its checksum differs from the "
                    f"one in {MANIFEST}.",
                    hint="Copy the folder again, or save it again. To adapt run.py, copy it to "
                    "another folder.",
                )
    except OSError as error:
        raise DeploymentError(
            f"cannot read {str(folder)!r}: {error.strerror or error}.",
        ) from error
    return manifest


def _manifest_text(folder: Path) -> bytes:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise DeploymentError(
            f"{str(folder)!r} is not a folder."
            if folder.exists()
            else f"folder {str(folder)!r} does not exist.",
        )
    if not path.is_file() or path.is_symlink():
        raise DeploymentError(
            f"folder {str(folder)!r} is not a deployment: it has no file {MANIFEST}.",
            hint='Save a row of a report: report["onnxruntime"].save("deploy/").',
        )
    with path.open("rb") as file:
        text = file.read(_LARGEST_MANIFEST + 1)
    if len(text) > _LARGEST_MANIFEST:
        raise DeploymentError(f"{str(path)!r} has more than {_LARGEST_MANIFEST} bytes.")
    return text


def _check_names(manifest: Manifest, what: str) -> None:
    for name in manifest.files:
        if not is_safe_name(name):
            raise DeploymentError(
                f"{what} names the file {name!r}, which could be outside the folder.",
                hint="Do not use this folder: it was not saved by Lexer.",
            )
    if manifest.file not in manifest.files:
        raise DeploymentError(
            f"{what} names the model {manifest.file!r}, which is not one of its files.",
            hint="Save the row again.",
        )


def _names(folder: Path) -> list[str]:
    """Return the files of a folder, relative to it, without following links."""
    names: list[str] = []
    open_folders = [""]
    while open_folders:
        prefix = open_folders.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _CACHES:
                        open_folders.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    names.append(name)
                else:
                    raise DeploymentError(
                        f"{name!r} in {str(folder)!r} is a link or special file.",
                        hint="Replace it with the file itself.",
                    )
                if len(names) > _MOST_FILES:
                    raise DeploymentError(
                        f"{str(folder)!r} has more than {_MOST_FILES} files.",
                        hint="Choose the folder that Lexer saved.",
                    )
    return sorted(names)


def _stored(path: Path) -> StoredFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return StoredFile(size_bytes=size, sha256=digest.hexdigest())


def _places(path: Path, *, overwrite: bool) -> tuple[Path, Path]:
    """Return where a folder goes, and where it is until it is complete."""
    try:
        target = Path(os.path.realpath(path))
    except FileNotFoundError as error:
        raise OutputFileError(
            f"cannot write {str(path)!r}: the current folder was deleted.",
            hint="Change to another folder.",
        ) from error
    _check_replaceable(path, target, overwrite=overwrite)
    return target, target.with_name(f".lexer-{secrets.token_hex(8)}.tmp")


def _check_replaceable(path: Path, target: Path, *, overwrite: bool) -> None:
    try:
        status = target.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputFileError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise DeploymentError(
            f"cannot save to {str(path)!r}: it is a file.", hint="Choose a new folder."
        )
    if _is_current(target):
        raise DeploymentError(
            f"cannot save to {str(path)!r}: it is the current folder, or contains it, and would be "
            "replaced.",
            hint="Choose another folder, or change to another one first.",
        )
    if not any(target.iterdir()):
        return
    if not is_deployment(target):
        raise DeploymentError(
            f"cannot save to {str(path)!r}: the folder is not empty.",
            hint="Choose a new folder. Only a folder that Lexer saved can be replaced.",
        )
    if not overwrite:
        raise DeploymentError(
            f"cannot save to {str(path)!r}: it already has a deployment.",
            hint="To replace it, pass overwrite=True (on the command line: --force).",
        )
    added = sorted(set(_names(target)) - _saved_names(target))
    if added:
        raise DeploymentError(
            f"cannot replace {str(path)!r}: it has a file {added[0]!r} that Lexer did not save.",
            hint="Move it somewhere else, or choose a new folder.",
        )


def _cannot_write(path: Path, error: OSError) -> OutputFileError:
    return OutputFileError(
        f"cannot write {str(path)!r}: {error.strerror or error}.",
        hint="Choose a folder in an existing, writable folder.",
    )


def _is_current(target: Path) -> bool:
    try:
        return Path.cwd().resolve().is_relative_to(target)
    except FileNotFoundError:  # it was deleted
        return False


def _saved_names(folder: Path) -> set[str]:
    try:
        manifest = read_manifest(_manifest_text(folder), MANIFEST)
    except DeploymentError as error:
        raise DeploymentError(
            f"cannot replace {str(folder)!r}: {error.message}",
            hint="Delete it yourself, or choose a new folder.",
        ) from error
    return {MANIFEST, *manifest.files}


def _write_through(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _replace(target: Path, temporary: Path) -> None:
    """Rename the complete folder to its final name, after moving an old one out of the way."""
    try:
        _rename(target, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename(target: Path, temporary: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    old = target.with_name(f".lexer-{secrets.token_hex(8)}.old")
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
