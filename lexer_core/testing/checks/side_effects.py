"""What else does an engine change: the process, the files, the streams?"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.testing.checks.resources import thousand_calls
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.testing.process_state import known_state, process_state
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.records import ExportedModel
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Side effects")

_CALLS = 3
_MOST_NAMED = 5
_HOME = ("HOME", "USERPROFILE")
_PARTS_OF_HOME = (
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    *("APPDATA", "LOCALAPPDATA"),
)
"""Variables that name folders which are in the home folder by default."""


@SUITE.check("full", "An export is left as it is, for the engines that load it next.")
def exports_are_not_written_to(fixture: EngineFixture) -> None:
    """Compare the files of an export before, during and after a session."""
    exported = fixture.new_model("one_input")
    before = _contents(exported)
    with fixture.session(exported=exported) as opened:
        opened.answer(opened.case.trials()[0])
        opened.engine.describe_placement(opened.session)
        during = _contents(exported)
    for after in (during, _contents(exported)):
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        if changed:
            raise CheckFailed(
                f"a session changes the files of the export: {', '.join(changed)}.",
                "Other engines load the same export. Write to config.cache_dir, or to a temporary "
                "folder that close() removes.",
            )


@SUITE.check("full", "A session leaves no files in the user's folder.")
def current_folder_is_left_alone(fixture: EngineFixture) -> None:
    """Open a session in an empty folder."""
    with contextlib.chdir(fixture.new_folder()):
        folder = Path.cwd()
        with fixture.session() as opened:
            opened.answer(opened.case.trials()[0])
            opened.engine.describe_placement(opened.session)
        left = sorted(path.name for path in folder.iterdir())
    if left:
        raise CheckFailed(
            f"a session writes to the current folder: {', '.join(left)}.",
            "Write to config.cache_dir, or to a temporary folder that close() removes.",
        )


@SUITE.check("full", "A session leaves no files in the user's home folder.")
def home_folder_is_left_alone(fixture: EngineFixture) -> None:
    """Open a session with an empty home folder."""
    home = fixture.new_folder()
    with _variables(dict.fromkeys(_HOME, str(home)) | dict.fromkeys(_PARTS_OF_HOME)):
        with fixture.session() as opened:
            opened.answer(opened.case.trials()[0])
            opened.engine.describe_placement(opened.session)
        left = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    if left:
        raise CheckFailed(
            f"a session writes to the home folder: {', '.join(left[:_MOST_NAMED])}.",
            "Write to config.cache_dir, or to a temporary folder that close() removes.",
        )


@SUITE.check("full", "Outside a process of its own, a session leaves the process as it was.")
def process_is_left_alone(fixture: EngineFixture) -> None:
    """Compare the state of the process before and after a session that is not isolated."""
    config = fixture.config(isolated=False)
    with fixture.session(config=config) as opened:  # what importing the runtime changes
        opened.answer(opened.case.trials()[0])
    with known_state(fixture.original_state, fixture.new_folder()):
        before = process_state()
        with fixture.session(config=config) as opened:
            call = opened.call(opened.case.trials()[0])
            for _ in range(_CALLS):
                opened.fetch(opened.run(call))
            opened.engine.describe_placement(opened.session)
        after = process_state()
    changed = [what for what, value in before.items() if after[what] != value]
    # Also since the first session: it may have replaced them once and for all.
    changed += fixture.replaced_functions()
    if changed:
        raise CheckFailed(
            f"a session changes {' and '.join(changed)}.",
            "With config.isolated=False, the session shares the user's process: change nothing "
            "in it, or restore it in close().",
        )


@SUITE.check("full", "A call prints nothing: thousands of calls must not flood a terminal.")
def calls_print_nothing(fixture: EngineFixture) -> None:
    """Capture what more than 1000 calls write to standard output and standard error."""
    printed = thousand_calls(fixture).printed
    if printed:
        raise CheckFailed(
            f"calls print {printed.splitlines()[0][:80]!r}.",
            "Print at most when a session is created.",
        )


@contextlib.contextmanager
def _variables(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or remove them, for as long as the context lasts."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _contents(exported: ExportedModel) -> dict[str, object]:
    """Return digest, mode and time of each file in an export's folder; empty for a live model."""
    if exported.path is None:
        return {}
    folder = exported.path.parent
    contents: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            contents[str(path.relative_to(folder))] = (digest, stat.st_mode, stat.st_mtime_ns)
    return contents
