"""How are files written so that nothing is lost?

A file is written completely or not at all, and whether it can be written is checked
before anything is measured.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lexer_core.errors import OutputFileError
from lexer_core.termination import removed_on_termination

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_writable", "copy_file", "replaced_file", "write_if_named", "write_text"]


def check_writable(path: Path) -> None:
    """Check that :func:`write_text` can write ``path``.

    An existing file is not changed, and no new one is left behind.

    Raises
    ------
    OutputFileError
        The file cannot be written; the message says why.
    """
    try:
        target = _target(path)
        if _is_stream(target):
            return
        if target.exists():
            # A file may be read-only in a writable folder.
            with target.open("r+b"):
                pass
        probe = _temporary_path(target)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        probe.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a file, completely or not at all.

    Characters that cannot be encoded (such as a lone surrogate in a plugin's message)
    are written as escape sequences.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    _write(path, io.BytesIO(text.encode("utf-8", errors="backslashreplace")))


def copy_file(source: Path, path: Path) -> None:
    """Copy a file to ``path``, completely or not at all.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    with source.open("rb") as content:
        _write(path, content)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing, and replace it when the ``with`` block succeeds.

    The data is written to a temporary file in the same folder, which is deleted if the
    block raises.

    Raises
    ------
    OutputFileError
        The file cannot be written. Any ``OSError`` inside the block is converted.
    """
    try:
        target = _target(path)
        if _is_stream(target):
            with target.open("wb") as stream:
                yield stream
        else:
            with _temporary_file(target) as file:
                yield file
    except OSError as error:
        raise _cannot_write(path, error) from error


def _write(path: Path, content: BinaryIO) -> None:
    with replaced_file(path) as file:
        shutil.copyfileobj(content, file)


@contextlib.contextmanager
def _temporary_file(target: Path) -> Iterator[BinaryIO]:
    temporary = _temporary_path(target)
    # Not with tempfile, whose files only their owner may read.
    with removed_on_termination(lambda: _remove(temporary)):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def _target(path: Path) -> Path:
    # A symbolic link stays, and its target is replaced.
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(2, f"folder {str(target.parent)!r} does not exist")
    return target


def _is_stream(target: Path) -> bool:
    """Return whether this is a pipe or a terminal, which cannot be replaced."""
    return target.exists() and not target.is_file()


def _temporary_path(target: Path) -> Path:
    return target.with_name(f".lexer-{secrets.token_hex(8)}.tmp")


def _cannot_write(path: Path, error: OSError) -> OutputFileError:
    return OutputFileError(
        f"cannot write {str(path)!r}: {error.strerror or error}.",
        hint="Choose a file in an existing, writable folder.",
    )


def write_if_named(text: str, path: str | Path | None) -> str:
    """Return the text, after writing it to ``path`` if that is given.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    if path is not None:
        write_text(Path(path), text)
    return text
