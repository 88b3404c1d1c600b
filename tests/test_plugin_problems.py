"""Does every problem of a plugin cause the message that docs/plugin-problems.md lists?"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from fake_engines import FakeSite

from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.errors import BrokenEngineError, EngineUnavailableError, HookError
from lexer_core.export.exports import Exports
from lexer_core.records import (
    CPU,
    Call,
    CallInputs,
    CallStructure,
    Device,
    ExportedModel,
    ModelSource,
    SessionConfig,
    Timings,
)

PAGE = Path(__file__).parents[1] / "docs" / "plugin-problems.md"

HEAD = """
from lexer_core.hookspecs import hookimpl
from lexer_core.records import *

class Session:
    def run(self, placed): return placed
    def close(self): pass
"""
INFO = """
@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="E", runtime_modules=(), runtime_distributions=(), formats=("echo",)
    )
"""
CREATE = """
@hookimpl
def lexer_create_session(exported, device, config):
    return Session()
"""


def info(**fields: str) -> str:
    facts = {
        "display_name": "'E'",
        "runtime_modules": "()",
        "runtime_distributions": "()",
        "formats": "('echo',)",
        **fields,
    }
    arguments = ", ".join(f"{name}={value}" for name, value in facts.items())
    return f"@hookimpl\ndef lexer_engine_info():\n    return EngineInfo({arguments})\n"


def option(**facts: str) -> str:
    values = {"name": "'o'", "type": "str", "default": "None", "help": "''", **facts}
    arguments = ", ".join(f"{name}={value}" for name, value in values.items())
    return info(options=f"(EngineOption({arguments}),)")


def sound(more: str) -> str:
    return "\n".join([HEAD, INFO, CREATE, dedent(more)])


def creating(code: str) -> str:
    return "\n".join([HEAD, INFO, dedent(code)])


def describing(code: str) -> str:
    return "\n".join([HEAD, dedent(code), CREATE])


SOUND = sound("")

LISTED: dict[str, dict[str, str]] = {
    "does not name a module": {"source": SOUND, "value": "a b"},
    "is not a module, but a": {"source": SOUND, "value": "MODULE:Session"},
    "ModuleNotFoundError: No module named": {"source": "import a_runtime_that_is_not_there"},
    "SystemExit": {"source": "raise SystemExit(1)"},
    "written for contract": {"source": SOUND, "group": "lexer.engines.v9"},
    "needs a newer lexer-core: it implements": {
        "source": sound("@hookimpl\ndef lexer_teleport_weights(session): return 1")
    },
    "is not installed": {
        "source": describing(
            info(runtime_modules="('absent_runtime',)", runtime_distributions="('absent',)")
        )
    },
    "there is no compiler here": {
        "source": describing(
            info(unavailable_because="'there is no compiler here'", remedy="'install one'")
        )
    },
    "is not decorated with @hookimpl": {"source": sound("def lexer_list_devices(): return [CPU]")},
    "the required hook lexer_create_session is missing": {"source": HEAD + INFO},
    "did you mean": {"source": sound("@hookimpl\ndef lexer_list_device(): return [CPU]")},
    "is implemented twice": {
        "source": sound(
            """
            @hookimpl
            def lexer_list_devices(): return [CPU]
            @hookimpl(specname="lexer_list_devices")
            def again(): return [CPU]
            """
        )
    },
    "as keyword-only, but arguments are positional": {
        "source": sound("@hookimpl\ndef lexer_synchronize(*, session): pass")
    },
    "a default, which pluggy would always use": {
        "source": sound("@hookimpl\ndef lexer_synchronize(session=None): pass")
    },
    "which the hook does not have": {
        "source": sound("@hookimpl\ndef lexer_synchronize(stream): pass")
    },
    "which pluggy leaves empty; name the arguments": {
        "source": sound("@hookimpl\ndef lexer_synchronize(*args): pass")
    },
    "is async, but hooks are not awaited": {
        "source": sound("@hookimpl\nasync def lexer_synchronize(session): pass")
    },
    "is a generator (it contains yield)": {
        "source": sound("@hookimpl\ndef lexer_list_devices():\n    yield CPU")
    },
    "is a wrapper, but there is nothing for it to wrap": {
        "source": sound("@hookimpl(wrapper=True)\ndef lexer_list_devices():\n    return (yield)")
    },
    "lexer_engine_info raised": {
        "source": describing("@hookimpl\ndef lexer_engine_info(): return 1 / 0")
    },
    "lexer_engine_info returned None (is a return statement missing?)": {
        "source": describing("@hookimpl\ndef lexer_engine_info(): pass")
    },
    "not EngineInfo": {"source": describing("@hookimpl\ndef lexer_engine_info(): return 'E'")},
    "formats is empty, so the engine cannot load a model": {
        "source": describing(info(formats="()"))
    },
    "runtime_distributions is empty, but runtime_modules is not": {
        "source": describing(info(runtime_modules="('numpy',)"))
    },
    "which is not the name of a module": {
        "source": describing(
            info(runtime_modules="('num-py',)", runtime_distributions="('numpy',)")
        )
    },
    "names; at most 64 are allowed": {
        "source": describing(
            info(formats="tuple('abcdefgh' + c + d for c in 'abcdefghij' for d in 'abcdefghij')")
        )
    },
    "has an invalid name": {"source": describing(option(name="'a b'"))},
    "unavailable_because is set, but remedy is empty": {
        "source": describing(info(unavailable_because="'there is no compiler'"))
    },
    "which is not a choice": {"source": describing(option(default="'x'", choices="('y',)"))},
}
"""What makes each reason that a listing can give, by a part of the reason."""


def create(engine):
    engine.create_session(exported(), CPU, SessionConfig(threads=1))


def devices(engine):
    engine.list_devices()


class Alone:
    """A registry in which this engine is the only one."""

    def __init__(self, engine):
        self.engine = engine

    def get(self, name):
        return self.engine

    def ready_names(self):
        return (self.engine.name,)

    def listings(self):
        return ()


def export(engine, folder):
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"nobody reads it")
    source = ModelSource(
        onnx_path=folder / "model.onnx",
        inputs=CallInputs(arrays={}, structure=CallStructure()),
        input_names=(),
        output_names=(),
        model_name="m",
    )
    exports = Exports(source, registry=Alone(engine), directory=folder, use_cache=False)
    exports.for_engine("sample", "cpu", {})


def time_calls(engine):
    import time

    session = engine.create_session(exported(), CPU, SessionConfig(threads=1))
    engine.time_calls(session, Call(run=lambda: None, reset=None), 3, 1, CPU, time.perf_counter_ns)


def loading(engine):
    session = engine.create_session(exported(), CPU, SessionConfig(threads=1))
    engine.phases(session, elapsed=1.0)


def timed_block(engine):
    engine.check_elapsed(Timings(host=np.full(3, 1e9)), 1, elapsed=1.0)


def fetch(engine):
    session = engine.create_session(exported(), CPU, SessionConfig(threads=1))
    engine.fetch_outputs(session, {"y": np.zeros(1)}, expected=("y",))


def place(engine):
    session = engine.create_session(exported(), CPU, SessionConfig(threads=1))
    engine.describe_placement(session)


def synchronize(engine):
    session = engine.create_session(exported(), CPU, SessionConfig(threads=1))
    engine.synchronize(session, Device(kind="cuda"))


def exported() -> ExportedModel:
    return ExportedModel(
        format="echo", model=object(), inputs=(), outputs=(), size_bytes=0, exporter="test"
    )


def exporting(result: str) -> str:
    hook = f"@hookimpl\ndef lexer_export_model(source, format, workdir):\n    return {result}"
    return sound(hook).replace("echo", "onnx")


def model(**facts: str) -> str:
    values = {"format": "'echo'", "inputs": "()", "outputs": "()", "size_bytes": "0", **facts}
    arguments = ", ".join(f"{name}={value}" for name, value in values.items())
    return f"ExportedModel(exporter='e', {arguments})"


def timing(result: str) -> str:
    return sound(f"import numpy as np\n@hookimpl\ndef lexer_time_calls():\n    return {result}")


RAISED = {
    "lexer_create_session raised": (
        creating("@hookimpl\ndef lexer_create_session(): raise KeyError('weights')"),
        create,
    ),
    "lexer_create_session returned nothing": (
        creating("@hookimpl\ndef lexer_create_session(): Session()"),
        create,
    ),
    "which has no close()": (
        creating(
            """
            class Half:
                def run(self, placed): return placed
            @hookimpl
            def lexer_create_session(): return Half()
            """
        ),
        create,
    ),
    "lexer_list_devices returned": (
        sound("@hookimpl\ndef lexer_list_devices(): return 'cpu'"),
        devices,
    ),
    "twice": (sound("@hookimpl\ndef lexer_list_devices(): return [CPU, CPU]"), devices),
    "was asked for format": (exporting(model(format="'other'", model="1")), export),
    "with neither or both of path and model": (exporting(model()), export),
    "returned a path that does not exist": (exporting(model(path="workdir / 'm'")), export),
    "returned a size_bytes of": (
        exporting(model(path="__import__('pathlib').Path(__file__)", size_bytes="2**62")),
        export,
    ),
    "outside its workdir": (
        exporting(model(path="__import__('pathlib').Path(__file__)")),
        export,
    ),
    "lexer_time_calls returned": (timing("[1.0, 1.0, 1.0]"), time_calls),
    "host times of shape": (timing("Timings(host=np.ones(2))"), time_calls),
    "times that are not positive and finite": (timing("Timings(host=np.zeros(3))"), time_calls),
    "in total for calls that took": (SOUND, timed_block),
    "returned a session with compile_seconds": (
        sound("Session.phases = SessionPhases(compile_seconds=60.0)"),
        loading,
    ),
    "lexer_fetch_outputs returned": (
        sound("@hookimpl\ndef lexer_fetch_outputs(): return [1]"),
        fetch,
    ),
    "left out": (sound("@hookimpl\ndef lexer_fetch_outputs(): return {}"), fetch),
    "returned a share of": (
        sound(
            "@hookimpl\ndef lexer_describe_placement():\n"
            "    return Placement(share=97.0, method='nodes')"
        ),
        place,
    ),
    "lexer_synchronize is missing": (SOUND, synchronize),
}
"""For each error of a hook the plugin that causes it, and what is asked of the engine."""

TWICE = ("both provide an engine of this name; neither is used",)
AGAIN = ("provides an engine of this name more than once",)


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.mark.parametrize("words", LISTED)
def test_a_listing_says_what_is_wrong(words, site):
    fault = dict(LISTED[words])
    value = fault.pop("value", "")
    if value.startswith("MODULE"):
        module = site.add_module("engine_of_another_kind", fault["source"]).stem
        value = value.replace("MODULE", module)
    site.add_engine("sample", **fault, value=value)

    found = EngineRegistry(in_process=True).listing("sample")

    assert words in found.reason
    assert found.state is not EngineState.READY
    assert found.remedy
    assert found.distribution == "lexer-sample 1.0"
    refused = (BrokenEngineError, EngineUnavailableError)
    with pytest.raises(refused, match=re.escape(words)) as info:
        EngineRegistry(in_process=True).get("sample")
    assert info.value.engine == "sample"


def test_two_distributions_of_one_name(site):
    site.add_engine("sample", SOUND)
    site.add_engine("sample", SOUND, distribution="lexer-sample-too")

    assert TWICE[0] in EngineRegistry(in_process=True).listing("sample").reason


def test_one_distribution_that_names_an_engine_twice(site):
    module = site.add_module("an_engine", SOUND).stem
    site.add_distribution(
        "lexer-sample", entry_points=f"[lexer.engines]\nsample = {module}\nsample = {module}\n"
    )

    assert AGAIN[0] in EngineRegistry(in_process=True).listing("sample").reason


@pytest.mark.parametrize("words", RAISED)
def test_an_error_names_engine_and_hook(words, site, tmp_path):
    source, ask = RAISED[words]
    site.add_engine("sample", source)
    engine = EngineRegistry(in_process=True).get("sample")
    arguments = (engine, tmp_path / "work") if ask is export else (engine,)

    with pytest.raises(HookError, match=re.escape(words)) as info:
        ask(*arguments)

    assert info.value.engine == "sample"
    assert info.value.hook.startswith("lexer_")
    assert info.value.hook in str(info.value)


def test_the_page_lists_these_and_no_others():
    listed = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted([*LISTED, *RAISED, *TWICE, *AGAIN])
