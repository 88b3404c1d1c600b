"""How does the user's code come to a machine?

A folder is packed as a zip and a wheel is one, so a machine unpacks either and imports
from there. The same files give the same bytes, so that a machine keeps what it has.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PackedCode", "pack_code", "unpack_code"]

_LARGEST = 256 * 2**20
_LEFT_OUT = {"__pycache__", "node_modules"}
_SUFFIXES_LEFT_OUT = {".pyc", ".lexer"}
_HIDDEN_BUT_SENT = ".lexer_config.toml"
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644


@frozen(kw_only=True, eq=False)
class PackedCode:
    """A zip of the user's code, and its SHA-256 digest."""

    content: bytes
    digest: str


def pack_code(code: Path) -> PackedCode:
    """Pack a folder, or read a wheel.

    Hidden files and folders, virtual environments, caches and ``.lexer`` files are left
    out.

    Raises
    ------
    UsageError
        It cannot be read, is neither a folder nor a wheel, or is too large.
    """
    try:
        if code.is_dir():
            content = _zip_of(code)
        elif zipfile.is_zipfile(code):
            _check_size(code.stat().st_size, code)
            content = code.read_bytes()
        else:
            raise UsageError(
                f"the code {str(code)!r} is neither a folder nor a wheel.",
                hint="Name the folder that the targets are in, or a .whl file.",
            )
    except OSError as error:
        raise UsageError(
            f"cannot read the code {str(error.filename or code)!r}: {error.strerror or error}."
        ) from error
    return PackedCode(content=content, digest=hashlib.sha256(content).hexdigest())


def unpack_code(content: bytes, folder: Path) -> None:
    """Unpack a zip to a new folder, completely or not at all.

    Raises
    ------
    OSError
        It cannot be written.
    """
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(unfinished)  # removes ".." and drives from names
        unfinished.replace(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not folder.is_dir():  # else another worker of this machine was faster
            raise


def _zip_of(folder: Path) -> bytes:
    files = sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix())
    _check_size(sum(path.stat().st_size for path in files), folder, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            entry.external_attr = _MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if _is_sent(Path(parent, name))]
        for name in names:
            path = Path(parent, name)
            is_sent = not name.startswith(".") or name == _HIDDEN_BUT_SENT
            if is_sent and path.suffix not in _SUFFIXES_LEFT_OUT and path.is_file():
                yield path


def _is_sent(folder: Path) -> bool:
    return not (
        folder.name.startswith(".")
        or folder.name in _LEFT_OUT
        or folder.suffix == ".parts"
        or (folder / "pyvenv.cfg").exists()
    )


def _check_size(size: int, code: Path, files: list[Path] | None = None) -> None:
    if size <= _LARGEST:
        return
    largest = sorted(files or (), key=lambda path: path.stat().st_size, reverse=True)[:3]
    shown = ", ".join(
        f"{path.relative_to(code)} ({bytes_text(path.stat().st_size)})" for path in largest
    )
    raise UsageError(
        f"the code {str(code)!r} has {bytes_text(size)}; at most {bytes_text(_LARGEST)} are sent.",
        hint=(f"The largest files: {shown}.\n" if shown else "")
        + "Name a smaller folder, or put large files on the machines.",
    )
