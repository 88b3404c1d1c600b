"""Verdicts in words."""

from __future__ import annotations

import math

import pytest
from report_samples import AGREES, DIFFERS, a_comparison, a_failed_row, a_row

from lexer_core.reporting.sentences import verdict_sentences
from lexer_core.results import Comparison, Interval, Parity

TORCH = a_row(rank=2)
ORT = a_row("onnxruntime", "ONNXRuntime", 9.9, rank=1)


def test_faster_has_interval_agreement_and_break_even():
    ort = a_row(
        "onnxruntime",
        "ONNXRuntime",
        9.9,
        rank=1,
        export_ms=6100.0,
        load_ms=300.0,
        break_even_calls=220.4,
    )

    assert verdict_sentences([TORCH, ort], [a_comparison()]) == (
        (
            "ONNXRuntime is 3.9x faster than Torch (95% 3.7-4.1), outputs agree (max error 2e-06). "
            "Export and load cost 6.4 s: paid back after 221 calls."
        ),
    )


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


def test_undecided_says_what_may_help():
    pair = a_comparison(ratio=(0.97, 1.02, 1.08), verdict="undecided", delta=0.05)

    assert verdict_sentences([TORCH, ORT], [pair]) == (
        (
            "No verdict between Torch and ONNXRuntime: 1.02x (95% 0.97-1.08) is only partly within "
            "+-5%; more samples may decide."
        ),
    )


def test_no_verdict_has_its_reason_and_the_numbers():
    pair = a_comparison(verdict="none", reason="only 4 rounds, 10 are needed.")

    assert verdict_sentences([TORCH, ORT], [pair]) == (
        (
            "No verdict between Torch and ONNXRuntime: only 4 rounds, 10 are needed "
            "(measured: 3.9x (95% 3.7-4.1))."
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
