"""Does an engine that returns anything at all cost more than its own row?

Each engine here is wrong in one way. All run together with an honest one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from toy_engine import write_toy_model

from lexer_core import EngineChoice, LexerContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

ENGINE = '''
import collections.abc
import os
import pickle
import time

import attrs
import numpy as np

from lexer_core.benchmark import case_session
from lexer_core.errors import LexerError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import (
    EngineInfo, EngineOption, ExportedModel, Placement, SessionPhases, TensorSpec, Timings
)
from lexer_core.worker import framing


def leave_a_trace(*_):
    with open(os.environ["TRACE"], "a") as file:
        file.write(f"{os.getpid()}\\n")


class Array(np.ndarray):
    def __reduce__(self):
        return leave_a_trace, ()
    def __reduce_ex__(self, protocol):
        return leave_a_trace, ()
    def __array_finalize__(self, other):
        leave_a_trace()
    def __array_ufunc__(self, *args, **kwargs):
        leave_a_trace()


class Text(str):
    def __reduce_ex__(self, protocol):
        return leave_a_trace, ()
    def __str__(self):
        return 42


class Liar(collections.abc.Mapping):
    """A mapping whose items, keys, values and length have nothing to do with each other."""
    def __init__(self, outputs):
        self.outputs = outputs
        self.times = 0
    def __len__(self):
        return 10**6
    def __iter__(self):
        return iter(["a", "b"])
    def __getitem__(self, name):
        return "text"
    def items(self):
        self.times += 1
        return [("y", self.outputs if self.times == 1 else "text")]
    def __reduce_ex__(self, protocol):
        return leave_a_trace, ()


class Problem(Exception):
    def __reduce_ex__(self, protocol):
        return leave_a_trace, ()


class Mute(Problem):
    def __str__(self):
        raise RuntimeError("no message")
    __repr__ = __str__



class Broken(UnsupportedError):
    def __init__(self):
        pass
    def __reduce_ex__(self, protocol):
        return leave_a_trace, ()
    @property
    def message(self):
        raise RuntimeError("no message")
    hint = b"bytes"


class Number:
    def __float__(self):
        raise RuntimeError("not a number")
    __int__ = __index__ = __float__
    def __array__(self, *_, **__):
        raise RuntimeError("not an array")


PICKLE = pickle.dumps(Problem())


def raised(error):
    raise error


OUTPUTS = {
    "structured": lambda y: np.zeros(2, [("a", "f4"), ("b", "i4")]),
    "strings": lambda y: np.array(["a", "b"]),
    "void": lambda y: np.zeros(2, "V8"),
    "objects": lambda y: np.array([None, Number], object),
    "an endless array": lambda y: np.broadcast_to(y.ravel()[:1], (2**42,)),
    "another shape": lambda y: y[:1],
    "an array subclass": lambda y: y.view(Array),
    "a masked array": lambda y: np.ma.masked_array(y, mask=True),
    "raises mute": lambda y: raised(Mute()),
    "raises broken": lambda y: raised(Broken()),
    "raises huge": lambda y: raised(Problem("x" * 20_000_000)),
    "raises escapes": lambda y: raised(Problem("\\x1b[2J\\ud800 and \\0")),
    "raises a group": lambda y: raised(BaseExceptionGroup("all", [Mute(), SystemExit(3)])),
    "raises an interrupt": lambda y: raised(KeyboardInterrupt()),
    "raises an exit": lambda y: raised(SystemExit(Number())),
    "raises a forged error": lambda y: raised(LexerError(Text("text of a subclass"))),
}
ALL_OUTPUTS = {
    "a lying mapping": lambda y: Liar(y),
    "a number as name": lambda y: {1: y},
    "half a surrogate as name": lambda y: {"\\ud800": y},
}
SECONDS = {
    "times of 1e300": lambda s: np.full_like(s, 1e300),
    "times of 1e-300": lambda s: np.full_like(s, 1e-300),
    "times of NaN": lambda s: np.full_like(s, np.nan),
    "times in nanoseconds": lambda s: s * 1e9,
    "times as integers": lambda s: (s * 1e9).astype(np.int64),
    "times as a list": lambda s: s.tolist(),
    "times as objects": lambda s: s.astype(object),
    "times of an array subclass": lambda s: s.view(Array),
    "times as a matrix": lambda s: s.reshape(-1, 1),
}
PHASES = {
    "compile time as text": SessionPhases(compile_seconds="fast"),
    "compile time of NaN": SessionPhases(compile_seconds=float("nan")),
    "compile time as an array": SessionPhases(compile_seconds=np.ones(3)),
    "compile time of an object": SessionPhases(compile_seconds=Number()),
    "compile time below zero": SessionPhases(compile_seconds=-1.0),
    "compile time of a day": SessionPhases(compile_seconds=86400.0),
    "a warm cache as an array": SessionPhases(cache_warm=np.ones(3)),
}
PLACEMENTS = {
    "a share as an array": Placement(share=np.ones(2), method="nodes"),
    "a method as an array": Placement(share=1.0, method=np.ones(2)),
    "a method that cannot be hashed": Placement(share=1.0, method=[]),
    "fallbacks of objects": Placement(share=1.0, method="nodes", fallbacks=(Number(),)),
    "text of a subclass": Placement(share=1.0, method="nodes", fallbacks=(Text("a"),)),
}
CAVEATS = {"a caveat as an array": np.ones(3), "an endless caveat": "x" * 2_000_000}


def returning(method, **fields):
    """Replace a method of Lexer's own, so that its result has other fields."""
    original = getattr(case_session.CaseSession, method)

    def replaced(self, *args, **kwargs):
        return attrs.evolve(original(self, *args, **kwargs), **fields)

    return lambda: setattr(case_session.CaseSession, method, replaced)


def returning_samples(change):
    original = case_session.CaseSession.block

    def replaced(self, *args, **kwargs):
        block = original(self, *args, **kwargs)
        return attrs.evolve(block, samples=change(block.samples))

    return lambda: setattr(case_session.CaseSession, "block", replaced)


def writing(data):
    """Write to every connection of the worker."""
    for descriptor in range(50, 2000):
        try:
            os.write(descriptor, data)
        except OSError:
            pass


ATTACKS = {
    "samples of 1e300": returning_samples(lambda s: s * 0 + 1e300),
    "samples of 1e-300": returning_samples(lambda s: s * 0 + 1e-300),
    "samples of NaN": returning_samples(lambda s: s * np.nan),
    "samples in nanoseconds": returning_samples(lambda s: s * 1e9),
    "too many samples": returning_samples(lambda s: np.append(s, s)),
    "samples as text": returning_samples(lambda s: "fast"),
    "other loops": returning("block", loops=10**9),
    "an elapsed time of 1e300": returning("block", elapsed=1e300),
    "a load time of NaN": returning("place", load_seconds=float("nan")),
    "a forged compile time": returning("place", phases=SessionPhases(compile_seconds=1e300)),
    "a first call of a day": returning("first_call", seconds=86400.0),
    "no outputs": returning("first_call", outputs={}),
    "negative threads": returning("finish", threads={"a": -1}),
    "a share of two": returning("finish", placement=Placement(share=2.0, method="nodes")),
    "a completion of NaN": returning("check_completion", sampled=float("nan")),
    "no calls": returning("check_completion", calls=0),
    "bytes on the connection": lambda: writing(b"not a frame" * 20),
    "a pickle on the connection": lambda: writing(
        framing._HEADER.pack(framing._MAGIC, framing.RESULT, 2, 0, len(PICKLE)) + PICKLE
    ),
    "a forged reply": lambda: writing(
        b"".join(framing.encode_plain(framing.RESULT, 2, {"load_seconds": "soon"}))
    ),
}


class Session:
    def __init__(self, fault):
        self.fault = fault
        self.phases = PHASES.get(fault)
        self.caveat = CAVEATS.get(fault, "")
        ATTACKS.get(fault, lambda: None)()

    def run(self, placed):
        end = time.perf_counter_ns() + 50_000
        while time.perf_counter_ns() < end:
            pass
        return placed

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Untrusted",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("FORMAT",),
        options=(EngineOption(name="fault", type=str, default="", help="How to be wrong."),),
    )


@hookimpl
def lexer_export_model(source, format):
    if format != "FORMAT":
        return None
    spec = TensorSpec(name=NAME, dtype="float32", shape=SHAPE)
    return ExportedModel(
        format="FORMAT",
        path=source.onnx_path,
        inputs=(spec,),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
        size_bytes=SIZE,
        exporter="given",
    )


@hookimpl
def lexer_create_session(exported, device, config):
    return Session(config.options.get("fault", ""))


@hookimpl
def lexer_place_inputs(session, inputs):
    return inputs.arrays["x"] * 1.0


@hookimpl
def lexer_fetch_outputs(session, outputs):
    y = outputs * 2
    if session.fault in ALL_OUTPUTS:
        return ALL_OUTPUTS[session.fault](y)
    return {"y": OUTPUTS.get(session.fault, lambda y: y)(y)}


@hookimpl
def lexer_time_calls(session, call, count, loops, device, clock):
    seconds = np.empty(count)
    for i in range(count):
        start = clock()
        for _ in range(loops):
            call.run()
        seconds[i] = (clock() - start) / 1e9 / loops
    return Timings(host=SECONDS.get(session.fault, lambda s: s)(seconds))


@hookimpl
def lexer_describe_placement(session):
    return PLACEMENTS.get(session.fault, Placement(share=1.0, method="nodes"))

SIZE, NAME, SHAPE = 9, "x", (2, 3)
'''

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)

HARMLESS = (
    "an array subclass",
    "a masked array",
    "a lying mapping",
    "times of an array subclass",
    "text of a subclass",
)
"""Converted to plain data in the worker."""

REFUSED = {
    # what lexer_fetch_outputs returned
    "structured": "lexer_fetch_outputs returned an array of type [('a', '<f4'), ('b', '<i4')]",
    "strings": "lexer_fetch_outputs returned an array of type <U1 for output 'y'",
    "void": "lexer_fetch_outputs returned an array of type |V8 for output 'y'",
    "objects": "lexer_fetch_outputs returned an array of objects for output 'y'",
    "an endless array": "Unable to allocate 16.0 TiB",
    "a number as name": "lexer_fetch_outputs named an output 1",
    "half a surrogate as name": r"lexer_fetch_outputs left out 'y' and added '\ud800'",
    # what it raised
    "raises mute": "lexer_fetch_outputs raised Mute: (str() of the Mute raised RuntimeError)",
    "raises broken": "(str() of the Broken raised RuntimeError)",
    "raises huge": "lexer_fetch_outputs raised Problem: xxx",
    "raises escapes": "lexer_fetch_outputs raised Problem: ",
    "raises a group": "lexer_fetch_outputs raised BaseExceptionGroup: all (2 sub-exceptions)",
    "raises an interrupt": "'first_call' raised KeyboardInterrupt",
    "raises an exit": "lexer_fetch_outputs raised SystemExit: ",
    "raises a forged error": "text of a subclass",
    # what lexer_time_calls returned
    "times of 1e300": "lexer_time_calls returned host times that no call can take: "
    "sample 0 is 1e+300 s",
    "times of 1e-300": "lexer_time_calls returned host times that no call can take: "
    "sample 0 is 1e-300 s",
    "times of NaN": "not positive and finite: sample 0 is nan s",
    "times in nanoseconds": " s in total for calls that took ",
    "times as integers": "lexer_time_calls returned an array of int64 as host times",
    "times as a list": "lexer_time_calls returned a value of type list as host times",
    "times as objects": "lexer_time_calls returned an array of object as host times",
    "times as a matrix": "lexer_time_calls returned host times of shape (5, 1) for 5 samples",
    # what the session says
    "compile time as text": "a session with compile_seconds 'fast'",
    "compile time of NaN": "a session with compile_seconds nan",
    "compile time as an array": "a session with compile_seconds array([1., 1., 1.])",
    "compile time of an object": "a session with compile_seconds <",
    "compile time below zero": "a session with compile_seconds -1.0",
    "compile time of a day": "a session with compile_seconds 8.64e+04; creating it and placing",
    "a warm cache as an array": "a session with cache_warm array([1., 1., 1.])",
    "a caveat as an array": "a session whose caveat is a value of type ndarray",
    "an endless caveat": "returned 2000000 characters as a session's caveat",
    # what lexer_describe_placement returned
    "a share as an array": "lexer_describe_placement returned a share of array([1., 1.])",
    "a method as an array": "lexer_describe_placement returned the method array([1., 1.])",
    "a method that cannot be hashed": "lexer_describe_placement returned the method []",
    "fallbacks of objects": "returned a value of type Number as one of the fallbacks",
    # what Lexer's own code returned after the engine had replaced it
    "samples of 1e300": "returned samples from 1e+300 to 1e+300 s; from 1e-10 s to ",
    "samples of 1e-300": "returned samples from 1e-300 to 1e-300 s; from 1e-10 s to ",
    "samples of NaN": "returned samples from nan to nan s; from 1e-10 s to ",
    "samples in nanoseconds": " s; from 1e-10 s to ",
    "too many samples": "returned samples of shape [10] instead of [5]",
    "samples as text": "samples: expected an array of float64, got 'fast'",
    "other loops": "returned samples of 1000000000 calls instead of 1",
    "an elapsed time of 1e300": "returned an elapsed time of 1e+300 s; from 0 to ",
    "a load time of NaN": "returned a load time of nan s; from 0 to ",
    "a forged compile time": "returned a compile time of 1e+300 s; from 0 to ",
    "a first call of a day": "returned a time of the first call of 8.64e+04 s; from 0 to ",
    "no outputs": "returned outputs named nothing instead of 'y'",
    "negative threads": "returned -1 threads of 'a'; from 0 to ",
    "a share of two": "returned a share of 2 on the device; from 0 to 1 is possible",
    "a completion of NaN": "returned 'sampled' of nan s; from 0 to ",
    "no calls": "returned times of 0 calls instead of 10",
    "bytes on the connection": "sent an invalid message in 'load': a message begins with b'not a",
    "a pickle on the connection": r"sent an invalid message in 'load': PlainDataError: b'\x80'",
    "a forged reply": "load_seconds: expected a number, got 'soon'",
}
"""Each fault, and the reason that its row states."""

EXPORTS = {
    "size-text": "SIZE = 'big'",
    "size-nan": "SIZE = float('nan')",
    "size-array": "SIZE = np.ones(2)",
    "size-huge": "SIZE = 2**62",
    "shape-array": "SHAPE = np.ones(2)",
    "shape-nan": "SHAPE = (float('nan'),)",
    "name-array": "NAME = np.ones(2)",
}


def trace_of(folder: Path) -> set[int]:
    """Return the IDs of the processes that ran an engine's code where only data may be."""
    trace = folder / "trace"
    return set(map(int, trace.read_text().split())) if trace.exists() else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    for name, lie in {"untrusted": "", **EXPORTS}.items():
        site.add_engine(name, ENGINE.replace("FORMAT", "onnx") + lie + "\n")
    with site.on_path(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACE", str(site.folder / "trace"))
        yield site


def benchmark(site: FakeSite, *engines: EngineChoice | str) -> BenchmarkReport:
    return LexerContext().benchmark(
        write_toy_model(site.folder),
        INPUT,
        engines=list(engines),
        num_iterations=20,
        warm_up_seconds=0.05,
        canary=False,
    )


@pytest.fixture(scope="module")
def crowd(site: FakeSite) -> BenchmarkReport:
    """One run of all of them, an honest one in their midst."""
    faults = [*HARMLESS, *REFUSED, "another shape"]
    choices = [EngineChoice("untrusted", {"fault": fault}, label=fault) for fault in faults]
    return benchmark(site, *choices[:30], EngineChoice("untrusted", label="honest"), *choices[30:])


def test_an_honest_engine_keeps_its_row(crowd: BenchmarkReport) -> None:
    row = crowd["honest"]

    assert row.error is None
    assert (row.status, row.num_samples) == ("ok", 20)
    assert 0.05 <= row.p50_ms < 1000


@pytest.mark.parametrize("fault", REFUSED)
def test_a_wrong_answer_costs_its_own_row_which_says_why(
    crowd: BenchmarkReport, fault: str
) -> None:
    row = crowd[fault]

    assert row.status in ("failed", "unsupported")
    assert REFUSED[fault] in row.error.reason
    assert row.rank is None


@pytest.mark.parametrize("fault", HARMLESS)
def test_numbers_in_an_unusual_object_are_taken_as_numbers(
    crowd: BenchmarkReport, fault: str
) -> None:
    assert crowd[fault].error is None
    assert crowd[fault].num_samples >= 20


def test_outputs_of_another_shape_are_wrong(crowd: BenchmarkReport) -> None:
    assert crowd["another shape"].parity.status == "fail"
    assert "shape [1, 3] instead of [2, 3]" in crowd["another shape"].parity.reason


def test_a_report_with_such_rows_can_be_shown_and_read(
    crowd: BenchmarkReport, tmp_path: Path
) -> None:
    text = crowd.to_text(verbose=True)

    assert "\x1b[2J" not in text
    assert len(text) < 100_000
    written = tmp_path / "report.json"
    crowd.to_json(written)
    loaded = type(crowd).from_json(written.read_bytes())
    assert [row.label for row in loaded] == [row.label for row in crowd]
    assert "honest" in crowd.to_markdown()


@pytest.mark.extras
def test_a_page_of_such_rows_can_be_written(crowd: BenchmarkReport) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")

    assert "honest" in crowd.to_html()


def test_no_code_of_an_engine_runs_in_the_parent(site: FakeSite, crowd: BenchmarkReport) -> None:
    assert trace_of(site.folder), "subclasses of arrays did run code in workers"
    assert os.getpid() not in trace_of(site.folder)


def test_an_export_that_is_described_wrongly_is_that_exporters_own_problem(
    site: FakeSite,
) -> None:
    report = benchmark(site, *EXPORTS, "untrusted")

    assert [row.error for row in report] == [None] * (len(EXPORTS) + 1)
    assert {row.model_bytes for row in report} == {9}
