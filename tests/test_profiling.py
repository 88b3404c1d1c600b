"""To which modules does the time of an engine belong, and how is that shown?"""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from report_samples import a_report, a_row
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.export.module_scopes import ScopedNode, common_module
from lexer_core.profiling.attribution import attribute, unknown_nodes
from lexer_core.records import ProfiledOperation
from lexer_core.report import BenchmarkReport
from lexer_core.results import Profile, ProfilePart


def node(name: str, module: str | None, operator: str = "Conv") -> ScopedNode:
    return ScopedNode(
        name=f"node_{name}", operator=operator, inputs=(), outputs=(name,), module=module
    )


def operation(seconds: float, *nodes: str, **facts: object) -> ProfiledOperation:
    values = {"name": "k", "operator": "Conv", "seconds": seconds, "calls": 1, "nodes": nodes}
    return ProfiledOperation(**values | facts)


def shares(profile: Profile) -> dict[str | None, float]:
    total: dict[str | None, float] = {}
    for part in profile.parts:
        total[part.module] = total.get(part.module, 0.0) + part.share
    return total


GRAPH = (
    node("a", "blocks.0.conv"),
    node("b", "blocks.0.act", "Relu"),
    node("c", "blocks.1.conv"),
    node("d", "head"),
)


# -- attribution -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modules", "common"),
    [
        (["a.b.c"], "a.b.c"),
        (["a.b.c", "a.b.d"], "a.b"),
        (["a.b", "a.b.d"], "a.b"),
        (["a.bc", "a.b"], "a"),
        (["a", "b"], ""),
        (["", "a"], ""),
    ],
)
def test_modules_have_an_innermost_one_that_contains_them(modules, common):
    assert common_module(modules) == common


def test_a_kernel_belongs_to_the_innermost_module_of_all_its_nodes():
    operations = [
        operation(0.5, "a", "b"),  # within a block
        operation(0.3, "b", "c"),  # across the border of two
        operation(0.2, "c", "d"),  # across everything
    ]

    profile = attribute(operations, GRAPH, calls=1)

    assert shares(profile) == pytest.approx({"blocks.0": 0.5, "blocks": 0.3, "": 0.2})
    assert profile.status == "modules"


def test_nodes_are_found_by_their_name_too():
    assert shares(attribute([operation(1.0, "node_d")], GRAPH, calls=1)) == {"head": 1.0}


def test_a_name_that_several_nodes_have_says_nothing():
    twice = [attrs.evolve(GRAPH[0], name="same"), attrs.evolve(GRAPH[3], name="same")]
    operations = [operation(1.0, "same"), operation(1.0, "d")]

    assert shares(attribute(operations, twice, calls=1)) == {None: 0.5, "head": 0.5}


def test_what_cannot_be_attributed_is_a_part_of_its_own_and_shares_add_up_to_1():
    profile = attribute(
        [operation(3.0, "a"), operation(1.0), operation(1.0, "of another graph")], GRAPH, calls=1
    )

    assert shares(profile) == pytest.approx({"blocks.0.conv": 0.6, None: 0.4})
    assert sum(part.share for part in profile.parts) == pytest.approx(1.0)


def test_modules_that_an_engine_knows_itself_come_before_those_of_nodes():
    profile = attribute([operation(1.0, "a", modules=("head",))], GRAPH, calls=1)

    assert shares(profile) == {"head": 1.0}


def test_times_are_scaled_to_the_median_of_calls_that_were_not_profiled():
    profile = attribute([operation(0.03, "a"), operation(0.01, "d")], GRAPH, calls=2, median_ms=8.0)

    assert [part.ms for part in profile.parts] == pytest.approx([6.0, 2.0])
    assert profile.profiled_ms == pytest.approx(20.0)


def test_parts_are_in_the_order_in_which_modules_are_executed():
    profile = attribute(
        [operation(1.0), operation(1.0, "c", "d"), operation(2.0, "d"), operation(9.0, "a")],
        GRAPH,
        calls=1,
    )

    assert [part.module for part in profile.parts] == ["blocks.0.conv", "head", "", None]


@pytest.mark.parametrize(
    ("nodes", "reason"), [([node("a", None)], "does not say"), (None, "onnx package")]
)
def test_without_modules_the_types_of_operators_are_left(nodes, reason):
    profile = attribute([operation(1.0, "a"), operation(3.0, operator="Gemm")], nodes, calls=1)

    assert profile.status == "operators"
    assert reason in profile.reason
    assert {part.operator: part.share for part in profile.parts} == {"Conv": 0.25, "Gemm": 0.75}


def test_an_engine_that_names_no_nodes_has_no_modules():
    profile = attribute([operation(1.0)], GRAPH, calls=1)

    assert profile.status == "operators"
    assert "the engine does not say" in profile.reason


def test_operations_without_time_are_no_profile():
    profile = attribute([operation(0.0, "a")], GRAPH, calls=1)

    assert (profile.status, profile.parts) == ("not_available", ())
    assert "too short" in profile.reason


def test_nodes_that_the_graph_does_not_have_are_named():
    assert unknown_nodes([operation(1.0, "a", "z"), operation(1.0, "z", "node_d")], GRAPH) == ("z",)


# -- a whole run -------------------------------------------------------------------

HOOK = """

@hookimpl
def lexer_profile_calls(session, call, count):
    from lexer_core.records import ProfiledOperation

    misbehave(session.fault, "profile")
    if session.fault == "no_profile":
        return None
    if session.fault == "interrupt_in_profile":
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    start = time.perf_counter()
    for _ in range(count):
        call.run()
    seconds = time.perf_counter() - start
    assert session.profiling and session.calls < 200, "a session of its own"
    return [
        ProfiledOperation(
            name=name, operator="Toy", seconds=share * seconds, calls=count, modules=modules
        )
        for name, share, modules in (("k1", 0.75, ("body.0",)), ("k2", 0.25, ()))
    ]
"""


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory):
    site = FakeSite(tmp_path_factory.mktemp("site"))
    profiled = TOY_ENGINE.replace(
        "    return ToySession(config.options)\n",
        "    session = ToySession(config.options)\n"
        "    session.profiling = config.profiling\n"
        "    return session\n",
    )
    site.add_engine("toy", profiled + HOOK)
    site.add_engine("old", TOY_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def report(toys: FakeSite, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkReport:
    def faulty(fault: str) -> EngineChoice:
        return EngineChoice("toy", {"fault": fault}, label=fault)

    return LexerContext().profile(
        write_toy_model(tmp_path_factory.mktemp("model")),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        engines=[
            "toy",
            "old",
            *map(faulty, ("no_profile", "raise_in_profile", "segv_in_profile")),
        ],
        num_iterations=300,
        warm_up_seconds=0.05,
        canary=False,
    )


def test_a_measured_case_is_profiled_in_a_session_of_its_own(report):
    profile = report["toy"].profile

    assert (profile.status, profile.reason) == ("modules", "")
    assert shares(profile) == pytest.approx({"body.0": 0.75, None: 0.25})
    assert profile.parts[0].ms == pytest.approx(0.75 * report["toy"].p50_ms)
    assert report["toy"].num_samples == 300


@pytest.mark.parametrize(
    ("label", "status", "reason"),
    [
        ("old", "not_available", "cannot tell"),
        ("no_profile", "not_available", "cannot tell"),
        ("raise_in_profile", "failed", "the toy was told to fail"),
        ("segv_in_profile", "failed", "SIGSEGV"),
    ],
)
def test_what_goes_wrong_with_a_profile_costs_only_the_profile(report, label, status, reason):
    row = report[label]

    assert (row.status, row.profile.status) == ("ok", status)
    assert reason in row.profile.reason
    assert row.num_samples == 300


def test_an_interrupt_keeps_the_numbers_and_the_profiles_so_far(toys, tmp_path):
    report = LexerContext().profile(
        write_toy_model(tmp_path),
        np.ones((2, 3), np.float32),
        engines=["toy", EngineChoice("toy", {"fault": "interrupt_in_profile"}, label="late")],
        num_iterations=10,
        warm_up_seconds=0.05,
        canary=False,
    )

    assert report.stopped_because == "interrupted"
    assert [report[label].num_samples for label in ("toy", "late")] == [10, 10]
    assert report["toy"].profile.status == "modules"
    assert report["late"].profile is None


def test_a_benchmark_is_not_profiled_unless_asked_to(toys, tmp_path):
    report = LexerContext().benchmark(
        write_toy_model(tmp_path),
        np.ones((2, 3), np.float32),
        engines="toy",
        num_iterations=10,
        isolation="none",
        canary=False,
    )

    assert report["toy"].profile is None
    assert "Where the time goes" not in str(report)


def test_profiles_are_in_json_and_saved(report, tmp_path):
    import lexer_core

    saved = lexer_core.load(report.save(tmp_path / "run.lexer"))

    assert saved["toy"].profile == report["toy"].profile
    assert BenchmarkReport.from_json(report.to_json())["toy"].profile == report["toy"].profile


# -- tables and sentences ----------------------------------------------------------


def profiled(label: str, p50: float, **by_module: float):
    """A row; the module of a part is written with ``_`` for ``.``."""
    return a_row(
        label,
        label.title(),
        p50,
        profile=Profile(
            status="modules",
            calls=10,
            parts=[
                ProfilePart(
                    module=None if module == "unknown" else module.replace("_", "."),
                    operator="Conv",
                    share=share,
                    ms=share * p50,
                )
                for module, share in by_module.items()
            ],
        ),
    )


def cells(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip().startswith(name))
    return line.split()


def test_engines_are_shown_side_by_side_with_shares_and_milliseconds():
    report = a_report(
        profiled("torch", 10.0, stem=0.2, blocks_0=0.5, blocks_1=0.3),
        profiled("fast", 4.0, stem=0.5, blocks_0=0.2, blocks_1=0.2, unknown=0.1),
    )

    text = report.to_text(depth=1)

    assert cells(text, "stem") == ["stem", "2.00", "50%", "2.00", "20%"]
    assert cells(text, "blocks") == ["blocks", "1.60", "40%", "8.00", "80%"]
    assert cells(text, "unattributed") == ["unattributed", "0.400", "10%", "—"]
    assert cells(text, "all") == ["all", "4.00", "100%", "10.0", "100%"]


def test_a_sentence_names_where_a_slower_engine_loses_most():
    report = a_report(
        profiled("torch", 10.0, stem=0.2, blocks=0.8), profiled("fast", 4.0, stem=0.4, blocks=0.6)
    )

    text = report.to_text(width=200, depth=1)

    assert "Torch spends 80% of its time in `blocks`, 5.60 ms more than Fast." in text
    assert "Fast spends 60% of its time in `blocks`." in text


def test_time_that_nobody_knows_is_named_if_it_is_much():
    text = a_report(profiled("torch", 10.0, stem=0.6, unknown=0.4)).to_text(width=200)

    assert "40% of the time of Torch could not be attributed to a module." in text


def test_the_depth_shows_where_most_of_the_time_goes_by_default():
    report = a_report(
        profiled("torch", 10.0, **{f"bert_layer_{n}": 0.24 for n in range(4)}, head=0.04)
    )

    text = str(report)

    assert cells(text, "bert.layer.3") == ["bert.layer.3", "2.40", "24%"]
    assert cells(text, "head") == ["head", "0.400", "4%"]


def test_blocks_are_shown_rather_than_their_parts_by_default():
    report = a_report(
        profiled("torch", 10.0, blocks_0_a=0.1, blocks_1_a=0.3, blocks_1_b=0.5, blocks_2_a=0.1)
    )

    assert cells(str(report), "blocks.1") == ["blocks.1", "8.00", "80%"]


def test_time_of_a_module_outside_its_parts_has_a_line():
    text = a_report(profiled("torch", 10.0, blocks_0=0.5, blocks=0.3, blocks_1=0.2)).to_text(
        depth=2
    )

    assert cells(text, "blocks (itself)") == ["blocks", "(itself)", "3.00", "30%"]


def test_modules_are_in_the_same_order_whichever_engine_lacks_some():
    report = a_report(
        profiled("torch", 4.0, a=0.25, b=0.25, d=0.5),
        profiled("fast", 6.0, b=0.25, c=0.25, d=0.5),
    )

    text = str(report)

    assert [
        line.split()[0] for line in text.splitlines() if line[:2] in ("a ", "b ", "c ", "d ")
    ] == [*"abcd"]


def test_many_small_modules_are_one_line():
    tiny = {f"m{n}": 0.005 for n in range(20)}

    text = a_report(profiled("torch", 10.0, large=0.9, **tiny)).to_text()

    assert cells(text, "20 small modules")[-2:] == ["1.00", "10%"]


def test_an_engine_whose_modules_are_not_known_says_why_and_shows_operators():
    row = attrs.evolve(
        a_row("ort", "ORT", 5.0),
        profile=Profile(
            status="operators",
            reason="the file does not say",
            parts=[
                ProfilePart(operator="Conv", share=0.75),
                ProfilePart(operator="Relu", share=0.25),
            ],
        ),
    )

    text = a_report(row).to_text(width=200)

    assert "ORT: no modules: the file does not say" in text
    assert cells(text.partition("Where the time goes")[2], "ORT ")[1:] == ["Conv", "3.75", "75%"]


def test_profiles_are_part_of_markdown_and_of_a_notebook():
    report = a_report(profiled("torch", 10.0, stem=0.2, blocks=0.8))

    assert "| blocks | 8.00   80% |" in report.to_markdown()
    assert "blocks" in report._repr_html_()
