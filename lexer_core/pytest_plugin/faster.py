"""Is one engine faster than another, as a test claims?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.errors import SettingError, UsageError
from lexer_core.pytest_plugin.outcome import (
    Undecided,
    check_undecided,
    is_missing_here,
    leave_undecided,
    refute,
)
from lexer_core.reporting.baseline import inverse
from lexer_core.reporting.numbers import (
    confidence_text,
    interval_text,
    percent_text,
    significant,
    time_unit,
)
from lexer_core.reporting.sentences import is_interrupted, problem

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult, Comparison, Interval, Verdict

__all__ = ["assert_faster"]

_OPPOSITE: dict[Verdict, Verdict] = {"faster": "slower", "slower": "faster"}


def assert_faster(
    report: BenchmarkReport,
    engine: str,
    *,
    than: str,
    at_least: float | None = None,
    undecided: Undecided = "skip",
) -> None:
    """Assert that one row of a report is faster than another.

    The claim is judged by the ratio and the interval in the report, which is corrected
    for the number of comparisons. No new statistics are computed.

    Parameters
    ----------
    report
        A benchmark with both rows.
    engine, than
        Labels or engine names of the two rows.
    at_least
        How many times as fast ``engine`` must be. The test passes if the whole interval
        is at or above it, fails if the whole interval is below it, and is undecided if
        it is inside. Default: the report's verdict decides: *faster* passes, *tie* and
        *slower* fail.
    undecided
        ``"skip"`` skips the test, with the reason, if this machine cannot tell: if the
        interval contains ``at_least``, if there is no verdict, or if the machine lacks the
        engine or its device. ``"fail"`` fails it then.

    Raises
    ------
    AssertionError
        The claim is false; or an engine failed, or its outputs are wrong.
    UsageError
        The report does not have both rows, or ``at_least`` is not above 0.

    Examples
    --------
    ::

        def test_onnxruntime_is_worth_the_export(lexer_benchmark):
            report = lexer_benchmark(AmazingNet(), torch.randn(1, 3, 224, 224))
            assert_faster(report, "onnxruntime", than="torch", at_least=1.5)
    """
    __tracebackhide__ = True
    check_undecided(undecided)
    if at_least is not None and not (at_least > 0.0 and math.isfinite(at_least)):
        raise SettingError(
            f"at_least must be above 0, not {at_least!r}.", hint="1.5 means 1.5 times as fast."
        )
    fast, slow = _row(report, engine), _row(report, than)
    if fast is slow:
        raise UsageError(f"assert_faster compares row {fast.label!r} with itself.")
    claim = f"{fast.label} is faster than {slow.label}"
    if at_least is not None:
        claim = f"{fast.label} is at least {at_least:g}x as fast as {slow.label}"
    _require_results(claim, fast, slow, undecided)
    pair = _pair(report, slow.label, fast.label)
    if pair is None:
        leave_undecided(
            f"Cannot tell whether {claim}: the report does not compare them.", undecided
        )
    verdict, ratio = _oriented(pair, fast.label)
    measured = _measured(ratio, pair.rounds, fast, slow)
    if verdict == "none":
        reason = pair.reason.rstrip(".") or "the samples do not support a verdict"
        leave_undecided(f"Cannot tell whether {claim}: {reason}.\n  {measured}", undecided)
    holds = _holds(verdict, ratio, at_least)
    if holds is None:
        leave_undecided(
            f"Cannot tell whether {claim}.\n  {measured}\n  {_why_open(pair, at_least)}", undecided
        )
    if not holds:
        refute(f"It is not true that {claim}.\n  {measured}\n  {_why_false(pair, at_least)}")


def _row(report: BenchmarkReport, name: str) -> BenchmarkResult:
    try:
        return report[name]
    except KeyError:
        rows = ", ".join(row.label for row in report) or "none"
        raise UsageError(
            f"the report has no row {name!r}.", hint=f"Rows: {rows}. Choose a row by its label."
        ) from None


def _require_results(
    claim: str, fast: BenchmarkResult, slow: BenchmarkResult, undecided: Undecided
) -> None:
    """Fail for rows without results and for wrong outputs; leave missing engines undecided."""
    __tracebackhide__ = True
    for row in (fast, slow):
        if row.status != "ok" and (is_missing_here(row) or is_interrupted(row)):
            leave_undecided(f"Cannot tell whether {claim}: {row.label} {problem(row)}.", undecided)
        if row.status != "ok":
            hint = row.error.hint if row.error is not None else ""
            refute("\n  ".join([f"{row.label} {problem(row)}.", *hint.splitlines()]))
        if row.parity is not None and row.parity.status == "fail":
            reason = row.parity.reason.rstrip(".") or "they differ by more than the tolerance"
            refute(
                f"The outputs of {row.label} are wrong, so its speed does not count: {reason}.\n"
                "  If they are good enough, pass rtol and atol to the benchmark."
            )


def _pair(report: BenchmarkReport, a: str, b: str) -> Comparison | None:
    return next((pair for pair in report.comparisons if {pair.a, pair.b} == {a, b}), None)


def _oriented(pair: Comparison, label: str) -> tuple[Verdict, Interval]:
    """Return the verdict on a row, and how many times as fast as the other one it is."""
    if pair.b == label:
        return pair.verdict, pair.ratio
    return _OPPOSITE.get(pair.verdict, pair.verdict), inverse(pair.ratio)


def _holds(verdict: Verdict, ratio: Interval, at_least: float | None) -> bool | None:
    """Return whether the claim is true, or ``None`` if the interval does not decide it."""
    if at_least is None:
        return None if verdict == "undecided" else verdict == "faster"
    if ratio.low is not None and ratio.low >= at_least:
        return True
    if ratio.high is not None and ratio.high < at_least:
        return False
    return None


def _measured(ratio: Interval, rounds: int, fast: BenchmarkResult, slow: BenchmarkResult) -> str:
    unit = time_unit([fast, slow])
    medians = "p50: " + ", ".join(
        f"{row.label} {significant(row.p50_ms * unit.per_ms)} {unit.name}"
        for row in (fast, slow)
        if row.p50_ms is not None
    )
    if ratio.low is None or ratio.high is None:
        return f"Measured: {ratio.estimate:.3g}x, no interval; {rounds} rounds; {medians}."
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    confidence = confidence_text(ratio.confidence)
    return (
        f"Measured: {estimate}x, {confidence} interval {low}x to {high}x; {rounds} rounds; "
        f"{medians}."
    )


def _why_open(pair: Comparison, at_least: float | None) -> str:
    edge = (
        f"crosses the edge of what counts as a tie (±{percent_text(pair.delta)})"
        if at_least is None
        else f"contains {at_least:g}x"
    )
    return (
        f"The interval {edge}. Measure on a quieter machine, or longer: lower margin or raise "
        "min_seconds and max_seconds."
    )


def _why_false(pair: Comparison, at_least: float | None) -> str:
    if at_least is None:
        return (
            f"Differences of less than {percent_text(pair.delta)} count as a tie (setting tie). "
            "The captured output has the whole report."
        )
    return (
        f"The whole interval is below {at_least:g}x, so noise does not explain it. Lower at_least, "
        "or find what changed: the captured output has the whole report."
    )
