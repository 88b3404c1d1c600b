"""Is a model still as fast as its base, as a test claims?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.comparison import compare
from lexer_core.comparison.conditions import machine_differences
from lexer_core.comparison.loading import load_run
from lexer_core.errors import SettingError, UsageError
from lexer_core.pytest_plugin.outcome import (
    Undecided,
    check_undecided,
    is_missing_here,
    leave_undecided,
    refute,
)
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.numbers import confidence_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.comparison import CaseVerdict, RunComparison
    from lexer_core.results import BenchmarkResult

__all__ = ["assert_no_regression"]

_RUN_SUFFIXES = (".lexer", ".json")
"""Files that are saved runs; other paths and texts are models."""


@frozen(kw_only=True, eq=False)
class _Judged:
    """A comparison, and the rows that it compares.

    ``saved`` is the base as it was saved, and ``base`` the rows that the verdicts are
    about: measured again, or those of ``saved``.
    """

    comparison: RunComparison
    saved: BenchmarkReport
    base: BenchmarkReport
    new: BenchmarkReport


def assert_no_regression(
    base: BenchmarkReport | str | os.PathLike[str],
    new: Any,
    input: object = None,
    *,
    threshold: float | None = None,
    rows: Sequence[str] | None = None,
    undecided: Undecided = "skip",
    **rerun_arguments: Any,
) -> None:
    """Assert that no row became slower than in a base.

    If ``new`` is a model, the models saved in the base are measured again, taking turns
    with it, as by :func:`lexer_core.comparison.rerun`: this works on any machine. If it is
    a report or a saved run, both are compared as by :func:`lexer_core.compare`, which
    needs the same kind of machine and several launches of both.

    Parameters
    ----------
    base
        A report, or the path of a ``.lexer`` file.
    new
        A model, as for :meth:`LexerContext.benchmark`; a report; or the path of a
        ``.lexer`` file.
    input
        Example inputs for the models. Default: the base's inputs, generated again.
    threshold
        Smallest slowdown that counts, as a fraction: 0.05 is 5 %. Default: as for
        ``rerun`` and ``compare``.
    rows
        Labels of the rows to judge. Default: every row that has results in the base.
    undecided
        ``"skip"`` skips the test, with the reason, if no row is slower but this machine
        cannot tell for one of them: if the verdict is ``INCONCLUSIVE``, if the base was
        measured on another machine, or if this machine lacks the engine or its device.
        ``"fail"`` fails it then.
    **rerun_arguments
        If ``new`` is a model: ``base_model``, ``save``, ``context``, names and settings,
        as for ``rerun``.

    Raises
    ------
    AssertionError
        A row is slower by the threshold or more, has wrong outputs, failed, or cannot be
        compared for another reason than the machine, such as other inputs.
    UsageError
        The base cannot be read, or does not have one of the rows.

    Examples
    --------
    ::

        def test_latency(request):
            base = request.config.rootpath / "base.lexer"
            assert_no_regression(base, AmazingNet(), threshold=0.05)
    """
    __tracebackhide__ = True
    check_undecided(undecided)
    judged = _judge(base, new, input, threshold, rerun_arguments)
    print(judged.comparison)  # noqa: T201 - pytest shows it with a test that fails
    refuted, left = _sorted_out(judged, rows)
    details = f"\n\n{judged.comparison}"
    if refuted:
        refute(
            "\n  ".join(["There is a regression:", *refuted])
            + "\n  To accept it, save a new base; to allow more, raise threshold."
            + details
        )
    if left:
        leave_undecided(
            "\n  ".join(["Cannot tell whether there is a regression:", *left]) + details, undecided
        )


def _judge(
    base: BenchmarkReport | str | os.PathLike[str],
    new: Any,
    input: object,
    threshold: float | None,
    rerun_arguments: dict[str, Any],
) -> _Judged:
    saved = load_run(base, "base")
    if _is_run(new):
        if input is not None or rerun_arguments:
            names = ["input"] * (input is not None) + sorted(rerun_arguments)
            raise SettingError(
                f"two saved runs are compared without {', '.join(names)}.",
                hint="Pass a model instead of a report to measure it together with the base.",
            )
        other = load_run(new, "new")
        comparison = compare(
            saved.report, other.report, threshold=threshold, titles=("base", "new")
        )
        return _Judged(
            comparison=comparison, saved=saved.report, base=saved.report, new=other.report
        )
    # On use: it imports what measures.
    from lexer_core.comparison.rerun_execution import execute_rerun

    result = execute_rerun(saved, new, input, threshold=threshold, **rerun_arguments)
    return _Judged(
        comparison=result.comparison, saved=saved.report, base=result.base, new=result.new
    )


def _is_run(new: Any) -> bool:
    if isinstance(new, BenchmarkReport):
        return True
    return isinstance(new, str | os.PathLike) and Path(new).suffix.lower() in _RUN_SUFFIXES


def _sorted_out(judged: _Judged, rows: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return what refutes the claim, and what leaves it undecided, in a line for each row.

    Raises
    ------
    UsageError
        The base has no results for a requested row, or for any.
    """
    measured = [row.label for row in judged.saved if row.status == "ok"]
    missing = [name for name in rows or () if name not in measured]
    if missing or not measured:
        raise UsageError(
            f"the base has no results for {', '.join(map(repr, missing)) or 'any row'}.",
            hint=f"Rows with results: {', '.join(measured) or 'none'}.",
        )
    refuted, left = [], []
    for case in _cases(judged.comparison, measured if rows is None else rows):
        saved, new = judged.saved[case.label], _row(judged.new, case.label)
        if _became_wrong(_row(judged.base, case.label), new):
            assert new is not None
            assert new.parity is not None
            refuted.append(f"{case.label}: its outputs became wrong: {new.parity.reason}")
        elif case.verdict == "REGRESSION":
            refuted.append(_line(case))
        elif case.verdict == "INCONCLUSIVE":
            left.append(_line(case))
        elif case.verdict == "NOT COMPARABLE":
            machine = new is None or is_missing_here(new) or _is_another_machine(judged, saved)
            (left if machine else refuted).append(_line(case))
    return refuted, left


def _cases(comparison: RunComparison, labels: Iterable[str]) -> list[CaseVerdict]:
    wanted = set(labels)
    return [case for case in comparison.cases if case.label in wanted]


def _row(report: BenchmarkReport, label: str) -> BenchmarkResult | None:
    return next((row for row in report if row.label == label), None)


def _is_another_machine(judged: _Judged, saved: BenchmarkResult) -> bool:
    return bool(machine_differences(judged.saved, judged.new, saved.device_name))


def _became_wrong(base: BenchmarkResult | None, new: BenchmarkResult | None) -> bool:
    return _is_wrong(new) and not _is_wrong(base)


def _is_wrong(row: BenchmarkResult | None) -> bool:
    return row is not None and row.parity is not None and row.parity.status == "fail"


def _line(case: CaseVerdict) -> str:
    parts = [f"{case.label}: {case.verdict}"]
    if case.ratio is not None:
        parts.append(f"{case.ratio.estimate:.3f}x the time of the base")
        if case.ratio.low is not None and case.ratio.high is not None:
            confidence = confidence_text(case.ratio.confidence)
            low, high = case.ratio.low, case.ratio.high
            parts.append(f"{confidence} interval {low:.3f}x to {high:.3f}x")
    if case.base_launches and case.new_launches:
        parts.append(f"launches: {case.base_launches} and {case.new_launches}")
    return ", ".join(parts) + (f"; {case.reason}" if case.reason else "")
