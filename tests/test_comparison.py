"""Saved runs against each other, with the truth known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from report_samples import DIFFERS, a_failed_row
from saved_runs import MADE_WITH, a_run

import lexer_core
from lexer_core.errors import SettingError, UsageError
from lexer_core.records import TensorSpec
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    from lexer_core.comparison import RunComparison

HOSTED = 0.027
"""How much runs on hosted machines differ, as a standard deviation of the logarithm."""

THREE = {"torch": 0.02, "onnxruntime": 0.006, "tiny": 0.00004}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def compare(base: BenchmarkReport, new: BenchmarkReport, **options: Any) -> RunComparison:
    return lexer_core.compare(base, new, **options)


# --- verdicts against the truth ---


def sessions(seed: int, slowdown: float, launches: int = 5, **facts: Any) -> RunComparison:
    """Two sessions on machines of one kind that run at different speeds."""
    random = rng(seed)
    base, new = (
        a_run(
            random,
            seconds={label: true * factor for label, true in THREE.items()},
            host=float(np.exp(random.normal(0.0, HOSTED))),
            launches=launches,
            **facts,
        )
        for factor in (1.0, slowdown)
    )
    return compare(base, new, threshold=0.02)


def test_a_run_against_itself_hardly_ever_fails_the_gate_whatever_the_machine_did() -> None:
    failed = sum(bool(sessions(seed, 1.0).regressions) for seed in range(200))

    # Three cases are one family: 2.5 % of the runs may fail, and not of the cases.
    assert failed / 200 <= 0.025


def test_a_slowdown_of_five_percent_is_caught_in_five_launches() -> None:
    caught = [len(sessions(seed, 1.05).regressions) for seed in range(100)]

    assert np.mean(caught) / 3 >= 0.95


def test_without_the_canary_the_same_runs_would_fail_the_gate() -> None:
    # What each run is divided by is the same in all of them: the canary is blind.
    still = {"samples": np.full(400, 0.0002)}
    failed = sum(bool(sessions(seed, 1.0, canary=still).regressions) for seed in range(60))

    assert failed / 60 > 0.2


@pytest.mark.parametrize(
    ("slowdown", "verdict"),
    [(1.0, "OK"), (1.1, "REGRESSION"), (0.9, "IMPROVED"), (1.01, "OK")],
)
def test_the_verdict_follows_the_truth_also_on_a_machine_that_is_slower_now(
    slowdown: float, verdict: str
) -> None:
    base = a_run(rng(1), launch_sd=0.001)
    new = a_run(rng(2), launch_sd=0.001, seconds={"torch": 0.02 * slowdown}, host=1.3)
    case = compare(base, new, threshold=0.05)["torch"]

    assert case.verdict == verdict
    assert case.ratio is not None
    assert case.ratio.low is not None
    assert case.ratio.high is not None
    assert case.ratio.low < case.ratio.estimate < case.ratio.high
    assert case.ratio.estimate == pytest.approx(slowdown, rel=0.01)
    # What was measured is shown as it was, not set against the canary.
    assert case.new_p50_ms == pytest.approx(20 * slowdown * 1.3, rel=0.05)


def test_launches_that_differ_too_much_leave_it_open_and_the_reason_says_what_to_do() -> None:
    base, new = (a_run(rng(seed), launch_sd=0.06, launches=3) for seed in (3, 4))
    case = compare(base, new, threshold=0.02)["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert "3 launches are not enough to tell whether" in case.reason


def test_one_case_is_slower_and_the_others_are_not() -> None:
    base = a_run(rng(5), seconds=THREE)
    new = a_run(rng(6), seconds={**THREE, "onnxruntime": 0.0066})
    comparison = compare(base, new, threshold=0.05)

    assert [case.label for case in comparison.regressions] == ["onnxruntime"]
    assert comparison["torch"].verdict == comparison["tiny"].verdict == "OK"


def test_intervals_are_wider_where_there_are_more_cases_to_be_wrong_about() -> None:
    alone = compare(a_run(rng(1)), a_run(rng(2)))["torch"].ratio
    among = compare(a_run(rng(1), seconds=THREE), a_run(rng(2), seconds=THREE))["torch"].ratio

    assert alone is not None
    assert among is not None
    assert alone.confidence == 0.95
    assert among.confidence > 0.95


def test_the_canary_of_a_cases_own_rounds_counts() -> None:
    """A run in groups measures its cases at different times, maybe at different speeds."""
    base, new = a_run(rng(1)), a_run(rng(2))
    assert new.canary is not None
    # Later on, with another group, the machine was twice as slow.
    later = attrs.evolve(
        new.canary,
        samples=np.concatenate([new.canary.samples, 2 * new.canary.samples]),
        sample_rounds=np.concatenate([new.canary.sample_rounds, new.canary.sample_rounds + 100]),
        sample_launches=np.tile(new.canary.sample_launches, 2),
    )
    grouped = attrs.evolve(new, canary=later)

    assert compare(base, grouped)["torch"].ratio == compare(base, new)["torch"].ratio


def test_loops_on_one_side_compare_means_on_both() -> None:
    """The mean of calls that stall now and then is above their median."""
    base = a_run(rng(1), launch_sd=0.0)
    row = base["torch"]
    together = attrs.evolve(
        row,
        loops=20,
        samples=row.samples.reshape(-1, 20).mean(axis=1),
        sample_rounds=row.sample_rounds[::20],
        sample_launches=row.sample_launches[::20],
    )
    looped = attrs.evolve(base, results=[together])
    ratio = compare(base, looped)["torch"].ratio

    assert ratio is not None
    assert ratio.estimate == pytest.approx(1.0, abs=1e-9)


# --- what does not compare ---


@pytest.mark.parametrize("side", ["base", "new"])
def test_a_single_launch_gives_a_ratio_and_no_verdict(side: str) -> None:
    runs = {"base": a_run(rng(1)), "new": a_run(rng(2))}
    runs[side] = a_run(rng(3), launches=1, rounds=20)
    case = compare(runs["base"], runs["new"])["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert case.ratio is not None
    assert case.ratio.estimate == pytest.approx(1.0, rel=0.05)
    assert (case.ratio.low, case.ratio.high) == (None, None)
    assert "has only 1 launch" in case.reason
    assert "--launches 5" in case.reason


OTHERWISE = {
    "CPU": {"environment": {"cpu_model": "Intel Xeon 8370C"}},
    "CPU architecture": {"environment": {"machine": "aarch64"}},
    "usable cores": {"environment": {"cores_usable": 1.5}},
    "model": {"model_name": "OtherNet"},
    "inputs": {"input_specs": [TensorSpec(name="image", dtype="float32", shape=(8, 3, 224, 224))]},
    "reference workload version": {"canary": {"version": 2}},
    "reference workload libraries": {"canary": {"made_with": "numpy 2.1.0"}},
    "engine": {"rows": {"torch": {"engine_name": "onnxruntime"}}},
    "device": {"rows": {"torch": {"device_name": "cuda:0"}}},
    "threads": {"rows": {"torch": {"threads": 1}}},
    "precision": {"rows": {"torch": {"precision": "float16"}}},
    "element types": {"rows": {"torch": {"dtype": "float16"}}},
    "batch size": {"rows": {"torch": {"batch_size": 8}}},
    "isolation": {"rows": {"torch": {"isolation": "none"}}},
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_other_conditions_are_refused_with_the_reason(what: str) -> None:
    case = compare(a_run(rng(1)), a_run(rng(2), **OTHERWISE[what]))["torch"]

    assert case.verdict == "NOT COMPARABLE"
    assert f"different {what}:" in case.reason
    assert case.ratio is None


@pytest.mark.parametrize("fact", ["gpus", "gpu_driver"])
def test_another_gpu_matters_to_what_ran_on_it_alone(fact: str) -> None:
    facts = {"gpus": {"gpus": ["A100"]}, "gpu_driver": {"gpu_driver": "550.54"}}[fact]
    on_gpu = {"rows": {"torch": {"device_name": "cuda:0"}}}

    other = compare(a_run(rng(1), **on_gpu), a_run(rng(2), environment=facts, **on_gpu))
    assert other["torch"].verdict == "NOT COMPARABLE"
    assert "different GPU" in other["torch"].reason
    on_cpu = compare(a_run(rng(1)), a_run(rng(2), environment=facts), threshold=0.05)
    assert on_cpu["torch"].verdict == "OK"


def test_the_canary_decides_nothing_about_a_gpu() -> None:
    on_gpu = {"rows": {"torch": {"device_name": "cuda:0"}}}
    case = compare(a_run(rng(1), **on_gpu), a_run(rng(2), host=1.5, **on_gpu))["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert "says nothing about cuda:0" in case.reason


def test_a_run_without_a_canary_has_a_ratio_and_no_verdict() -> None:
    case = compare(a_run(rng(1)), a_run(rng(2), canary=None, seconds={"torch": 0.03}))["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert "the new run did not measure the reference workload" in case.reason
    assert case.ratio is not None
    assert case.ratio.estimate == pytest.approx(1.5, rel=0.05)


def test_a_report_without_raw_samples_has_a_ratio_and_no_verdict() -> None:
    base = BenchmarkReport.from_dict(a_run(rng(1)).to_dict())
    case = compare(base, a_run(rng(2)))["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert "the base has no raw samples" in case.reason


def test_a_row_without_the_reference_workload_in_its_rounds_says_so() -> None:
    new = a_run(rng(2))
    rows = [attrs.evolve(row, sample_rounds=row.sample_rounds + 10**6) for row in new.results]
    case = compare(a_run(rng(1)), attrs.evolve(new, results=rows))["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert "the new run did not measure the reference workload in the same rounds" in case.reason


def test_what_withheld_a_verdict_withholds_this_one() -> None:
    reason = "its latency never settled"
    new = a_run(rng(2), seconds={"torch": 0.03}, rows={"torch": {"withheld": reason}})
    case = compare(a_run(rng(1)), new)["torch"]

    assert case.verdict == "INCONCLUSIVE"
    assert f"in the new run, {reason}" in case.reason
    wrong = a_run(rng(2), rows={"torch": {"parity": DIFFERS, "withheld": "its outputs disagree"}})
    assert "its outputs disagree" in compare(a_run(rng(1)), wrong)["torch"].reason


def test_a_case_that_failed_or_is_not_there_is_named() -> None:
    base = a_run(rng(1), seconds={"torch": 0.02, "gone": 0.01})
    new = a_run(rng(2), seconds={"torch": 0.02, "added": 0.01})
    new = attrs.evolve(new, results=[a_failed_row("torch", "Torch"), new["added"]])
    comparison = compare(base, new)

    assert {case.verdict for case in comparison.cases} == {"NOT COMPARABLE"}
    assert "in the new run it failed while loading the model" in comparison["torch"].reason
    assert comparison["gone"].reason == "missing from the new run"
    assert comparison["added"].reason == "missing from the base"
    assert comparison["added"].new_p50_ms == pytest.approx(10, rel=0.05)


# --- what changed ---


def changed(comparison: RunComparison) -> dict[str, str]:
    return {change.name: change.kind for change in comparison.pairs[0].changes}


def test_changed_weights_and_code_are_what_a_comparison_is_for() -> None:
    base = a_run(rng(1))
    weights = a_run(rng(2), model_fingerprint={**base.model_fingerprint, "weights": "d" * 32})
    code = a_run(rng(2), model_fingerprint={**base.model_fingerprint, "graph": "d" * 32})

    assert changed(compare(base, weights)) == {"weights": "weights"}
    assert changed(compare(base, code)) == {"graph": "code"}
    assert compare(base, weights, threshold=0.05)["torch"].verdict == "OK"


def test_the_graph_knows_better_than_the_modules_whether_code_changed() -> None:
    base = a_run(rng(1))
    both = {**base.model_fingerprint, "modules": "d" * 32}
    untraced = {"weights": "a" * 32, "modules": "d" * 32}

    assert changed(compare(base, a_run(rng(2), model_fingerprint=both))) == {}
    assert changed(compare(base, a_run(rng(2), model_fingerprint=untraced))) == {"modules": "code"}


def test_the_notes_say_whether_the_model_is_known_to_be_the_same() -> None:
    same = compare(a_run(rng(1)), a_run(rng(2))).pairs[0].notes
    unknown = compare(a_run(rng(1)), a_run(rng(2), model_fingerprint={})).pairs[0].notes

    assert any("the model is the same in both runs" in note for note in same)
    assert any("unknown whether" in note for note in unknown)


def test_versions_machine_settings_and_options_are_listed() -> None:
    new = a_run(
        rng(2),
        environment={
            "python": "3.12.1 (CPython)",
            "engines": {"Torch": "2.14.0"},
            "packages": {"numpy": "2.0.0", "torch": "2.14.0", "scipy": "1.14"},
            "os": "Debian 13",
        },
        settings={"margin": 0.02, "launches": 5, "seed": 8},
        rows={"torch": {"options": {"compile": True}}},
    )
    comparison = compare(a_run(rng(1), environment={"packages": {"torch": "2.13.0"}}), new)

    assert changed(comparison) == {
        "Python": "versions",
        "Torch": "versions",
        "numpy": "versions",
        "scipy": "versions",
        "operating system": "environment",
        "margin": "settings",
    }
    (option,) = comparison["torch"].changes
    assert (option.kind, option.name, option.base, option.new) == ("options", "compile", "", "True")


# --- the threshold ---


@pytest.mark.parametrize(
    ("facts", "threshold", "reason"),
    [
        ({"environment": {"virtualised": "no"}}, 0.02, "both hosts were quiet"),
        ({"environment": {"virtualised": "QEMU"}}, 0.05, "may be shared: QEMU"),
        ({"environment": {"virtualised": ""}}, 0.05, "unknown whether it is virtualized"),
        (
            {
                "environment": {"virtualised": "no"},
                "rows": {"torch": {"diagnosis": {"steal_share": 0.02}}},
            },
            0.05,
            "other machines",
        ),
        (
            {
                "environment": {"virtualised": "no"},
                "rows": {"torch": {"diagnosis": {"throttled_share": 0.01}}},
            },
            0.05,
            "quota",
        ),
        (
            {
                "environment": {"virtualised": "no"},
                "rows": {"torch": {"diagnosis": {"cpu_wait_share": 0.2}}},
            },
            0.05,
            "other programs",
        ),
    ],
)
def test_the_threshold_follows_the_host(facts: Any, threshold: float, reason: str) -> None:
    quiet = a_run(rng(1), environment={"virtualised": "no"})
    (pair,) = compare(quiet, a_run(rng(2), **facts)).pairs

    assert pair.threshold == threshold
    assert reason in pair.threshold_reason


def test_a_threshold_that_is_asked_for_holds() -> None:
    base, new = a_run(rng(1)), a_run(rng(2), seconds={"torch": 0.0208})

    assert compare(base, new, threshold=0.01)["torch"].verdict == "REGRESSION"
    assert compare(base, new, threshold=0.1)["torch"].verdict == "OK"


@pytest.mark.parametrize("threshold", [0.0, -0.1, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(SettingError, match="above 0"):
        compare(a_run(rng(1)), a_run(rng(2)), threshold=threshold)


# --- several runs, and how it reads ---


def test_each_of_several_runs_is_compared_with_the_first() -> None:
    runs = [
        a_run(rng(seed), seconds={"torch": true}) for seed, true in enumerate((0.02, 0.03, 0.02))
    ]
    comparison = lexer_core.compare(*runs, threshold=0.05, titles=["main", "slow", "fixed"])

    assert [pair.base.title for pair in comparison.pairs] == ["main", "main"]
    assert [pair.new.title for pair in comparison.pairs] == ["slow", "fixed"]
    assert [pair["torch"].verdict for pair in comparison.pairs] == ["REGRESSION", "OK"]
    assert len(comparison.regressions) == 1
    with pytest.raises(KeyError, match="pairs"):
        comparison["torch"]


def test_fewer_than_two_runs_or_wrong_titles_are_refused() -> None:
    with pytest.raises(UsageError, match="at least two runs"):
        lexer_core.compare(a_run())
    with pytest.raises(UsageError, match="titles"):
        compare(a_run(), a_run(), titles=["one"])
    with pytest.raises(UsageError, match="titles"):
        compare(a_run(), a_run(), titles=["one", "one"])


@pytest.fixture(scope="module")
def mixed() -> RunComparison:
    base = a_run(rng(1), seconds={**THREE, "gone|*": 0.1})
    new = a_run(
        rng(2),
        seconds={**THREE, "torch": 0.025},
        environment={"python": "3.12.1 (CPython)"},
        model_name="AmazingNet",
    )
    return compare(base, new, threshold=0.05, titles=["main", "@me_too"])


def test_the_text_says_verdict_ratio_changes_and_threshold(mixed: RunComparison) -> None:
    text = str(mixed)

    assert "@me_too against main, AmazingNet: 1 REGRESSION, 2 OK, 1 NOT COMPARABLE" in text
    (line,) = (line for line in text.splitlines() if line.startswith("torch "))
    assert "REGRESSION" in line
    assert "1.25" in line
    assert "version Python: 3.11.7 (CPython) → 3.12.1 (CPython)" in text
    assert "Threshold 5% (as requested)." in text
    assert "(Holm)" in text


def test_the_markdown_can_be_posted_as_it_is(mixed: RunComparison) -> None:
    lines = mixed.to_markdown().splitlines()

    assert lines[0] == "<!-- lexer compare -->"
    assert lines[1] == "### Lexer: 1 REGRESSION, 2 OK, 1 NOT COMPARABLE"
    assert r"\@me\_too against main, AmazingNet:" in lines
    rows = [line for line in lines if line.startswith("|")]
    assert any(row.startswith("| torch | **REGRESSION** | 1.2") for row in rows)
    assert any(row.startswith(r"| gone\|\* | NOT COMPARABLE |") for row in rows)
    assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1
    assert lines.count("</details>") == 2


def test_the_json_holds_everything(mixed: RunComparison) -> None:
    data = json.loads(mixed.to_json())

    assert data == mixed.to_dict()
    assert (data["schema_version"], data["method"]) == (1, "canary")
    (pair,) = data["pairs"]
    assert pair["base"]["title"] == "main"
    assert pair["threshold"] == 0.05
    case = pair["cases"][0]
    assert (case["label"], case["verdict"]) == ("torch", "REGRESSION")
    assert case["ratio"]["low"] <= case["ratio"]["estimate"] <= case["ratio"]["high"]


def test_the_canary_survives_being_saved() -> None:
    report = a_run(rng(1))
    again = BenchmarkReport.from_dict(json.loads(report.to_json()))

    assert again == report
    assert again.canary is not None
    assert again.canary.made_with == MADE_WITH
    assert len(again.canary.launch_medians) == 5
    assert again.canary.samples is None
