"""How does something reach a file, so that nothing is lost?

A file is written whole or not at all, and whether it can be written is known
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

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_writable", "copy_file", "replaced_file", "write_if_named", "write_text"]


def check_writable(path: Path) -> None:
    """Find out whether :func:`write_text` will be able to write ``path``.

    Leaves nothing behind, and leaves an existing file as it is.

    Raises
    ------
    OutputFileError
        It will not; the message says why.
    """
    try:
        target = _target(path)
        if _is_stream(target):
            return
        if target.exists():
            # An existing file may be protected although its folder is not.
            with target.open("r+b"):
                pass
        probe = _beside(target)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        probe.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a file: all of it, or the file stays as it was.

    What cannot be encoded (half a surrogate pair in a plugin's message, say) is
    written as its escape.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    _write(path, io.BytesIO(text.encode("utf-8", errors="backslashreplace")))


def copy_file(source: Path, path: Path) -> None:
    """Copy a file: all of it, or what was at ``path`` stays as it was.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    with source.open("rb") as content:
        _write(path, content)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write: at the end it is there as a whole, or as it was before.

    Until then what is written lies beside it, and is gone if anything is raised.

    Raises
    ------
    OutputFileError
        The file cannot be written. Any ``OSError`` inside becomes one.
    """
    try:
        target = _target(path)
        if _is_stream(target):
            with target.open("wb") as stream:
                yield stream
        else:
            with _draft_of(target) as file:
                yield file
    except OSError as error:
        raise _cannot_write(path, error) from error


def _write(path: Path, content: BinaryIO) -> None:
    with replaced_file(path) as file:
        shutil.copyfileobj(content, file)


@contextlib.contextmanager
def _draft_of(target: Path) -> Iterator[BinaryIO]:
    draft = _beside(target)
    # Opened here and not by tempfile, whose files are closed to everybody else.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _target(path: Path) -> Path:
    # Written through a link, not over it.
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(2, f"there is no folder {str(target.parent)!r}")
    return target


def _is_stream(target: Path) -> bool:
    """Tell whether this is a pipe or a terminal, which cannot be replaced."""
    return target.exists() and not target.is_file()


def _beside(target: Path) -> Path:
    return target.with_name(f".lexer-{secrets.token_hex(8)}.tmp")


def _cannot_write(path: Path, error: OSError) -> OutputFileError:
    return OutputFileError(
        f"cannot write {str(path)!r}: {error.strerror or error}.",
        hint="Name a file in a folder that exists and that you may write to.",
    )


def write_if_named(text: str, path: str | Path | None) -> str:
    """Return the text, after writing it to ``path`` if there is one.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    if path is not None:
        write_text(Path(path), text)
    return text
