"""What can a worker send that does more than fail its own call?

Nothing: whatever arrives is plain data of the declared type that can be true, or an error
of Lexer's. The tests send anything, in place of a worker.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import socket
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from textwrap import dedent
from unittest import mock

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from test_reply_types import HOSTED, methods_of, sent
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.benchmark import model_host, plausible, run
from lexer_core.benchmark.case_records import Block
from lexer_core.benchmark.case_session import CaseSession
from lexer_core.errors import LexerError, WorkerError
from lexer_core.machine.system_counters import SystemCounters
from lexer_core.validated_data import InvalidDataError
from lexer_core.worker import framing
from lexer_core.worker.connection import Connection
from lexer_core.worker.executor import LocalExecutor
from lexer_core.worker.log import WorkerLog
from lexer_core.worker.pickled_structure import PickledStructure
from lexer_core.worker.plain_data import PlainDataError, decode, encode
from lexer_core.worker.reply_types import read_reply

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)
LEAVES = (type(None), bool, int, float, str, bytes, Path, np.ndarray, PickledStructure)
NUMBERS = [0, 1, -1, 2**63 - 1, -(2**63), 1e300, 1e-300, -1.0, 0.0]
NUMBERS += [float("nan"), float("inf"), -float("inf")]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.sampled_from(NUMBERS)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.just(Path("/nowhere"))
    | st_numpy.arrays(st.sampled_from(["f8", "f4", "i8", "?"]), st.sampled_from([(), (0,), (3,)]))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


class LeavesATrace:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def is_plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple | frozenset):
        return all(map(is_plain, value))
    return type(value) in LEAVES or type(value) is type(Path())


# -- bytes -------------------------------------------------------------------------


@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=2))
@example(b"l" + (2**60).to_bytes(8, "little"), [])
@example(b"a\7float64\1" + (2**62).to_bytes(8, "little") + b"b" + bytes(8), [])
@example(pickle.dumps(LeavesATrace(Path("trace"))), [])
def test_bytes_are_plain_data_or_refused(data, buffers):
    try:
        value = decode(bytearray(data), [bytearray(each) for each in buffers])
    except PlainDataError:
        return
    assert is_plain(value)


@given(values, st.data())
def test_damaged_data_is_plain_data_or_refused(value, choose):
    data, buffers = encode(value)
    at = choose.draw(st.integers(0, len(data) - 1))
    data[at] = choose.draw(st.integers(0, 255))
    try:
        assert is_plain(decode(data, [bytearray(each) for each in buffers]))
    except PlainDataError:
        return


@given(values)
def test_plain_data_arrives_as_it_was_sent(value):
    data, buffers = encode(value)
    again, _ = encode(decode(bytearray(data), [bytearray(each) for each in buffers]))

    assert again == data  # NaN is not equal to itself


# -- frames ------------------------------------------------------------------------


class Handle:
    """The process of a worker that only the test plays."""

    pid = 0
    exit_fd = None
    exited = False
    exit_code = 0
    ended_because = ""
    over_limit = False
    oom_kills_before = None

    def paused(self):
        return nullcontext()

    def wait(self, seconds):
        return True

    def kill(self, reason="", *, over_limit=False):
        self.ended_because = self.ended_because or reason


def answer(content, hosted=None, method="run"):
    """Return what a call returns if the worker sends these bytes and closes the connection."""
    parent, worker = socket.socketpair()
    with parent, worker, contextlib.closing(WorkerLog()) as log:
        connection = Connection(label="toy", handle=Handle(), sock=parent, log=log, hosted=hosted)
        worker.sendall(content)
        worker.shutdown(socket.SHUT_WR)
        return connection.call(method, (), {}, 5.0)


def joined(parts):
    return b"".join(bytes(part) for part in parts)


frames = st.builds(
    lambda kind, number, value: joined(framing.encode_plain(kind, number, value)),
    st.integers(0, 7),
    st.integers(0, 3),
    values | st.tuples(st.sampled_from(["started", "ready", "peak", "note", "importing"]), values),
)


@settings(deadline=None)
@given(st.lists(frames | st.binary(max_size=60), max_size=4).map(b"".join))
@example(framing._HEADER.pack(framing._MAGIC, framing.RESULT, 1, 2**31, 2**60))
@example(framing._HEADER.pack(framing._MAGIC, framing.RESULT, 1, 1, 1) + b"\xff" * 8)
def test_whatever_is_sent_is_a_value_or_an_error_of_lexer(content):
    with contextlib.suppress(LexerError):
        assert is_plain(answer(content))


@settings(deadline=None)
@given(values | st.dictionaries(st.sampled_from(["type_name", "message", "fields"]), values))
def test_a_forged_exception_is_an_error_of_lexer(value):
    with pytest.raises(LexerError):
        answer(joined(framing.encode_plain(framing.ERROR, 1, value)))


def test_a_reply_that_is_a_pickle_is_not_read(tmp_path):
    trace = tmp_path / "trace"
    data = pickle.dumps(LeavesATrace(trace))
    head = framing._HEADER.pack(framing._MAGIC, framing.RESULT, 1, 0, len(data))

    with pytest.raises(WorkerError, match="sent an invalid message in 'run'"):
        answer(head + data)
    assert not trace.exists()
    pickle.loads(data)
    assert trace.exists(), "it would have left a trace"


@pytest.mark.parametrize("kind", [framing.HELLO, framing.CALL])
def test_a_worker_cannot_send_what_only_a_parent_sends(tmp_path, kind):
    trace = tmp_path / "trace"

    with pytest.raises(WorkerError, match="a message is of unknown kind"):
        answer(joined(framing.encode_pickle(kind, 1, LeavesATrace(trace))))
    assert not trace.exists()


# -- replies -----------------------------------------------------------------------


@given(values, st.data())
def test_a_reply_is_of_the_declared_type_or_refused(value, choose):
    hosted = choose.draw(st.sampled_from(HOSTED))
    method = choose.draw(st.sampled_from(methods_of(hosted)))
    with contextlib.suppress(InvalidDataError):
        read_reply(hosted, method, sent(value))


def paths_in(value, path=()):
    """Return the path of each value within plain data, and of the whole."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        yield from paths_in(item, (*path, key))


def replaced(value, path, new):
    """Return plain data in which the value at a path is another one."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: replaced(value[key], rest, new)}
    items = list(value)
    items[key] = replaced(items[key], rest, new)
    return items


@attrs.frozen
class Change:
    """What arrives differently: one value of a reply, in one call of a method."""

    method: str
    place: float
    new: object
    skip: int = 0

    def apply(self, reply):
        plain = sent(reply)
        paths = list(paths_in(plain))
        return replaced(plain, paths[int(self.place * len(paths))], self.new)


class Door(LocalExecutor):
    """Hosts an object here; its replies arrive as those of a worker, one of them changed."""

    def __init__(self, hosted, change):
        super().__init__(hosted)
        self._change = change
        self._calls = itertools.count()

    def call(self, method, *args, timeout, **kwargs):
        reply = super().call(method, *args, timeout=timeout, **kwargs)
        plain = sent(reply)
        if self._change.method == method and next(self._calls) == self._change.skip:
            plain = sent(self._change.apply(reply))
        try:
            return read_reply(type(self._hosted), method, plain)
        except InvalidDataError as error:
            raise WorkerError(str(error)) from error


def changes(methods):
    return st.builds(
        Change,
        st.sampled_from(methods),
        st.floats(0, 1, exclude_max=True),
        scalars | values,
        st.sampled_from([0, 0, 0, 1, 5]),
    )


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE.replace("200_000", "20_000"))
    with site.on_path():
        yield site


@contextlib.contextmanager
def changed_workers(change, label):
    """Host everything here, and change a reply of the worker with this label."""

    def start(factory, *, hosted, label, **_):
        module, _, name = factory.partition(":")
        return Door(getattr(sys.modules[module], name)(), change if label == wanted else NO_CHANGE)

    wanted = label
    with (
        mock.patch.object(run, "start_worker", start),
        mock.patch.object(model_host, "start_worker", start),
    ):
        yield


NO_CHANGE = Change("", 0.0, None)
FOR_MODULE = settings(max_examples=40)


def benchmark(toys):
    return LexerContext().benchmark(
        write_toy_model(toys.folder),
        INPUT,
        engines=[EngineChoice("toy", label="honest"), EngineChoice("toy", label="other")],
        num_iterations=6,
        warm_up_seconds=0.0,
        canary=False,
        show_progress=False,
    )


@FOR_MODULE
@given(change=changes([name for name in methods_of(CaseSession) if name != "close"]))
@example(change=Change("block", 0.2, np.full(5, 1e300)))
@example(change=Change("first_call", 0.2, float("nan")))
def test_a_worker_that_returns_anything_costs_its_own_row(toys, change):
    with changed_workers(change, "other"):
        report = benchmark(toys)

    assert report["honest"].error is None
    assert report["honest"].num_samples == 6
    row = report["other"]
    assert row.status == "ok" or row.error.reason
    if row.num_samples:
        assert np.isfinite(row.samples).all()
        assert (row.samples > 0).all()
    assert "honest" in report.to_text(verbose=True)
    assert type(report).from_json(report.to_json())["honest"].num_samples == 6


@FOR_MODULE
@given(change=changes(["export", "identity"]))
def test_a_model_process_that_returns_anything_costs_rows_or_is_an_error_of_lexer(toys, change):
    with changed_workers(change, "the model"), contextlib.suppress(LexerError):
        assert benchmark(toys).to_text(verbose=True)


# -- what can be true --------------------------------------------------------------


def block_of(samples, device=None):
    counters = SystemCounters()
    return Block(
        samples=np.asarray(samples),
        device_samples=None if device is None else np.asarray(device),
        loops=10,
        elapsed=1.0,
        before=counters,
        after=counters,
    )


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        ([0.05, 0.05], ""),
        ([0.05, 0.0501], ""),
        ([1e-10, 0.1], ""),
        ([0.051, 0.051], "samples of 1.02 s in total; at most 1.01 s is possible"),
        ([1e-11, 0.05], "samples from 1e-11 to 0.05 s; from 1e-10 s to 1.01 s is possible"),
        ([-1.0, 0.05], "samples from -1 to 0.05 s"),
        ([0.05, float("nan")], "samples from nan to nan s"),
        ([0.05, float("inf")], "samples from 0.05 to inf s"),
        ([0.05], "samples of shape [1] instead of [2]"),
        ([[0.05], [0.05]], "samples of shape [2, 1] instead of [2]"),
    ],
)
def test_samples_take_no_longer_than_the_parent_waited(samples, problem):
    problem_of = partial(plausible.block_problem, waited=1.0, count=2, loops=10)

    assert problem_of(block_of(samples)).startswith(problem)
    of_device = problem_of(block_of([0.05, 0.05], device=samples))
    assert of_device.startswith(f"device {problem}" if problem else "")
    assert bool(of_device) == bool(problem)


def test_no_pickle_is_read_in_the_parent(toys, tmp_path):
    """Python reports whenever a pickle looks up what to call."""
    code = f"""
        import sys
        import numpy as np
        found = []
        sys.addaudithook(lambda event, args: event == "pickle.find_class" and found.append(args))
        from lexer_core import EngineChoice, LexerContext
        report = LexerContext().benchmark(
            {str(write_toy_model(tmp_path))!r},
            np.ones((2, 3), np.float32),
            engines=["toy", EngineChoice("toy", {{"fault": "raise_in_call"}}, label="faulty")],
            num_iterations=20,
        )
        print([row.status for row in report], found)
    """
    ran = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env=toys.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stdout == "['ok', 'failed'] []\n", ran.stderr
