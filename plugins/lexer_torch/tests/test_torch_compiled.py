"""Do ``torch-compile`` and ``torch-export`` run what they compiled, and say what it took?"""

from __future__ import annotations

import subprocess
import sys

import attrs
import numpy as np
import pytest
from torch_helpers import (
    Net,
    adapted_with_reference,
    exported,
    nn,
    outputs_of,
    scripted,
    torch,
)

from lexer_core.context import LexerContext
from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    InputError,
    ModelError,
    UnsupportedError,
)
from lexer_core.model.by_value import load_model, save_model
from lexer_core.records import CPU, Device, ExportedModel, SessionConfig, TensorSpec
from lexer_core.validation import judge
from lexer_torch.compiler import find_compiler
from lexer_torch.versions import CAN_ISOLATE

pytestmark = pytest.mark.torch

compiles = pytest.mark.skipif(find_compiler() != ("", ""), reason="there is no C++ compiler")

THREADS = torch.get_num_threads()
VARIANTS = ("torch-compile", "torch-export")
CONFIG = SessionConfig(threads=1, isolated=False)


@pytest.fixture(scope="module", autouse=True)
def inductor_cache(tmp_path_factory):
    # Sessions of a process that is not theirs compile into its cache: here into
    # one of this run, so that nothing is found that an earlier one left.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


@pytest.fixture(scope="module")
def compiler():
    return EngineRegistry().get("torch-compile")


@pytest.fixture(scope="module")
def packager():
    return EngineRegistry().get("torch-export")


@pytest.fixture
def without_inductor(monkeypatch):
    """Let ``torch.compile`` trace as always and generate no code; gives what it was called with."""
    real, calls = torch.compile, []

    def traced_only(module, *, mode, **arguments):
        calls.append({"mode": mode, **arguments})
        return real(module, backend="eager", **arguments)

    monkeypatch.setattr(torch, "compile", traced_only)
    return calls


def graphs():
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


@pytest.fixture
def open_session(compiler, tmp_path):
    """Open sessions on modules, and close them."""
    opened = []

    def open_one(model, input, **options):
        adapted, reference = adapted_with_reference(model, input)
        session = compiler.create_session(
            exported(EngineRegistry().get("torch"), adapted, tmp_path),
            CPU,
            attrs.evolve(CONFIG, options=options),
        )
        opened.append(session)
        return session, adapted, reference

    yield open_one
    for session in opened:
        session.close()


# -- what they are -----------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_describes_itself_without_importing_torch(name):
    module = {"torch-compile": "compile_engine", "torch-export": "export_engine"}[name]
    code = (
        f"import sys, lexer_torch.{module} as engine\n"
        "assert engine.lexer_engine_info().display_name\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_runs_only_when_it_is_named(name):
    assert EngineRegistry().listing(name).info.runs_by_default is False


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("chosen", ["", "no-such-compiler"])
def test_without_a_compiler_a_variant_is_unavailable_and_says_what_to_do(
    name, chosen, monkeypatch, tmp_path
):
    monkeypatch.setenv("CXX", chosen)
    monkeypatch.setenv("PATH", str(tmp_path))

    listing = EngineRegistry().listing(name)

    assert listing.state is EngineState.UNAVAILABLE
    assert "no C++ compiler was found" in listing.reason
    assert chosen in listing.reason
    assert listing.remedy


def test_a_compiler_that_is_chosen_is_looked_for(monkeypatch):
    monkeypatch.setenv("CXX", sys.executable)

    assert find_compiler().reason == ""


# -- torch-compile -----------------------------------------------------------------


@compiles
def test_a_module_is_compiled_when_its_inputs_are_placed_and_not_later(compiler, open_session):
    session, adapted, reference = open_session(Net(), torch.randn(3, 4))
    before = session.phases.compile_seconds

    call = compiler.make_call(session, compiler.place_inputs(session, adapted.inputs, CPU))
    when_placed = graphs()
    with compiler.call_context(session):
        outputs = compiler.fetch_outputs(session, call.run())

    assert before is None
    assert session.phases.compile_seconds > 0
    assert session.phases.cache_warm is False
    assert graphs() == when_placed
    assert judge(outputs, reference.outputs, reference_name="the model").status == "pass"


shares_code = pytest.mark.skipif(
    not CAN_ISOLATE,
    reason=f"torch {torch.__version__} shares compiled code among the modules of a class",
)


@compiles
@shares_code
def test_a_module_that_inductor_compiled_before_comes_from_its_cache(compiler, open_session):
    phases = []
    for _ in range(2):
        model = nn.Sequential(nn.Linear(4, 2), nn.Tanh())
        session, adapted, _ = open_session(model, torch.ones(1, 4))
        compiler.place_inputs(session, adapted.inputs, CPU)
        phases.append(session.phases)
        session.close()
        session.close()

    assert [each.cache_warm for each in phases] == [False, True]


def test_options_reach_the_compiler(open_session, without_inductor):
    open_session(nn.Linear(2, 2), torch.ones(1, 2), mode="max-autotune")
    open_session(nn.Linear(2, 2), torch.ones(1, 2), dynamic=True, fullgraph=True)

    first, second = without_inductor
    assert (first["mode"], first["dynamic"], first["fullgraph"]) == ("max-autotune", None, False)
    assert (second["mode"], second["dynamic"], second["fullgraph"]) == ("default", True, True)


@pytest.mark.parametrize(("dynamic", "compilations"), [(True, 0), (False, 1)])
def test_other_shapes_need_no_compilation_where_it_was_dynamic(
    compiler, open_session, without_inductor, dynamic, compilations
):
    session, adapted, _ = open_session(nn.Linear(3, 2), torch.ones(2, 3), dynamic=dynamic)
    other = attrs.evolve(adapted.inputs, arrays={"input": np.ones((7, 3), np.float32)})
    compiler.place_inputs(session, adapted.inputs, CPU)
    before = graphs()

    compiler.place_inputs(session, other, CPU)

    assert graphs() - before == compilations


def test_compiling_leaves_no_trace_in_the_first_measured_call(
    compiler, open_session, without_inductor
):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            x += 1
            return self.calls + 0, x

    session, adapted, _ = open_session(Counting(), torch.zeros(2))
    random_state = torch.random.get_rng_state()

    outputs = outputs_of(compiler, session, adapted.inputs)

    assert outputs["output_0"] == 1
    assert outputs["output_1"].tolist() == [1, 1]
    assert torch.equal(torch.random.get_rng_state(), random_state)


@shares_code
def test_a_graph_break_is_refused_where_the_whole_graph_was_asked_for(
    compiler, open_session, without_inductor
):
    class Breaking(nn.Module):
        def forward(self, x):
            torch._dynamo.graph_break()
            return x + 1

    in_parts, adapted, reference = open_session(Breaking(), torch.ones(2))
    whole, _, _ = open_session(Breaking(), torch.ones(2), fullgraph=True)

    outputs = outputs_of(compiler, in_parts, adapted.inputs)

    assert judge(outputs, reference.outputs, reference_name="the model").status == "pass"
    with pytest.raises(UnsupportedError, match=r"torch\.compile cannot compile Breaking"):
        compiler.place_inputs(whole, adapted.inputs, CPU)


def test_a_scripted_module_is_unsupported(open_session):
    with pytest.raises(UnsupportedError, match="scripted module"):
        open_session(scripted(nn.Linear(2, 2)), torch.ones(1, 2))


def test_a_module_that_was_compiled_before_is_compiled_again(
    compiler, open_session, without_inductor
):
    def refuse(graph, inputs):
        raise AssertionError("the user's own backend was used")

    once = torch._dynamo.optimize(refuse)(nn.Linear(2, 2))
    adapted, _ = adapted_with_reference(once._orig_mod, torch.ones(1, 2))
    model = attrs.evolve(exported(EngineRegistry().get("torch"), adapted, None), model=once)

    session = compiler.create_session(model, CPU, CONFIG)

    assert outputs_of(compiler, session, adapted.inputs)["output"].shape == (1, 2)
    session.close()


def test_many_sessions_of_one_class_are_all_compiled(compiler, open_session, without_inductor):
    # torch itself stops compiling code of which it has compiled eight versions.
    for size in range(1, 11):
        session, adapted, _ = open_session(nn.Linear(size, 1), torch.ones(1, size), dynamic=False)
        before = graphs()
        compiler.place_inputs(session, adapted.inputs, CPU)
        assert graphs() == before + 1, size


# -- torch-export ------------------------------------------------------------------


class Two(nn.Module):
    """Two inputs, one of which is not used, and two outputs of different types."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x, *, unused):
        y = self.linear(x).relu()
        return {"best": y.argmax(-1), "scores": y}


def packaged_model(adapted):
    return exported(EngineRegistry().get("torch"), adapted, None, "torch_export")


def packaged_config():
    # More threads than the process has, to see that they are put back.
    return attrs.evolve(CONFIG, threads=THREADS + 1, options={"mode": "default"})


@pytest.fixture(scope="module")
def packaged(packager):
    """A session on a program with a dynamic axis; compiled once, which takes seconds."""
    adapted, reference = adapted_with_reference(
        Two(), {"x": torch.randn(3, 3), "unused": torch.ones(1)}
    )
    adapted = attrs.evolve(adapted, dynamic_axes={"x": {0: "batch"}})
    threads = torch.get_num_threads()
    session = packager.create_session(packaged_model(adapted), CPU, packaged_config())
    assert torch.get_num_threads() == threads + 1
    yield session, adapted, reference
    session.close()
    session.close()
    assert torch.get_num_threads() == threads
    with pytest.raises(EngineError, match="closed"):
        session.run([])


@compiles
def test_a_package_gives_the_outputs_of_the_model(packager, packaged):
    session, adapted, reference = packaged

    outputs = outputs_of(packager, session, adapted.inputs)

    assert judge(outputs, reference.outputs, reference_name="the model").status == "pass"
    assert list(outputs) == ["best", "scores"]
    assert all(array.flags.owndata and array.flags.writeable for array in outputs.values())


@compiles
def test_a_package_takes_any_length_of_a_dynamic_axis(packager, packaged):
    session, adapted, _ = packaged
    arrays = {**adapted.inputs.arrays, "x": np.ones((5, 3), np.float32)}

    outputs = outputs_of(packager, session, attrs.evolve(adapted.inputs, arrays=arrays))

    assert outputs["scores"].shape == (5, 4)


@compiles
@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.ones((2, 4), np.float32), r"float32\[2, 4\]; the model takes float32\[batch, 3\]"),
        (np.ones(3, np.float32), r"float32\[3\]"),
        (np.ones((2, 3)), r"float64\[2, 3\]"),
        (None, "needs input 'x'"),
    ],
)
def test_inputs_that_compiled_code_would_misread_are_refused(packager, packaged, x, said):
    session, adapted, _ = packaged
    arrays = {"unused": np.ones(1, np.float32)} | ({} if x is None else {"x": x})

    with pytest.raises(InputError, match=said):
        packager.place_inputs(session, attrs.evolve(adapted.inputs, arrays=arrays), CPU)


@compiles
def test_a_package_says_what_compiling_took_and_where_its_operators_are(packager, packaged):
    session, _, _ = packaged

    assert session.phases.compile_seconds > 0
    placement = packager.describe_placement(session)
    assert (placement.share, placement.method, placement.fallbacks) == (1.0, "nodes", ())


@compiles
def test_a_program_that_was_packaged_before_is_loaded_and_not_compiled(
    packager, packaged, monkeypatch
):
    def refuse(*_, **__):
        raise AssertionError("it was compiled again")

    _, adapted, reference = packaged
    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", refuse)
    again = packager.create_session(packaged_model(adapted), CPU, packaged_config())

    assert again.phases.cache_warm is True
    outputs = outputs_of(packager, again, adapted.inputs)
    assert judge(outputs, reference.outputs, reference_name="the model").status == "pass"
    again.close()


def program_of(model, *inputs):
    program = torch.export.export(model, inputs)
    spec = TensorSpec(name="input", dtype="float32", shape=tuple(inputs[0].shape))
    return ExportedModel(
        format="torch_export",
        model=program,
        inputs=(spec,),
        outputs=(attrs.evolve(spec, name="output"),),
        size_bytes=0,
        exporter="torch.export",
    )


def test_a_program_travels_to_another_process_with_all_that_was_traced(tmp_path):
    program = torch.export.export(nn.Linear(3, 2), (torch.ones(1, 3),))

    save_model(program, tmp_path / "model")
    there = load_model(tmp_path / "model")

    x = torch.randn(1, 3)
    torch.testing.assert_close(there.module()(x), program.module()(x))
    assert [what_is_known_of(node) for node in there.graph.nodes] == [
        what_is_known_of(node) for node in program.graph.nodes
    ]


def what_is_known_of(node):
    value = node.meta.get("val")
    return (node.name, *((value.shape, value.dtype) if isinstance(value, torch.Tensor) else ()))


def test_what_is_no_program_or_another_precision_is_refused(packager):
    model = program_of(nn.Linear(2, 2), torch.ones(1, 2))

    with pytest.raises(UnsupportedError, match="'float16'"):
        packager.create_session(model, CPU, attrs.evolve(CONFIG, precision="float16"))
    with pytest.raises(ModelError, match=r"expected a torch\.export program, got Linear"):
        packager.create_session(attrs.evolve(model, model=nn.Linear(2, 2)), CPU, CONFIG)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_device_that_is_not_there_is_an_error(name):
    engine = EngineRegistry().get(name)
    model = program_of(nn.Linear(2, 2), torch.ones(1, 2))
    if name == "torch-compile":
        model = attrs.evolve(model, format="torch", model=nn.Linear(2, 2))

    with pytest.raises(DeviceUnavailableError, match="'cuda:77'"):
        engine.create_session(model, Device(kind="cuda", index=77), CONFIG)


def test_the_mode_reaches_the_compiler_and_its_failure_is_the_row_s(packager, monkeypatch):
    asked = []

    def fail(program, *, package_path, inductor_configs):
        asked.append(inductor_configs)
        raise RuntimeError("no lowering for aten.frobnicate\nmore of it")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", fail)
    model = program_of(nn.Linear(2, 2), torch.ones(1, 2))
    threads = torch.get_num_threads()

    for mode in ("default", "max-autotune"):
        config = attrs.evolve(CONFIG, threads=threads + 1, options={"mode": mode})
        with pytest.raises(
            UnsupportedError, match=r"RuntimeError: no lowering for aten\.frobnicate"
        ):
            packager.create_session(model, CPU, config)

    assert asked == [{}, {"max_autotune": True, "coordinate_descent_tuning": True}]
    assert torch.get_num_threads() == threads


# -- as rows -----------------------------------------------------------------------


@compiles
def test_every_variant_is_a_row_whose_load_holds_the_compilation():
    report = LexerContext(
        num_iterations=20, warm_up_seconds=0.0, threads=1, isolation="none"
    ).benchmark(Net(), torch.randn(2, 4), engines=["torch", *VARIANTS])

    assert [row.status for row in report.results] == 3 * ["ok"], [
        row.error for row in report.results
    ]
    assert {row.parity.status for row in report} == {"pass"}
    assert report["torch"].compile_ms is None
    for name in VARIANTS:
        assert 0 < report[name].compile_ms <= report[name].load_ms
    assert [row.engine for row in report.results] == ["Torch", "Torch compile", "Torch export"]


# -- profiles --------------------------------------------------------------------------


class InParts(nn.Module):
    """A model that is compiled in two graphs, because one call cannot be traced."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))

    def forward(self, x):
        x = self.first(x)
        torch._dynamo.graph_break()
        return self.second(x).softmax(-1)


@compiles
def test_compiled_kernels_are_known_by_the_modules_that_they_compute():
    report = LexerContext().profile(
        InParts().eval(),
        torch.randn(32, 64),
        engines="torch-compile",
        num_iterations=5,
        warm_up_seconds=0.05,
        validation=False,
        canary=False,
        isolation="none",
    )

    profile = report["torch-compile"].profile
    known = {(part.module, part.operator) for part in profile.parts if part.module is not None}
    assert {
        ("first", "addmm"),
        ("second.0", "addmm"),
        ("second.1", "cpp_fused"),
        ("second.2", "addmm"),
        ("", "cpp_fused"),
    } <= known
    assert sum(part.share for part in profile.parts) == pytest.approx(1.0)
