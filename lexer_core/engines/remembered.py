"""How did a plugin describe its engine the last time, and does that still hold?

Each answer is a JSON file in the folder ``engines`` of the cache, replaced by a rename,
so any number of processes can use the folder at once. Nothing here fails: without a
usable file, the plugin is asked again.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from contextlib import suppress
from functools import cache
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

from lexer_core import __version__
from lexer_core.cache_folder import default_directory_name
from lexer_core.engines.entry_points import top_level
from lexer_core.engines.find_module import module_spec
from lexer_core.engines.info_data import info_as_data, info_from_data
from lexer_core.engines.plugin_errors import PluginError
from lexer_core.engines.states import EngineState
from lexer_core.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.engines.entry_points import EngineEntryPoint
    from lexer_core.records import EngineInfo

__all__ = ["PluginAnswer", "RememberedFile", "forget", "recall", "remember", "remembered_files"]

_LARGEST_FILE = 1 << 22
_MOST_FILES = 500
"""Answers in the folder; of more, the oldest are removed."""

_UNSETTLED_SECONDS = 600.0
"""An engine that is not ready is asked again after this time at the latest."""

_MOST_STAMPS = 1000
_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "CC",
    "CXX",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
)
"""What often decides whether something that an engine needs is available."""


class PluginAnswer(NamedTuple):
    """A plugin's description of its engine, or why there is none.

    ``files`` are the files that were imported for it. An answer can be kept if the reason
    for it is in the plugin.
    """

    info: EngineInfo | None = None
    problem: PluginError | None = None
    files: tuple[str, ...] = ()
    can_be_kept: bool = True

    @property
    def is_settled(self) -> bool:
        """Whether the engine is ready, if its runtime is."""
        return self.info is not None and not self.info.unavailable_because


class RememberedFile(NamedTuple):
    """A file with a plugin's answer: its path, size in bytes, and time in seconds since 1970."""

    path: str
    size: int
    modified: float


def remembered_files() -> list[RememberedFile]:
    """Return the files of all answers, the oldest first; those of killed processes, too.

    Raises
    ------
    CacheError
        The folder cannot be read.
    """
    folder = _folder()
    files: list[RememberedFile] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".json", ".tmp")):
                    with suppress(FileNotFoundError):  # another process removed it
                        facts = entry.stat(follow_symlinks=False)
                        files.append(RememberedFile(entry.path, facts.st_size, facts.st_mtime))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unusable(folder, error) from error
    return sorted(files, key=lambda file: file.modified)


def forget(*, older_than: float | None = None) -> list[RememberedFile]:
    """Remove answers, so that the plugins are asked again; return those that were removed.

    Parameters
    ----------
    older_than
        Remove only answers that are older than this many seconds.

    Raises
    ------
    CacheError
        The folder cannot be read or written.
    """
    now = time.time()
    removed = [
        file
        for file in remembered_files()
        if older_than is None or now - file.modified > older_than
    ]
    for file in removed:
        try:
            with suppress(FileNotFoundError):
                os.unlink(file.path)  # noqa: PTH108
        except OSError as error:
            raise _unusable(_folder(), error) from error
    return removed


def _unusable(folder: str, error: OSError) -> CacheError:
    return CacheError(
        f"the descriptions of engines in {folder} cannot be used: {error.strerror or error}.",
        hint="Set LEXER_CACHE_DIR to a writable folder.",
    )


def recall(entry_point: EngineEntryPoint) -> PluginAnswer | None:
    """Return a plugin's last answer, or ``None`` if it must be asked again."""
    try:
        document = _read(_path(entry_point))
        if document["key"] != _key(entry_point) or document["core"] != _core_stamps():
            return None
        if document["origin"] != _origin(entry_point):
            return None
        files = [str(file) for file, *_ in document["stamps"]]
        if _stamps(files) != document["stamps"]:
            return None
        answer = _answer(document, files)
        if document["surroundings"][0] != _variables():
            return None
        if not answer.is_settled and not (
            document["surroundings"] == _surroundings()
            and abs(time.time() - document["asked_at"]) < _UNSETTLED_SECONDS
        ):
            return None
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError):
        return None  # missing, unreadable, or written by something else
    return answer


def remember(entry_point: EngineEntryPoint, answer: PluginAnswer, asked_at: float) -> None:
    """Keep a plugin's answer, if possible.

    Parameters
    ----------
    entry_point, answer
        The plugin and its answer.
    asked_at
        When it was asked, in seconds since 1970. An answer is not kept if a file was
        changed later.
    """
    files = answer.files
    if not answer.is_settled:
        files = tuple({*files, *_package_files(entry_point)})
    if len(files) > _MOST_STAMPS:
        return
    problem = answer.problem
    try:
        stamps = _stamps(files)
        if any(modified >= asked_at * 1e9 for _, _, modified, _ in stamps):
            return
        document = {
            "key": _key(entry_point),
            "core": _core_stamps(),
            "origin": _origin(entry_point),
            "stamps": stamps,
            "surroundings": _surroundings(),
            "asked_at": asked_at,
            "info": None if answer.info is None else info_as_data(answer.info),
            "problem": None
            if problem is None
            else [str(problem.state), problem.reason, problem.fix, problem.details],
        }
        _write(_path(entry_point), document)
    except (OSError, CacheError, RuntimeError, ValueError):
        # A folder that is read-only or full, or no home folder: it is asked again.
        return


def _answer(document: dict[str, Any], files: Iterable[str]) -> PluginAnswer:
    if document["info"] is not None:
        return PluginAnswer(info=info_from_data(document["info"]), files=tuple(files))
    state, reason, fix, details = (str(text) for text in document["problem"])
    problem = PluginError(reason, fix=fix, details=details, state=EngineState(state))
    return PluginAnswer(problem=problem, files=tuple(files))


# -- what an answer depends on -------------------------------------------------------


def _key(entry_point: EngineEntryPoint) -> list[object]:
    return [
        sys.version,
        sys.prefix,
        __version__,
        entry_point.name,
        entry_point.group,
        entry_point.value,
        [*entry_point.distribution],
        entry_point.location,
    ]


def _stamps(files: Iterable[str]) -> list[list[Any]]:
    """Return the size, time and identity of each file, or of the archive that contains it."""
    stamps: list[list[Any]] = []
    for file in files:
        facts = os.stat(_existing(file))  # noqa: PTH116 - a Path for each takes longer
        stamps.append([file, facts.st_size, facts.st_mtime_ns, facts.st_ino])
    return stamps


def _existing(file: str) -> str:
    while not os.path.exists(file) and os.path.dirname(file) != file:  # noqa: PTH110, PTH120
        file = os.path.dirname(file)  # noqa: PTH120
        if os.path.isdir(file):  # noqa: PTH112 - it was removed
            raise FileNotFoundError(file)
    return file


@cache
def _core_stamps() -> list[list[Any]]:
    """Return the stamps of the code that checks plugins, for those who change it."""
    folder = os.path.dirname(__file__)  # noqa: PTH120
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))  # noqa: PTH208
    return _stamps([*(f"{folder}/{name}" for name in names), f"{folder}/../records.py"])


def _origin(entry_point: EngineEntryPoint) -> str | None:
    """Return where the plugin's top-level module is found now."""
    spec = module_spec(top_level(entry_point.value))
    return None if spec is None else f"{spec.origin} {list(spec.submodule_search_locations or ())}"


def _package_files(entry_point: EngineEntryPoint) -> list[str]:
    """Return the files of the plugin's top-level package, which a failed import may not name."""
    spec = module_spec(top_level(entry_point.value))
    if spec is None:
        return []
    folders = list(spec.submodule_search_locations or ())
    if not folders:
        return [spec.origin] if spec.origin else []
    files: list[str] = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            files += (f"{place}/{name}" for name in names if name.endswith((".py", ".so", ".pyd")))
            if len(files) > _MOST_STAMPS:
                return files
    return files


def _surroundings() -> list[object]:
    """Return what changes when something is installed: folders of packages and programs."""
    programs = os.environ.get("PATH", "").split(os.pathsep)
    times: list[object] = []
    for folder in dict.fromkeys((*sys.path, *programs)):
        try:
            times.append([folder, os.stat(folder or ".").st_mtime_ns])  # noqa: PTH116
        except OSError:
            times.append([folder, None])
    return [_variables(), times]


def _variables() -> list[str | None]:
    return [os.environ.get(name) for name in _VARIABLES]


# -- files ---------------------------------------------------------------------------


def _path(entry_point: EngineEntryPoint) -> str:
    checksum = zlib.crc32(repr(_key(entry_point)).encode("utf-8", "surrogateescape"))
    return f"{_folder()}/{entry_point.name}-{checksum:08x}.json"


def _folder() -> str:
    return f"{default_directory_name()}/engines"


def _read(path: str) -> dict[str, Any]:
    import json  # on use: an environment without plugins does not need it

    # A pipe or a device would block; see installed.py.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not S_ISREG(facts.st_mode) or facts.st_size > _LARGEST_FILE:
            raise ValueError("not a remembered answer")
        document = json.loads(file.read(_LARGEST_FILE))
    if not isinstance(document, dict):
        raise ValueError("not a remembered answer")
    return document


def _write(path: str, document: dict[str, Any]) -> None:
    import json
    import secrets

    folder = os.path.dirname(path)  # noqa: PTH120
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    text = json.dumps(document)
    if len(text) > _LARGEST_FILE:
        return
    temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123
            file.write(text)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    _remove_oldest()


def _remove_oldest() -> None:
    files = remembered_files()
    if len(files) <= _MOST_FILES:
        return
    for old in files[: len(files) // 2]:
        with suppress(OSError):
            os.unlink(old.path)  # noqa: PTH108
