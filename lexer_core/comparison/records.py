"""What does a comparison of benchmarks say?

Frozen, serialisable records. A :class:`ComparisonData` holds one
:class:`RunPair` for each run that was compared with the base, and a pair one
:class:`CaseVerdict` for each case, by whichever method the verdict came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from attrs import field, frozen, validators

from lexer_core.results.attrs_fields import count, number, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.results.result_records import Interval

__all__ = [
    "CASE_VERDICTS",
    "CaseVerdict",
    "Change",
    "ChangeKind",
    "ComparedRun",
    "ComparisonData",
    "ComparisonMethod",
    "RunPair",
    "VerdictOfCase",
]

VerdictOfCase = Literal["REGRESSION", "OK", "IMPROVED", "INCONCLUSIVE", "NOT COMPARABLE"]
"""What is said of a case of the new run against the same case of the base.

``REGRESSION``: the interval of the ratio lies above 1, and the ratio is at or
beyond the threshold. ``IMPROVED``: the same, turned round. ``OK``: the interval
ends below the threshold. ``INCONCLUSIVE``: the samples do not decide it.
``NOT COMPARABLE``: a ratio would not be of the two models (the reason says why).
"""

CASE_VERDICTS: tuple[VerdictOfCase, ...] = get_args(VerdictOfCase)

ComparisonMethod = Literal["canary", "rerun"]
"""``canary``: two saved runs, each measured against its own canary, launch by
launch. ``rerun``: both models measured again, taking turns."""

ChangeKind = Literal["weights", "code", "versions", "environment", "options", "settings"]
"""What changed: the numbers in the model; what it does with them; installed
software; the machine; an engine's options; how it was measured."""


@frozen(kw_only=True)
class Change:
    """One thing that is not the same in both runs.

    ``name`` says which (``"onnxruntime"``, ``"python"``); ``base`` and ``new``
    what it was, as text, and empty where it was not there.
    """

    kind: ChangeKind = field(validator=validators.in_(get_args(ChangeKind)))
    name: str
    base: str = ""
    new: str = ""

    def __str__(self) -> str:
        if not self.base and not self.new:
            return self.name
        return f"{self.name}: {self.base or 'none'} → {self.new or 'none'}"


# Named, because mypy loses the element type of the bare ``tuple`` as a converter.
def _changes(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(changes)


@frozen(kw_only=True)
class ComparedRun:
    """One of the runs.

    Parameters
    ----------
    title
        What tables call it: the file's name without its ending, unless the
        caller names it.
    path
        The file that it came from; empty for a report at hand.
    model_name
        What its user calls the model.
    created_at
        When it was measured: UTC, ISO 8601.
    cpu_model
        On which processor.
    """

    title: str
    path: str = ""
    model_name: str = ""
    created_at: str = ""
    cpu_model: str = ""


@frozen(kw_only=True)
class CaseVerdict:
    """One case of the new run against the same case of the base.

    Parameters
    ----------
    label
        The row's name, the same in both runs.
    verdict
        See :data:`VerdictOfCase`.
    ratio
        Time of the new run over time of the base: above 1 is slower. With
        method ``canary`` each launch was divided by its own canary before.
        ``low`` and ``high`` are ``None`` where the launches do not bound it;
        the whole is ``None`` where nothing can be divided.
    method
        See :data:`ComparisonMethod`.
    reason
        Why it is not comparable or not decided; what weakens the verdict
        otherwise, or empty.
    changes
        What changed in this case alone (its engine's version, its options).
    base_p50_ms, new_p50_ms
        The medians of the latency as they were measured, in milliseconds, not
        set against a canary.
    base_launches, new_launches
        Launches that the ratio comes from.
    """

    label: str
    verdict: VerdictOfCase = field(validator=validators.in_(CASE_VERDICTS))
    ratio: Interval | None = None
    method: ComparisonMethod = field(
        default="canary", validator=validators.in_(get_args(ComparisonMethod))
    )
    reason: str = ""
    changes: tuple[Change, ...] = field(default=(), converter=_changes)
    base_p50_ms: float | None = number()
    new_p50_ms: float | None = number()
    base_launches: int | None = count()
    new_launches: int | None = count()


# Named for mypy, as above.
def _cases(cases: Iterable[CaseVerdict]) -> tuple[CaseVerdict, ...]:
    return tuple(cases)


@frozen(kw_only=True)
class RunPair:
    """One run against the base.

    Parameters
    ----------
    base, new
        The two runs.
    cases
        One for each case of either run, those of the base first.
    threshold
        The smallest slowdown that counts, as a share: 0.05 is 5 %.
    threshold_reason
        Where the threshold comes from: ``"as asked for"``, or what was seen of
        the host.
    changes
        What changed between the runs as a whole.
    notes
        What a reader should know of the comparison.
    """

    base: ComparedRun
    new: ComparedRun
    cases: tuple[CaseVerdict, ...] = field(default=(), converter=_cases)
    threshold: float = number(0.02)
    threshold_reason: str = ""
    changes: tuple[Change, ...] = field(default=(), converter=_changes)
    notes: tuple[str, ...] = field(default=(), converter=texts)

    def __getitem__(self, label: str) -> CaseVerdict:
        for case in self.cases:
            if case.label == label:
                return case
        rows = ", ".join(case.label for case in self.cases) or "none"
        raise KeyError(f"no case is called {label!r}; cases: {rows}")

    def with_verdict(self, *verdicts: VerdictOfCase) -> tuple[CaseVerdict, ...]:
        """Give the cases that have one of these verdicts, in order."""
        return tuple(case for case in self.cases if case.verdict in verdicts)


# Named for mypy, as above.
def _pairs(pairs: Iterable[RunPair]) -> tuple[RunPair, ...]:
    return tuple(pairs)


@frozen(kw_only=True, repr=False)
class ComparisonData:
    """Every new run against the base.

    Parameters
    ----------
    pairs
        One for each new run, each against the same base; at least one.
    method
        How the verdicts came about; the same for all.
    """

    pairs: tuple[RunPair, ...] = field(converter=_pairs, validator=validators.min_len(1))
    method: ComparisonMethod = "canary"

    @property
    def base(self) -> ComparedRun:
        """The run that the others are compared with."""
        return self.pairs[0].base

    @property
    def cases(self) -> tuple[CaseVerdict, ...]:
        """The cases of all pairs, in order."""
        return tuple(case for pair in self.pairs for case in pair.cases)

    @property
    def regressions(self) -> tuple[CaseVerdict, ...]:
        """The cases that have become slower, in any of the pairs."""
        return self.with_verdict("REGRESSION")

    def with_verdict(self, *verdicts: VerdictOfCase) -> tuple[CaseVerdict, ...]:
        """Give the cases of all pairs that have one of these verdicts, in order."""
        return tuple(case for pair in self.pairs for case in pair.with_verdict(*verdicts))

    def __getitem__(self, label: str) -> CaseVerdict:
        """Give a case by its row's name; with several pairs, ask the pair."""
        if len(self.pairs) > 1:
            raise KeyError(
                f"{len(self.pairs)} runs were compared with the base: say in which of them, "
                f"as in pairs[0][{label!r}]"
            )
        return self.pairs[0][label]

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{case.label} {case.verdict}" for case in self.cases)
        return f"<{type(self).__name__} by {self.method}: {verdicts or 'no cases'}>"
