"""Verdicts in words."""

from __future__ import annotations

import math
import re

import pytest
from report_samples import AGREES, DIFFERS, a_comparison, a_failed_row, a_report, a_row

from lexer_core.reporting.sentences import verdict_sentences
from lexer_core.results import Comparison, Failure, Interval, Parity

TORCH = a_row(rank=2)
ORT = a_row("onnxruntime", "ONNXRuntime", 9.9, rank=1, first_call_ms=80.0)


def test_faster_has_interval_agreement_and_payback():
    torch = a_row(mean_ms=40.0, first_call_ms=114.0, load_ms=310.0)
    ort = a_row(
        "onnxruntime",
        "ONNXRuntime",
        9.9,
        rank=1,
        mean_ms=10.0,
        export_ms=6100.0,
        load_ms=300.0,
        first_call_ms=84.0,
    )

    # 6,100 ms of export less 10 ms of load, at 30 ms saved by each call.
    assert verdict_sentences([torch, ort], [a_comparison()]) == (
        (
            "ONNXRuntime is 3.9x faster than Torch (95% 3.7-4.1), outputs agree (max error 2e-06). "
            "The set-up of ONNXRuntime (export) takes 6.1 s longer than that of Torch: paid back "
            "after 203 calls."
        ),
    )


def _on_onnx(label, engine, mean_ms, **facts):
    export = {"format": "onnx", "exporter": "torch", "export_ms": 6100.0}
    return a_row(label, engine, mean_ms, mean_ms=mean_ms, **export | facts)


def test_each_payback_is_that_of_its_own_pair():
    torch = a_row(mean_ms=40.0, p50_ms=40.0)
    ort = _on_onnx("onnxruntime", "ONNXRuntime", 10.0, load_ms=310.0)
    openvino = _on_onnx("openvino", "OpenVINO", 8.0, load_ms=410.0)
    pairs = [a_comparison(), a_comparison(b="openvino"), a_comparison("onnxruntime", "openvino")]

    said = verdict_sentences([torch, ort, openvino], pairs)

    # Both load the same export, so it counts for neither: 102 ms at 2 ms per call, of
    # which 2 ms are the first call's, which exceeds an ordinary one by that much more.
    assert said[-1].endswith(
        "The set-up of OpenVINO (load) takes 102 ms longer than that of ONNXRuntime: paid back "
        "after 51 calls."
    )
    assert "longer than that of Torch: paid back after" in said[1]
    assert "longer than that of Torch: paid back after" in said[2]


def test_a_second_export_counts():
    ort = _on_onnx("onnxruntime", "ONNXRuntime", 10.0)
    other = _on_onnx("openvino", "OpenVINO", 8.0, exporter="other", export_ms=6300.0)

    (said,) = verdict_sentences([ort, other], [a_comparison("onnxruntime", "openvino")])

    assert "The set-up of OpenVINO (export) takes 202 ms longer" in said


def test_an_engine_that_starts_sooner_as_well_has_nothing_to_pay_back():
    ort = a_row("onnxruntime", "ONNXRuntime", 9.9, load_ms=10.0, first_call_ms=20.0)

    (said,) = verdict_sentences([TORCH, ort], [a_comparison()])

    assert "set-up" not in said


def test_a_slower_engine_is_told_when_the_faster_one_has_paid():
    ort = _on_onnx("onnxruntime", "ONNXRuntime", 10.0)
    torch = a_row(mean_ms=40.0)
    pair = a_comparison("onnxruntime", "torch", (0.244, 0.25, 0.257), "slower")

    (said,) = verdict_sentences([ort, torch], [pair])

    assert "The set-up of ONNXRuntime (export) takes 6.1 s longer than that of Torch" in said


def test_of_a_wide_interval_only_its_near_end_is_stated():
    faster = a_comparison(ratio=(2.96, 4.1, 6.2))
    slower = a_comparison("onnxruntime", "torch", (0.1, 0.2, 0.31), "slower")

    (one,) = verdict_sentences([TORCH, ORT], [faster])
    (other,) = verdict_sentences([ORT, TORCH], [slower])

    assert one.startswith("ONNXRuntime is at least 2.9x faster than Torch (95% 3.0-6.2)")
    assert other.startswith("Torch is at least 3.2x slower than ONNXRuntime (95% 3.2-10.0)")


def test_slower_inverts_the_ratio():
    pair = a_comparison("onnxruntime", "torch", (0.244, 0.25, 0.257), "slower")

    assert verdict_sentences([ORT, TORCH], [pair]) == (
        "Torch is 4.0x slower than ONNXRuntime (95% 3.9-4.1), outputs agree (max error 2e-06).",
    )


def test_a_tie_is_called_a_tie():
    pair = a_comparison(ratio=(0.991, 1.003, 1.015), verdict="tie")

    assert verdict_sentences([TORCH, ORT], [pair]) == (
        (
            "Torch and ONNXRuntime are a tie: 1.00x (95% 0.99-1.01) is within +-2%, "
            "outputs agree (max error 2e-06)."
        ),
    )


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (
            (0.97, 1.12, 1.31),
            (
                "ONNXRuntime is between 0.97x and 1.31x as fast as Torch (95%), outputs agree "
                "(max error 2e-06): more samples may tell which one is faster."
            ),
        ),
        (
            (1.01, 1.04, 1.08),
            (
                "ONNXRuntime is between 1.01x and 1.08x as fast as Torch (95%), outputs agree "
                "(max error 2e-06): it is faster, but perhaps by less than 5%."
            ),
        ),
        (
            (0.91, 0.94, 0.98),
            (
                "ONNXRuntime is between 0.91x and 0.98x as fast as Torch (95%), outputs agree "
                "(max error 2e-06): it is slower, but perhaps by less than 5%."
            ),
        ),
    ],
)
def test_undecided_says_what_the_data_support(ratio, said):
    pair = a_comparison(ratio=ratio, verdict="undecided", delta=0.05)

    assert verdict_sentences([TORCH, ORT], [pair]) == (said,)


def test_undecided_without_an_interval_says_so():
    ratio = Interval(estimate=1.04, low=None, high=None)
    pair = Comparison(a="torch", b="onnxruntime", ratio=ratio, verdict="undecided")

    (said,) = verdict_sentences([TORCH, ORT], [pair])

    assert said.startswith("ONNXRuntime is about 1.04x as fast as Torch (no interval)")


def test_interrupted_engines_are_called_so_once():
    failure = Failure(phase="rounds", kind="Interrupted", reason="before the first sample")
    rows = [a_failed_row(error=failure), a_failed_row("ort", "ONNXRuntime", error=failure)]

    assert verdict_sentences(rows, []) == (
        "Nothing was measured: interrupted before the first sample.",
    )
    text = a_report(*rows).to_text(width=100)
    assert [text.count(f"{name} ") for name in ("TVM", "ONNXRuntime")] == [1, 1]
    assert len(re.findall(r"^(TVM|ONNXRuntime) .* interrupted$", text, re.MULTILINE)) == 2
    assert "failed" not in text


def test_no_verdict_has_its_reason_and_the_numbers():
    pair = a_comparison(verdict="none", reason="only 4 rounds, 10 are needed.")

    assert verdict_sentences([TORCH, ORT], [pair]) == (
        (
            "No verdict between Torch and ONNXRuntime: only 4 rounds, 10 are needed; "
            "measured: 3.9x (95% 3.7-4.1)."
        ),
    )


def test_no_verdict_without_numbers_has_its_reason_alone():
    ratio = Interval(estimate=math.nan, low=None, high=None)
    pair = Comparison(a="torch", b="onnxruntime", ratio=ratio, verdict="none", reason="no rounds")

    assert verdict_sentences([TORCH, ORT], [pair]) == (
        "No verdict between Torch and ONNXRuntime: no rounds.",
    )


def test_wrong_outputs_leave_no_verdict():
    wrong = a_row("onnxruntime", "ONNXRuntime", 9.9, parity=DIFFERS)

    said = verdict_sentences([TORCH, wrong], [a_comparison()])

    assert said == (
        (
            "ONNXRuntime is listed but not ranked: its outputs differ from those of "
            "AmazingNet (eager) (31 % of the elements of 'logits' differ)."
        ),
    )


def test_unjudged_outputs_are_not_called_correct():
    unjudged = a_row(
        "onnxruntime",
        "ONNXRuntime",
        parity=Parity(status="not_judged", reason="the model disagrees with itself"),
    )

    (said,) = verdict_sentences([TORCH, unjudged], [a_comparison()])

    assert "outputs were not judged (the model disagrees with itself)" in said
    assert "agree " not in said


def test_a_single_engine_is_described_alone():
    (said,) = verdict_sentences([TORCH], [])

    assert said == (
        "Only Torch was measured: 38.1 ms per call (95% 37.9-38.2), outputs agree "
        "(max error 2e-06)."
    )


def test_a_single_measured_engine_mentions_the_failed_ones():
    (said,) = verdict_sentences([TORCH, a_failed_row()], [])

    assert said.endswith("The other engines could not be measured.")


def test_nothing_measured_names_every_reason():
    unsupported = a_failed_row("ort", "ONNXRuntime", status="unsupported")

    (said,) = verdict_sentences([a_failed_row(), unsupported], [])

    assert said.startswith("Nothing was measured: TVM failed while loading the model:")
    assert "ONNXRuntime is unsupported" in said


@pytest.mark.parametrize(
    ("status", "words"), [("failed", "failed"), ("unsupported", "are unsupported")]
)
def test_engines_with_the_same_problem_share_a_sentence(status, words):
    rows = [
        a_failed_row(label, label.upper(), status=status) for label in ("ort", "openvino", "tvm")
    ]

    (said,) = verdict_sentences(rows, [])

    assert f"ORT, OPENVINO and TVM {words} while loading the model: " in said
    assert said.count("while loading") == 1


def test_a_run_without_engines_says_so():
    assert verdict_sentences([], []) == ("Nothing was measured: there were no engines to measure.",)


OPENVINO = a_row("openvino", "OpenVINO", 12.0, rank=2)


def test_the_winner_of_several_is_named_first():
    pairs = [
        a_comparison(),
        a_comparison(b="openvino"),
        a_comparison("onnxruntime", "openvino", verdict="slower"),
    ]

    said = verdict_sentences([TORCH, ORT, OPENVINO], pairs)

    assert said[0] == "ONNXRuntime is the fastest of 3."


@pytest.mark.parametrize("verdict", ["tie", "undecided", "none"])
def test_no_winner_is_named_unless_it_beats_every_other(verdict):
    pairs = [
        a_comparison(),
        a_comparison(b="openvino"),
        a_comparison("onnxruntime", "openvino", verdict=verdict),
    ]

    said = verdict_sentences([TORCH, ORT, OPENVINO], pairs)

    assert not any("the fastest of" in sentence for sentence in said)


def test_two_variants_of_one_engine_are_told_apart_by_their_labels():
    basic = a_row("ort-basic", "ONNXRuntime", engine_name="onnxruntime")
    full = a_row("ort-all", "ONNXRuntime", engine_name="onnxruntime")

    (said,) = verdict_sentences([basic, full], [a_comparison("ort-basic", "ort-all")])

    assert said.startswith("ort-all is 3.9x faster than ort-basic")


def test_measured_engines_that_were_not_compared_get_no_verdict():
    assert verdict_sentences([TORCH, ORT], []) == (
        "No verdict: the engines were not compared with each other.",
    )


def test_of_many_pairs_those_with_the_baseline_and_close_neighbours_are_shown():
    rows = [
        a_row("a", "A", 4.0, parity=AGREES),
        a_row("b", "B", 3.0),
        a_row("c", "C", 2.0),
        a_row("d", "D", 1.99),
    ]
    near = (0.99, 1.0, 1.01)
    pairs = [
        a_comparison("a", "b"),
        a_comparison("a", "c"),
        a_comparison("a", "d"),
        a_comparison("b", "c"),
        a_comparison("b", "d"),
        a_comparison("c", "d", near, "tie"),
    ]

    said = verdict_sentences(rows, pairs)

    assert [sentence.split(",")[0].split(" (")[0] for sentence in said] == [
        "B is 3.9x faster than A",
        "C is 3.9x faster than A",
        "D is 3.9x faster than A",
        "C and D are a tie: 1.00x",
    ]
