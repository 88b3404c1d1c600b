"""How does the facade handle what an engine's hooks return and raise?"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import count as counter
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from fake_engines import MINIMAL_ENGINE, NUMPY_ENGINE, FakeSite

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import (
    DeviceUnavailableError,
    ExportError,
    HookError,
    UnsupportedError,
)
from lexer_core.records import (
    CPU,
    UNKNOWN_PLACEMENT,
    Call,
    CallInputs,
    CallStructure,
    DeployedModel,
    Device,
    DeviceUsage,
    ExportedModel,
    ModelSource,
    SessionConfig,
    TensorRef,
    TensorSpec,
)

CUDA = Device(kind="cuda")


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.fixture
def build(site):
    """Install a minimal engine with these further functions, and return it."""

    def build(*functions, **replaced):
        source = MINIMAL_ENGINE
        for old, new in replaced.values():
            assert old in source
            source = source.replace(old, new)
        site.add_engine("sample", "\n".join([source, *map(dedent, functions)]))
        return EngineRegistry().get("sample")

    return build


@pytest.fixture
def affine(site, tmp_path):
    """The numpy engine, an exported model of it, and its inputs."""
    site.add_engine("affine", NUMPY_ENGINE)
    path = tmp_path / "model.npz"
    np.savez(path, weight=np.full((3, 2), 2.0), bias=np.ones(2))
    exported = ExportedModel(
        format="affine",
        path=path,
        inputs=(TensorSpec(name="x", dtype="float64", shape=(1, 3)),),
        outputs=(TensorSpec(name="y", dtype="float64", shape=(1, 2)),),
        size_bytes=path.stat().st_size,
        exporter="numpy",
    )
    return EngineRegistry().get("affine"), exported


def session_of(engine):
    return engine.create_session(echo_model(), CPU, SessionConfig(threads=1))


def echo_model():
    return ExportedModel(
        format="echo", model=object(), inputs=(), outputs=(), size_bytes=0, exporter="none"
    )


def inputs_of(**arrays):
    structure = CallStructure(kwargs={name: TensorRef(name) for name in arrays})
    return CallInputs(arrays=arrays, structure=structure)


def source_of(**fields):
    return ModelSource(
        **{"module": object(), "inputs": inputs_of(), "input_names": (), "output_names": ()}
        | fields
    )


class VirtualClock:
    """A clock that advances by what the work says, and counts its reads."""

    def __init__(self):
        self.now = 0
        self.reads = 0

    def __call__(self):
        self.reads += 1
        return self.now


# -- the whole way -----------------------------------------------------------------


def test_an_engine_runs_a_model_from_load_to_outputs(affine):
    engine, exported = affine

    device = engine.find_device("cpu")
    session = engine.create_session(exported, device, SessionConfig(threads=1))
    placed = engine.place_inputs(session, inputs_of(x=np.ones((1, 3))), device)
    call = engine.make_call(session, placed)
    with engine.call_context(session):
        outputs = call.run()
    engine.synchronize(session, device)
    arrays = engine.fetch_outputs(session, outputs, expected=["y"])
    timings = engine.time_calls(session, call, 5, 2, device, counter(0, 1000).__next__)

    np.testing.assert_array_equal(arrays["y"], [[7.0, 7.0]])
    np.testing.assert_allclose(timings.host, np.full(5, 500e-9))
    assert engine.describe_placement(session).share == 1.0
    assert call.reset is None
    assert not engine.keeps_state
    session.close()
    session.close()


def test_a_plugin_with_only_the_required_hooks_gets_the_defaults(build):
    engine = build()
    session = session_of(engine)
    x = np.arange(3.0)

    placed = engine.place_inputs(session, inputs_of(x=x), CPU)

    assert engine.list_devices() == (CPU,)
    assert placed["x"] is x
    assert engine.fetch_outputs(session, engine.make_call(session, placed).run())["x"] is x
    assert engine.describe_placement(session) is UNKNOWN_PLACEMENT
    assert engine.export_model(source_of(), "onnx", CPU, None, {}) is None
    assert isinstance(engine.call_context(session), nullcontext)


# -- devices -----------------------------------------------------------------------

GPUS = """
@hookimpl
def lexer_list_devices():
    from lexer_core.records import Device
    return [Device(kind="cpu"), Device(kind="cuda", index=1, identifier="one"),
            Device(kind="cuda", index=3), Device(kind="npu")]
"""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("cpu", "cpu"),
        ("CPU", "cpu"),
        ("cpu:0", "cpu"),
        ("cuda", "cuda:1"),
        ("cuda:3", "cuda:3"),
        ("gpu", "cuda:1"),
        ("gpu:3", "cuda:3"),
        ("npu", "npu:0"),
    ],
)
def test_a_device_is_found_by_its_name(asked, found, build):
    assert build(GPUS).find_device(asked).name == found


def test_a_device_keeps_the_engines_own_identifier(build):
    assert build(GPUS).find_device("cuda:1").identifier == "one"


@pytest.mark.parametrize("asked", ["cuda:0", "mps", "cpu:1", "cuda:x", "cuda:", ""])
def test_an_unavailable_device_is_an_error_that_lists_the_available_ones(asked, build):
    with pytest.raises(DeviceUnavailableError) as error:
        build(GPUS).find_device(asked)

    assert repr(asked) in error.value.message
    assert error.value.hint == "Available devices: cpu, cuda:1, cuda:3, npu:0."
    assert error.value.engine == "sample"


def test_an_engine_without_a_device_says_so(build):
    engine = build("@hookimpl\ndef lexer_list_devices(): return []")

    with pytest.raises(DeviceUnavailableError, match="No device is available to it"):
        engine.find_device("cpu")


# -- what hooks return -------------------------------------------------------------


def ask_devices(engine):
    return engine.list_devices()


def ask_export(engine):
    return engine.export_model(source_of(), "onnx", CPU, None, {})


def ask_conversion(engine):
    source = ExportedModel(
        format="onnx", model=1, inputs=(), outputs=(), size_bytes=1, exporter="e"
    )
    return engine.convert_model(source, "float16", Path.cwd() / "no folder")


def ask_session(engine):
    return session_of(engine)


def ask_placed(engine):
    return engine.place_inputs(session_of(engine), inputs_of(x=np.ones(1)), CPU)


def ask_timings(engine):
    session = session_of(engine)
    clock = counter(0, 10).__next__
    return engine.time_calls(session, Call(lambda: None), 3, 1, CPU, clock)


def ask_outputs(engine):
    return engine.fetch_outputs(session_of(engine), {"y": np.ones(1)}, expected=["y"])


def ask_placement(engine):
    return engine.describe_placement(session_of(engine))


def ask_profile(engine):
    return engine.profile_calls(session_of(engine), Call(lambda: None), 3)


def ask_script(engine):
    return engine.run_script(DEPLOYED)


DEPLOYED = DeployedModel(
    format="echo", file="model/net.echo", inputs=(), outputs=(), device=CPU, threads=1
)

ASK = {
    "lexer_list_devices": ask_devices,
    "lexer_export_model": ask_export,
    "lexer_convert_model": ask_conversion,
    "lexer_create_session": ask_session,
    "lexer_place_inputs": ask_placed,
    "lexer_time_calls": ask_timings,
    "lexer_fetch_outputs": ask_outputs,
    "lexer_describe_placement": ask_placement,
    "lexer_profile_calls": ask_profile,
    "lexer_run_script": ask_script,
    "lexer_synchronize": lambda engine: engine.synchronize(session_of(engine), CPU),
}

EXPORTED = """
from lexer_core.records import ExportedModel
def exported(**fields):
    return ExportedModel(**{"format": "onnx", "model": 1, "inputs": (), "outputs": (),
                            "size_bytes": 1, "exporter": "e", **fields})
"""
OPERATION = """
from lexer_core.records import ProfiledOperation
def operation(**fields):
    right = {"name": "k", "operator": "Conv", "seconds": 1e-9, "calls": 3}
    return ProfiledOperation(**{**right, **fields})
"""
TIMINGS = "import numpy as np\nfrom lexer_core.records import Timings\n"
DEVICE = "from lexer_core.records import Device\n"

SPEC = "from lexer_core.records import TensorSpec\n"

WRONG = {
    "conversion: another type": ("lexer_convert_model", "", "return 1", "of type int"),
    "conversion: another format": (
        "lexer_convert_model",
        EXPORTED,
        "return exported(format='torch')",
        "was asked for format 'onnx' and returned 'torch'",
    ),
    "conversion: an input more": (
        "lexer_convert_model",
        EXPORTED + SPEC,
        "return exported(inputs=(TensorSpec(name='x', dtype='float16', shape=(1,)),))",
        "returned a model with other inputs: x: float16[1] instead of none",
    ),
    "conversion: another output": (
        "lexer_convert_model",
        EXPORTED + SPEC,
        "return exported(outputs=(TensorSpec(name='y', dtype='float32', shape=(1,)),))",
        "other outputs",
    ),
    "conversion: somewhere else": (
        "lexer_convert_model",
        EXPORTED + "import pathlib\n",
        "return exported(model=None, path=pathlib.Path(__file__))",
        "outside its workdir",
    ),
    "script: nothing": ("lexer_run_script", "", "pass", "returned nothing"),
    "script: bytes": ("lexer_run_script", "", "return b'x = 1'", "of type bytes"),
    "script: no Python": (
        "lexer_run_script",
        "",
        "return 'import'",
        "returned a script that is not valid Python",
    ),
    "script: NUL": ("lexer_run_script", "", "return 'x = 1' + chr(0)", "not valid Python"),
    "devices: nothing": ("lexer_list_devices", "", "pass", "returned nothing"),
    "devices: text": ("lexer_list_devices", "", "return 'cpu'", "of type str"),
    "devices: no Device": (
        "lexer_list_devices",
        "",
        "return ['cpu']",
        "returned a list with a value of type str",
    ),
    "devices: twice": (
        "lexer_list_devices",
        DEVICE,
        "return [Device(kind='npu')] * 2",
        "listed device npu:0 twice",
    ),
    "devices: wrong kind": (
        "lexer_list_devices",
        DEVICE,
        "return [Device(kind=None)]",
        "listed a device of kind None and index 0",
    ),
    "export: another type": (
        "lexer_export_model",
        "",
        "return 'model.onnx'",
        "returned a value of type str",
    ),
    "export: another format": (
        "lexer_export_model",
        EXPORTED,
        "return exported(format='torch')",
        "was asked for format 'onnx' and returned 'torch'",
    ),
    "export: nothing in it": (
        "lexer_export_model",
        EXPORTED,
        "return exported(model=None)",
        "neither or both of path and model",
    ),
    "export: no such file": (
        "lexer_export_model",
        EXPORTED + "from pathlib import Path",
        "return exported(model=None, path=Path('/no/such/file'))",
        "a path that does not exist: /no/such/file",
    ),
    "place: nothing": (
        "lexer_place_inputs",
        "",
        "return None",
        "lexer_place_inputs returned nothing",
    ),
    "time: nothing": ("lexer_time_calls", "", "pass", "returned nothing"),
    "time: a list": ("lexer_time_calls", "", "return [1.0]", "of type list"),
    "time: list in it": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=[1.0, 1.0, 1.0])",
        "returned a value of type list as host times",
    ),
    "time: float32": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.ones(3, np.float32))",
        "an array of float32 as host times",
    ),
    "time: too few": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.ones(2))",
        "host times of shape (2,) for 3 samples",
    ),
    "time: negative": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.array([1.0, -1.0, 1.0]))",
        "not positive and finite: sample 1 is",
    ),
    "time: zero": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.zeros(3))",
        "sample 0 is",
    ),
    "time: not a number": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.array([1.0, 1.0, np.nan]))",
        "sample 2 is",
    ),
    "time: device times": (
        "lexer_time_calls",
        TIMINGS,
        "return Timings(host=np.ones(3), device=np.ones((3, 1)))",
        "device times of shape (3, 1)",
    ),
    "fetch: nothing": ("lexer_fetch_outputs", "", "pass", "returned nothing"),
    "fetch: a list": ("lexer_fetch_outputs", "", "return [1]", "of type list"),
    "fetch: a list in it": (
        "lexer_fetch_outputs",
        "",
        "return {'y': [1.0]}",
        "returned a value of type list for output 'y'",
    ),
    "fetch: objects": (
        "lexer_fetch_outputs",
        "import numpy as np",
        "return {'y': np.array([None])}",
        "returned an array of objects for output 'y'",
    ),
    "fetch: no name": (
        "lexer_fetch_outputs",
        "import numpy as np",
        "return {0: np.ones(1)}",
        "named an output 0",
    ),
    "fetch: other names": (
        "lexer_fetch_outputs",
        "import numpy as np",
        "return {'z': np.ones(1)}",
        "left out 'y' and added 'z'",
    ),
    "placement: another type": (
        "lexer_describe_placement",
        "",
        "return 1.0",
        "returned a value of type float",
    ),
    "profile: another type": ("lexer_profile_calls", "", "return 1", "of type int"),
    "profile: other items": (
        "lexer_profile_calls",
        "",
        "return ['Conv']",
        "a value of type str among the operations",
    ),
    "profile: negative": (
        "lexer_profile_calls",
        OPERATION,
        "return [operation(seconds=-1.0)]",
        "an operation of -1.0 s",
    ),
    "profile: nan": (
        "lexer_profile_calls",
        OPERATION,
        "return [operation(seconds=float('nan'))]",
        "an operation of nan s",
    ),
    "profile: no calls": (
        "lexer_profile_calls",
        OPERATION,
        "return [operation(calls=0)]",
        "an operation with 0 calls",
    ),
    "profile: one name": (
        "lexer_profile_calls",
        OPERATION,
        "return [operation(nodes='conv')]",
        "a value of type str as nodes of an operation",
    ),
    "profile: more time than there was": (
        "lexer_profile_calls",
        OPERATION,
        "return [operation(seconds=1e6)]",
        "operations of 1e+06 s in total for calls that took",
    ),
    "placement: share": (
        "lexer_describe_placement",
        "from lexer_core.records import Placement",
        "return Placement(share=98.0, method='nodes')",
        "returned a share of 98.0",
    ),
}


@pytest.mark.parametrize(("hook", "preamble", "body", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_names_engine_and_hook(hook, preamble, body, reason, build):
    engine = build(preamble, f"@hookimpl\ndef {hook}():\n    {body}\n")

    with pytest.raises(HookError) as error:
        ASK[hook](engine)

    assert (error.value.engine, error.value.hook) == ("sample", hook)
    assert error.value.message.startswith(f"engine 'sample': {hook} ")
    assert reason in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        ("None", "returned nothing"),
        ("object()", "returned a value of type object, which has no run()"),
        ("type('S', (), {'run': print})()", "which has no close()"),
        ("type('S', (), {'run': 1, 'close': print})()", "which has no run()"),
        (
            "type('S', (), {'run': print, 'close': print, 'phases': 1.5})()",
            "a session whose phases is a value of type float",
        ),
        (
            "type('S', (), {'run': print, 'close': print, 'call_context': 1})()",
            "a session whose call_context is not callable",
        ),
    ],
)
def test_an_invalid_session_is_rejected(session, reason, build):
    engine = build(create=("return EchoSession()", f"return {session}"))

    with pytest.raises(HookError) as error:
        session_of(engine)

    assert error.value.hook == "lexer_create_session"
    assert reason in error.value.message


def test_a_session_need_not_have_an_array_call(build):
    engine = build()
    session = session_of(engine)
    assert engine.array_call(session, CallStructure()) is None

    session.array_call = lambda structure: None

    assert engine.array_call(session, CallStructure()) is None


def test_an_array_call_that_is_not_callable_is_rejected(build):
    engine = build()
    session = session_of(engine)
    session.array_call = lambda structure: 7

    with pytest.raises(HookError, match="array_call returned a value of type int"):
        engine.array_call(session, CallStructure())


def test_a_session_that_keeps_state_has_no_array_call(build):
    engine = build("@hookimpl\ndef lexer_reset_state(): pass")
    session = session_of(engine)
    session.array_call = lambda structure: print

    assert engine.array_call(session, CallStructure()) is None


def session_with(engine, **attributes):
    session = session_of(engine)
    for name, value in attributes.items():
        setattr(session, name, value)
    return session


def test_a_session_may_say_how_it_uses_its_device(build):
    engine = build()
    usage = DeviceUsage(peak_memory_bytes=5, notes=("TF32 is on",))

    silent, telling = (
        session_of(engine),
        session_with(engine, uses_tf32=True, device_usage=lambda: usage, computed_precision="f"),
    )

    assert (engine.computed_precision(silent), engine.computed_precision(telling)) == ("", "f")
    assert (engine.uses_tf32(silent), engine.device_usage(silent)) == (False, DeviceUsage())
    assert (engine.uses_tf32(telling), engine.device_usage(telling)) == (True, usage)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"uses_tf32": 1}, "uses_tf32 is a value of type int"),
        ({"device_usage": lambda: 5}, "device_usage() returns a value of type int"),
        (
            {"device_usage": lambda: DeviceUsage(peak_memory_bytes=-1)},
            "peak_memory_bytes -1",
        ),
        ({"device_usage": lambda: DeviceUsage(notes="on")}, "notes"),
        ({"computed_precision": None}, "computed_precision is nothing"),
    ],
)
def test_a_wrong_word_about_the_device_is_rejected(build, attributes, reason):
    engine = build()
    session = session_with(engine, **attributes)

    (name,) = attributes
    ask = getattr(engine, name)
    with pytest.raises(HookError) as error:
        ask(session)

    assert reason in error.value.message


def test_the_error_of_a_default_says_that_the_hook_is_not_implemented(build):
    engine = build()

    with pytest.raises(HookError) as error:
        engine.fetch_outputs(session_of(engine), [np.ones(1)])

    assert "lexer_fetch_outputs (the default) returned a value of type list" in str(error.value)
    assert "The plugin does not implement lexer_fetch_outputs" in error.value.hint


def test_outputs_are_returned_in_the_expected_order(build):
    engine = build()
    outputs = {"b": np.ones(1), "a": np.zeros(1)}

    assert list(engine.fetch_outputs(session_of(engine), outputs, expected=["a", "b"])) == [
        "a",
        "b",
    ]


def test_an_engine_may_say_that_it_does_not_know_its_placement(build):
    engine = build("@hookimpl\ndef lexer_describe_placement(): return None")

    assert engine.describe_placement(session_of(engine)) is UNKNOWN_PLACEMENT


# -- what hooks raise --------------------------------------------------------------


@pytest.mark.parametrize(("hook", "ask"), ASK.items(), ids=ASK)
def test_an_exception_names_engine_and_hook_and_is_raised_from_its_cause(hook, ask, build):
    engine = build(f"@hookimpl\ndef {hook}(): raise TypeError('no such\\nlayer 7')")

    with pytest.raises(HookError) as error:
        ask(engine)

    assert error.value.message == f"engine 'sample': {hook} raised TypeError: no such"
    assert error.value.hint == "layer 7"
    assert (error.value.engine, error.value.hook) == ("sample", hook)
    assert isinstance(error.value.__cause__, TypeError)


def test_a_hook_that_exits_does_not_end_the_process(build):
    engine = build(create=("return EchoSession()", "raise SystemExit(4)"))

    with pytest.raises(HookError, match="lexer_create_session raised SystemExit: 4"):
        session_of(engine)


def test_an_interrupt_passes_through_a_hook(build):
    engine = build("@hookimpl\ndef lexer_list_devices(): raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        engine.list_devices()


@pytest.mark.parametrize("error", [UnsupportedError, DeviceUnavailableError, HookError])
def test_a_lexer_error_passes_through_with_its_engine_filled_in(error, build):
    name = error.__name__
    engine = build(
        f"from lexer_core.errors import {name}",
        f"@hookimpl\ndef lexer_place_inputs(): raise {name}('no int8', hint='use float32')",
    )

    with pytest.raises(error) as raised:
        ask_placed(engine)

    assert type(raised.value) is error
    assert (raised.value.message, raised.value.hint) == ("no int8", "use float32")
    assert raised.value.engine == "sample"


def test_an_export_error_passes_through(build):
    engine = build(
        "from lexer_core.errors import ExportError",
        "@hookimpl\ndef lexer_export_model(): raise ExportError('layer 7 is not exportable')",
    )

    with pytest.raises(ExportError, match="layer 7 is not exportable"):
        ask_export(engine)


def test_an_engines_error_about_another_engine_keeps_its_name(build):
    engine = build(
        "from lexer_core.errors import UnsupportedError",
        "@hookimpl\ndef lexer_place_inputs(): raise UnsupportedError('x', engine='other')",
    )

    with pytest.raises(UnsupportedError) as raised:
        ask_placed(engine)

    assert raised.value.engine == "other"


def test_a_none_from_the_plugin_does_not_fall_through_to_the_default(build):
    engine = build("@hookimpl\ndef lexer_list_devices(): return None")

    with pytest.raises(HookError, match="lexer_list_devices returned nothing"):
        engine.list_devices()


# -- context -----------------------------------------------------------------------

WITH_CONTEXT = """
from contextlib import contextmanager

class ContextSession(EchoSession):
    entered = 0

    @contextmanager
    def call_context(self):
        self.entered += 1
        yield
        self.entered -= 1
"""


def test_a_sessions_own_context_is_entered_around_a_series_of_calls(build):
    engine = build(WITH_CONTEXT, create=("return EchoSession()", "return ContextSession()"))
    session = session_of(engine)

    with engine.call_context(session):
        assert session.entered == 1
    assert session.entered == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [("return 7", "returned a value of type int"), ("raise OSError('gone')", "OSError: gone")],
)
def test_an_invalid_context_is_rejected(body, reason, build):
    engine = build(
        f"class ContextSession(EchoSession):\n    def call_context(self):\n        {body}",
        create=("return EchoSession()", "return ContextSession()"),
    )

    with pytest.raises(HookError) as error:
        engine.call_context(session_of(engine))

    assert reason in error.value.message


# -- timing ------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [1, 4])
def test_exactly_count_times_loops_calls_are_made_and_timed(loops, build):
    engine = build()
    clock = VirtualClock()
    durations = iter(range(1, 1 + 3 * loops))

    def run():
        clock.now += next(durations) * 1_000_000

    timings = engine.time_calls(session_of(engine), Call(run), 3, loops, CPU, clock)

    milliseconds = np.arange(1.0, 1 + 3 * loops).reshape(3, loops).mean(axis=1)
    np.testing.assert_allclose(timings.host, milliseconds / 1e3, rtol=1e-12)
    assert timings.host.dtype == np.float64
    assert timings.device is None
    assert next(durations, None) is None
    assert clock.reads == 2 * 3


RECORDING = """
events = []

@hookimpl
def lexer_synchronize(session):
    events.append("synchronize")
    if session.clock is not None:
        session.clock.now += 100
"""

STATEFUL = """
@hookimpl
def lexer_reset_state(placed, session):
    events.append(("reset", placed))
"""


def events_of(engine):
    return engine._implementations["lexer_synchronize"].function.__globals__["events"]


@pytest.mark.parametrize("loops", [1, 3])
def test_an_engine_is_synchronized_on_both_sides_of_every_sample(loops, build):
    engine = build(RECORDING)
    session = session_of(engine)
    session.clock = VirtualClock()
    events = events_of(engine)

    def run():
        events.append("run")
        session.clock.now += 1000

    timings = engine.time_calls(session, Call(run), 2, loops, CUDA, session.clock)

    assert events == 2 * ["synchronize", *loops * ["run"], "synchronize"]
    # What completes the work belongs to the sample; what precedes it does not.
    np.testing.assert_allclose(timings.host, 2 * [(loops * 1000 + 100) * 1e-9 / loops])


@pytest.mark.parametrize("synchronized", [True, False])
def test_state_is_reset_before_each_call_untimed(synchronized, build):
    recording = RECORDING if synchronized else "events = []"
    engine = build(recording, STATEFUL)
    session = session_of(engine)
    session.clock = clock = VirtualClock()
    events = engine._implementations["lexer_reset_state"].function.__globals__["events"]
    call = engine.make_call(session, "placed")

    def run():
        events.append("run")
        clock.now += 1000

    timings = engine.time_calls(session, Call(run, call.reset), 2, 1, CPU, clock)

    around = ["synchronize"] if synchronized else []
    assert events == 2 * [("reset", "placed"), *around, "run", *around]
    np.testing.assert_allclose(timings.host, 2 * [1.1e-6 if synchronized else 1e-6])
    assert engine.keeps_state


def test_a_call_that_is_reset_is_never_looped(build):
    engine = build(RECORDING, STATEFUL)
    session = session_of(engine)

    with pytest.raises(ValueError, match="timed alone"):
        engine.time_calls(session, engine.make_call(session, {}), 2, 5, CPU, VirtualClock())


def test_inputs_that_calls_change_are_placed_again_before_each_call_untimed(build):
    engine = build(
        RECORDING,
        STATEFUL,
        """
@hookimpl
def lexer_place_inputs(session, inputs):
    events.append("place")
    return list(inputs.arrays)
""",
    )
    session = session_of(engine)
    session.clock = clock = VirtualClock()
    session.run = lambda placed: placed.append("changed") or placed
    inputs = CallInputs(arrays={"x": np.ones(2)}, structure=CallStructure())

    call = engine.make_renewing_call(session, inputs, CPU)
    engine.time_calls(session, call, 2, 1, CPU, clock)
    call.reset()

    assert call.run() == ["x", "changed"]
    around = ["synchronize", "synchronize"]
    assert events_of(engine)[:8] == 2 * ["place", ("reset", ["x", "changed"]), *around]


def test_a_session_may_relax_its_context_after_an_error(build):
    engine = build()
    session = session_of(engine)

    assert engine.relax_call_context(session, ValueError("x")) == ""
    session.relax_call_context = lambda error: f"because of {error}"
    assert engine.relax_call_context(session, ValueError("x")) == "because of x"


@pytest.mark.parametrize(("count", "loops"), [(0, 1), (1, 0), (-1, 1)])
def test_a_block_has_at_least_one_call(count, loops, build):
    engine = build()

    with pytest.raises(ValueError, match="at least 1"):
        engine.time_calls(session_of(engine), Call(print), count, loops, CPU, VirtualClock())


def test_a_device_without_synchronization_is_rejected(build):
    engine = build()
    session = session_of(engine)
    clock = VirtualClock()

    with pytest.raises(HookError) as timing:
        engine.time_calls(session, Call(print), 1, 1, CUDA, clock)
    with pytest.raises(HookError) as waiting:
        engine.synchronize(session, CUDA)

    for error in (timing, waiting):
        assert error.value.hook == "lexer_synchronize"
        assert error.value.engine == "sample"
        assert "cuda:0" in error.value.message
    assert clock.reads == 0


def test_an_engine_may_time_its_calls_itself(build):
    engine = build(
        "import numpy as np\nfrom lexer_core.records import Timings",
        """
        @hookimpl
        def lexer_time_calls(count, call):
            for _ in range(count):
                call.run()
            return Timings(host=np.full(count, 0.5), device=np.full(count, 0.25))
        """,
    )
    calls = []

    timings = engine.time_calls(
        session_of(engine), Call(lambda: calls.append(1)), 3, 1, CUDA, VirtualClock()
    )

    assert len(calls) == 3
    np.testing.assert_array_equal(timings.device, np.full(3, 0.25))


def test_a_call_that_raises_is_reported_with_its_engine(build):
    engine = build()

    def run():
        raise RuntimeError("out of memory")

    with pytest.raises(HookError, match="RuntimeError: out of memory"):
        engine.time_calls(session_of(engine), Call(run), 1, 1, CPU, VirtualClock())


def test_a_session_whose_run_is_an_attribute_adds_nothing_to_a_call(build):
    engine = build()
    session = session_of(engine)
    session.run = len

    call = engine.make_call(session, [1, 2])

    assert call.run() == 2
    assert call.run.func is len
