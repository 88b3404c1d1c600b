"""Do torch's engines measure on a CUDA device, and say how they compute there?"""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from torch_helpers import adapted_with_reference, exported, nn, torch

from lexer_core.context import LexerContext
from lexer_core.engines.choice import EngineChoice
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import EngineError, UnsupportedError
from lexer_core.machine.gpu_clocks import read_gpu_limits
from lexer_core.records import SessionConfig
from lexer_core.testing import EngineConformance
from lexer_core.validation import judge
from lexer_torch.compiler import find_compiler
from lexer_torch.declarations import TorchDeclarations

pytestmark = [pytest.mark.torch, pytest.mark.gpu]

needs_compiler = pytest.mark.skipif(find_compiler() != ("", ""), reason="there is no C++ compiler")


class Conv(nn.Module):
    """Convolutions whose outputs TF32 rounds visibly."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(64 * 12 * 12, 10)

    def forward(self, image):
        return self.head(self.layers(image))


IMAGE = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def engine():
    return EngineRegistry().get("torch")


@pytest.fixture(scope="module")
def gpu(engine):
    return engine.find_device("cuda:0")


@pytest.fixture
def context():
    return LexerContext(num_iterations=20, warm_up_seconds=0.1, threads=1)


@pytest.fixture
def open_session(engine, gpu, tmp_path):
    sessions = []

    def open_one(model, input, *, isolated=False, **options):
        adapted, reference = adapted_with_reference(model, input)
        config = SessionConfig(threads=1, isolated=isolated, options=options)
        session = engine.create_session(exported(engine, adapted, tmp_path), gpu, config)
        sessions.append(session)
        return session, adapted.inputs, reference

    yield open_one
    for session in sessions:
        session.close()


def run(engine, session, call, device):
    with engine.call_context(session):
        outputs = call.run()
        engine.synchronize(session, device)
        return engine.fetch_outputs(session, outputs)


def place(engine, session, inputs, device):
    with engine.call_context(session):
        return engine.make_call(session, engine.place_inputs(session, inputs, device))


# -- rows ----------------------------------------------------------------------


def test_a_row_on_a_gpu_says_where_it_ran_and_what_the_device_took(context):
    model = Conv()

    row = context.benchmark(model, IMAGE, engines=["torch"], device="cuda")["torch"]

    assert (row.status, row.isolation) == ("ok", "process"), row.error
    assert (row.device, row.device_name) == ("GPU", "cuda:0")
    assert (row.placement.share, row.placement.method) == (1.0, "nodes")
    assert 0 < row.device_p50_ms <= row.p50_ms
    weights = sum(each.numel() * 4 for each in model.parameters())
    assert weights + IMAGE.numel() * 4 < row.device_peak_memory_bytes < 100 * weights
    assert {"gpu_power_share", "gpu_heat_share"} <= set(row.diagnosis)
    assert row.parity.status == "pass"


def test_the_row_says_whether_tf32_is_on_and_is_judged_accordingly(context):
    report = context.benchmark(
        Conv(),
        IMAGE,
        engines=[
            EngineChoice("torch", options={"tf32": False}, label="off"),
            EngineChoice("torch", options={"tf32": True}, label="on"),
            EngineChoice("torch", label="default"),
        ],
        device="cuda",
    )

    off, on, default = report["off"], report["on"], report["default"]
    assert [row.parity.status for row in report] == ["pass", "pass", "pass"]
    assert off.parity.max_abs_error < on.parity.max_abs_error
    assert off.parity.rtol < 1e-5 < on.parity.rtol
    assert "TF32 is off" in off.warnings
    assert "TF32 is on" in on.warnings
    assert "TF32 is off for matrix products and on for convolutions" in default.warnings


@pytest.fixture(scope="module")
def packages_load(tmp_path_factory):
    """Skip a test where torch itself cannot load what AOTInductor compiled."""
    path = tmp_path_factory.mktemp("package") / "model.pt2"
    script = (
        "import sys, torch\n"
        "from torch._inductor import aoti_compile_and_package, aoti_load_package\n"
        "program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))\n"
        "aoti_compile_and_package(program, package_path=sys.argv[1])\n"
        "aoti_load_package(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, check=False, timeout=300
    )
    if done.returncode < 0:
        pytest.skip(
            f"torch {torch.__version__} crashes when it loads a package here, without Lexer, too: "
            f"{signal.Signals(-done.returncode).name}"
        )


@needs_compiler
@pytest.mark.usefixtures("packages_load")
def test_a_package_is_a_row_on_the_gpu(context):
    expect_compiled_row(context, "torch-export")


@needs_compiler
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_model_is_a_row_on_the_gpu(context, mode):
    expect_compiled_row(context, "torch-compile", mode=mode)


def expect_compiled_row(context, engine_name, **options):
    choice = EngineChoice(engine_name, options=options, label="row")

    row = context.benchmark(Conv(), IMAGE, engines=[choice], device="cuda")["row"]

    assert row.status == "ok", row.error
    assert row.parity.status == "pass", row.parity.reason
    assert row.device == "GPU"
    assert row.compile_ms > 0
    assert row.device_p50_ms > 0
    assert row.device_peak_memory_bytes > 0
    assert not row.withheld


def test_a_captured_model_is_a_row_with_the_model_s_outputs(context):
    report = context.benchmark(
        Conv(),
        IMAGE,
        engines=["torch", EngineChoice("torch", options={"cuda_graph": True}, label="graph")],
        device="cuda",
    )

    row = report["graph"]
    assert row.status == "ok", row.error
    assert row.parity.status == "pass", row.parity.reason
    assert not row.withheld
    assert row.compile_ms > 0
    assert row.device_p50_ms > 0


def test_a_model_on_the_gpu_is_measured_there(context):
    model, image = Conv().cuda(), IMAGE.cuda()

    row = context.benchmark(model, image, engines=["torch"], device="cuda")["torch"]

    assert (row.status, row.parity.status) == ("ok", "pass"), row.error


def test_too_little_memory_costs_only_its_own_row(context):
    class Huge(nn.Module):
        def forward(self, x):
            # 4 TiB for a batch of one, and nothing if the flag is off.
            return x + torch.empty(1 << 40, device=x.device)[:1] if x.is_cuda else x

    report = context.benchmark(
        Huge(),
        torch.ones(2),
        engines=["torch", EngineChoice("torch", options={"cuda_graph": True}, label="graph")],
        device="cuda",
    )
    fits = context.benchmark(Conv(), IMAGE, engines=["torch"], device="cuda")["torch"]

    for row in report:
        assert row.status == "failed"
        assert "cuda:0 ran out of memory: a tensor of 4096.00 GiB was needed" in row.error.reason
        assert "smaller batch" in row.error.hint
    assert fits.status == "ok", fits.error


def test_rows_that_fit_go_on_when_another_runs_out_of_memory(context):
    class Large(nn.Module):
        def forward(self, x):
            if torch.get_float32_matmul_precision() == "medium":
                torch.empty(1 << 40, device=x.device)
            return x + 1

    report = context.benchmark(
        Large(),
        torch.ones(2),
        engines=[
            "torch",
            EngineChoice("torch", options={"float32_matmul_precision": "medium"}, label="large"),
        ],
        device="cuda",
    )

    assert report["torch"].status == "ok", report["torch"].error
    assert "ran out of memory" in report["large"].error.reason


def test_a_second_device_is_measured_or_its_absence_is_the_reason(context):
    count = torch.cuda.device_count()

    last = context.benchmark(
        nn.Linear(4, 4), torch.ones(2, 4), engines=["torch"], device=f"cuda:{count - 1}"
    )["torch"]
    absent = context.benchmark(
        nn.Linear(4, 4), torch.ones(2, 4), engines=["torch"], device=f"cuda:{count}"
    )["torch"]

    assert (last.status, last.device_name) == ("ok", f"cuda:{count - 1}"), last.error
    assert absent.status == "failed"
    assert absent.error.reason == (f"engine 'torch' has no device 'cuda:{count}' on this machine.")
    assert "cuda:0" in absent.error.hint


# -- what is measured ----------------------------------------------------------


def test_events_and_the_host_s_clock_agree_on_long_calls(engine, gpu, open_session):
    import time

    session, inputs, _ = open_session(nn.Linear(4096, 4096), torch.randn(8192, 4096))
    call = place(engine, session, inputs, gpu)

    with engine.call_context(session):
        engine.time_calls(session, call, 5, 1, gpu, time.perf_counter_ns)
        timings = engine.time_calls(session, call, 10, 3, gpu, time.perf_counter_ns)

    host, device = np.median(timings.host), np.median(timings.device)
    assert device <= host < 1.2 * device + 1e-4


def test_the_driver_tells_what_limits_the_clocks(gpu):
    assert gpu.uuid.startswith("GPU-")
    limits = read_gpu_limits(gpu.uuid)

    assert limits.power is not None
    assert limits.heat is not None


def test_tf32_is_as_before_when_the_session_is_closed(engine, open_session):
    from lexer_torch.versions import read_tf32

    before = read_tf32()
    session, _, _ = open_session(Conv(), IMAGE, tf32=not before[0])
    during = read_tf32()
    session.close()

    assert during == (not before[0], not before[0])
    assert read_tf32() == before


# -- graphs --------------------------------------------------------------------


def test_a_graph_computes_each_call_from_its_own_inputs(engine, gpu, open_session):
    import attrs

    session, inputs, _ = open_session(nn.Linear(3, 2), torch.ones(4, 3), cuda_graph=True)
    others = attrs.evolve(inputs, arrays={"input": 2 * inputs.arrays["input"]})
    wider = attrs.evolve(inputs, arrays={"input": np.ones((7, 3), np.float32)})

    calls = [place(engine, session, each, gpu) for each in (inputs, others, wider)]
    first, second, third = (run(engine, session, call, gpu)["output"] for call in calls)
    again = run(engine, session, calls[0], gpu)["output"]

    assert not np.array_equal(first, second)
    assert third.shape == (7, 2)
    np.testing.assert_array_equal(first, again)


def test_a_capture_leaves_the_state_of_the_model_for_the_first_call(engine, gpu, open_session):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return x + self.calls

    session, inputs, _ = open_session(Counting(), torch.zeros(2), cuda_graph=True)
    call = place(engine, session, inputs, gpu)

    values = [run(engine, session, call, gpu)["output"].tolist() for _ in range(2)]

    assert values == [[1, 1], [2, 2]]


def test_inputs_that_a_captured_call_changes_are_renewed(context):
    class Adds(nn.Module):
        def forward(self, x):
            x += 1
            return x * 1

    row = context.benchmark(
        Adds(),
        torch.zeros(2),
        engines=[EngineChoice("torch", options={"cuda_graph": True}, label="graph")],
        device="cuda",
    )["graph"]

    assert (row.status, row.parity.status) == ("ok", "pass"), (row.error, row.parity)
    assert any("change their inputs" in warning for warning in row.warnings)


def test_a_call_that_waits_for_the_gpu_cannot_be_captured(engine, gpu, open_session):
    class Waits(nn.Module):
        def forward(self, x):
            return x + x.sum().item()

    session, inputs, _ = open_session(Waits(), torch.ones(2), cuda_graph=True)

    with pytest.raises(UnsupportedError, match="a call of Waits cannot be captured") as raised:
        place(engine, session, inputs, gpu)
    assert ".item()" in raised.value.hint

    # The device is usable afterwards.
    other, inputs, reference = open_session(nn.Linear(3, 2), torch.ones(4, 3), cuda_graph=True)
    outputs = run(engine, other, place(engine, other, inputs, gpu), gpu)
    assert judge(outputs, reference.outputs, reference_name="").status == "pass"


def test_memory_that_is_short_while_a_model_is_moved_is_explained(engine, open_session):
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(1 << 40, device="meta"))

        def to(self, *args, **kwargs):
            torch.empty(1 << 40, device="cuda")

        def forward(self, x):
            return x

    with pytest.raises(EngineError, match="cuda:0 ran out of memory"):
        engine.create_session(
            exported_as_is(Wide()), engine.find_device("cuda:0"), SessionConfig(threads=1)
        )


def exported_as_is(model):
    from lexer_core.records import ExportedModel

    return ExportedModel(
        format="torch", model=model, inputs=(), outputs=(), size_bytes=0, exporter=""
    )


# -- the contract --------------------------------------------------------------


class TestTorchOnCuda(EngineConformance):
    engine_name = "torch"
    device = "cuda"
    option_effects = {  # noqa: RUF012 - as the kit reads it
        **TorchDeclarations.option_effects,
        "cuda_graph": lambda session: type(session).__name__,
    }
