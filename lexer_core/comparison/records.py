"""What does a comparison of benchmarks contain?

Frozen, serializable records. A :class:`ComparisonData` has one :class:`RunPair`
for each run that was compared with the base; a pair has one
:class:`CaseVerdict` for each case.
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
"""The verdict on a case of the new run, compared with the same case of the base.

``REGRESSION``: the ratio's interval is above 1, and the ratio reaches the
threshold. ``IMPROVED``: the opposite. ``OK``: the interval ends below the
threshold. ``INCONCLUSIVE``: the samples support no other verdict.
``NOT COMPARABLE``: a ratio would not compare the two models; the reason says why.
"""

CASE_VERDICTS: tuple[VerdictOfCase, ...] = get_args(VerdictOfCase)

ComparisonMethod = Literal["canary", "rerun"]
"""``canary``: two saved runs, each launch relative to its reference workload.
``rerun``: both models measured again in interleaved rounds."""

ChangeKind = Literal["weights", "code", "versions", "environment", "options", "settings"]
"""What changed: the model's parameters; its code; installed software; the machine;
an engine's options; Lexer's settings."""


@frozen(kw_only=True)
class Change:
    """One difference between two runs.

    ``name`` is what differs (``"onnxruntime"``, ``"python"``); ``base`` and
    ``new`` are the values as text, empty if absent.
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
        The run's title in tables. Default: the file name without its suffix.
    path
        The file it was read from; empty for a report in memory.
    model_name
        The model's name.
    created_at
        When it was measured: UTC, ISO 8601.
    cpu_model
        The processor it was measured on.
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
        method ``canary``, each launch is relative to its reference workload.
        ``low`` and ``high`` are ``None`` if the launches do not bound the ratio;
        the ratio is ``None`` if it cannot be computed.
    method
        See :data:`ComparisonMethod`.
    reason
        Why the case is not comparable or inconclusive, or what qualifies the
        verdict; may be empty.
    changes
        What changed in this case only, such as its options.
    base_p50_ms, new_p50_ms
        The measured median latencies in milliseconds, not relative to the
        reference workload.
    base_launches, new_launches
        Numbers of launches that the ratio is based on.
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
        The smallest slowdown that counts, as a fraction: 0.05 is 5 %.
    threshold_reason
        Why: ``"as requested"``, or how quiet the hosts were.
    changes
        What changed between the runs as a whole.
    notes
        What a reader should know about the comparison.
    wrong_base
        Why the base's TARGET is not the model of the base but the new one; empty
        if it is not. A gate fails on it whatever the verdicts are.
    """

    base: ComparedRun
    new: ComparedRun
    cases: tuple[CaseVerdict, ...] = field(default=(), converter=_cases)
    threshold: float = number(0.02)
    threshold_reason: str = ""
    changes: tuple[Change, ...] = field(default=(), converter=_changes)
    notes: tuple[str, ...] = field(default=(), converter=texts)
    wrong_base: str = ""

    def __getitem__(self, label: str) -> CaseVerdict:
        for case in self.cases:
            if case.label == label:
                return case
        rows = ", ".join(case.label for case in self.cases) or "none"
        raise KeyError(f"no case is called {label!r}; cases: {rows}")

    def with_verdict(self, *verdicts: VerdictOfCase) -> tuple[CaseVerdict, ...]:
        """Return the cases that have one of these verdicts, in order."""
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
        One for each new run, all against the same base; at least one.
    method
        How the verdicts were reached; see :data:`ComparisonMethod`.
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
        """The cases of all pairs that became slower."""
        return self.with_verdict("REGRESSION")

    def with_verdict(self, *verdicts: VerdictOfCase) -> tuple[CaseVerdict, ...]:
        """Return the cases of all pairs that have one of these verdicts, in order."""
        return tuple(case for pair in self.pairs for case in pair.with_verdict(*verdicts))

    def __getitem__(self, label: str) -> CaseVerdict:
        """Return a case by its label; with several pairs, index the pair instead."""
        if len(self.pairs) > 1:
            raise KeyError(
                f"{len(self.pairs)} runs were compared with the base: choose one, "
                f"as in pairs[0][{label!r}]"
            )
        return self.pairs[0][label]

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{case.label} {case.verdict}" for case in self.cases)
        return f"<{type(self).__name__} by {self.method}: {verdicts or 'no cases'}>"
