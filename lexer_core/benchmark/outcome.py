"""What are the results of a run, before they are analysed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field, frozen

from lexer_core.benchmark.sample_log import SampleLog
from lexer_core.records import ExportedModel  # noqa: TC001  part of a reply's declared type

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.benchmark.case_records import CompletionCheck, FinalFacts, LoadFacts
    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.fresh_calls import FreshCalls
    from lexer_core.benchmark.warm_up import WarmUp
    from lexer_core.results import Failure, Parity, ReferenceWorkloadTimes
    from lexer_core.results.profile import Profile
    from lexer_core.results.saved_model import SavedModel
    from lexer_core.statistics import RoundWarmUp

__all__ = ["CaseOutcome", "PreparedModel", "RunOutcome"]


@frozen(kw_only=True, eq=False)
class PreparedModel:
    """A model in a format that the case's engine accepts.

    ``model_file`` contains the live model of ``exported``, saved by value to be sent to
    another process. ``seconds`` is the time of the export, ``cached`` whether it was
    made in an earlier run, ``known_wrong`` whether making it again is of no use, and
    ``exporter`` the engine that made it.
    """

    exported: ExportedModel
    model_file: Path | None = None
    seconds: float = 0.0
    cached: bool = False
    known_wrong: bool = False
    exporter: str = ""
    notes: tuple[str, ...] = ()


@define(kw_only=True, eq=False)
class CaseOutcome:
    """All results of one case, filled in while it runs."""

    case: Case
    log: SampleLog = field(factory=SampleLog)
    isolation: Literal["process", "none"] = "process"
    status: Literal["ok", "failed", "unsupported"] = "ok"
    failure: Failure | None = None
    prepared: PreparedModel | None = None
    load_facts: LoadFacts | None = None
    first_call_seconds: float | None = None
    warm_up: WarmUp | None = None
    settling: RoundWarmUp | None = None
    """Whether it settled during the rounds; of several launches, the first in which it did not."""
    completion: CompletionCheck | None = None
    fresh_calls: FreshCalls | None = None
    final_facts: FinalFacts | None = None
    peak_memory_bytes: int | None = None
    device_peak_memory_bytes: int | None = None
    parity: Parity | None = None
    not_comparable: str = ""
    """Why it does not do the same work as the model; empty if it does."""
    profile: Profile | None = None
    warnings: list[str] = field(factory=list)
    printed: list[str] = field(factory=list)
    """The output of its workers, by launch."""


@frozen(kw_only=True, eq=False)
class RunOutcome:
    """All results of a run, before they are analysed.

    ``seconds`` is the time spent in each phase; ``orders`` is the order in which the
    cases took their blocks, by the number of the round; ``looks`` is how often the rounds
    of a launch were looked at to decide whether to go on, at most, or 0 if their number
    was fixed; ``other_fingerprints`` are those of further models, by their keys;
    ``per_item`` is whether cases are compared by their time per item.
    """

    cases: tuple[CaseOutcome, ...]
    stopped_because: str
    seed: int
    threads: int
    batch_size: int | None
    dtype: str
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(factory=dict)
    orders: Mapping[int, tuple[str, ...]] = field(factory=dict)
    looks: int = 0
    per_item: bool = False
    input_specs: tuple[Any, ...] = ()
    model_name: str = "model"
    canary: ReferenceWorkloadTimes | None = None
    models: tuple[SavedModel, ...] = ()
    model_fingerprint: Mapping[str, str] = field(factory=dict)
    other_fingerprints: Mapping[str, Mapping[str, str]] = field(factory=dict)
