"""What did the run of one case leave behind?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field, frozen

from lexer_core.benchmark.sample_log import SampleLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.benchmark.case_session import CompletionCheck, FinalFacts, LoadFacts
    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.warm_up import WarmUp
    from lexer_core.records import ExportedModel
    from lexer_core.results import Failure, Parity, ReferenceWorkloadTimes
    from lexer_core.results.saved_model import SavedModel

__all__ = ["CaseOutcome", "PreparedModel", "RunOutcome"]


@frozen(kw_only=True, eq=False)
class PreparedModel:
    """A model in the format that a case's engine loads.

    ``model_bytes`` is the live object of ``exported``, pickled by value, where
    it has one and is to travel. ``seconds`` is what making it cost when it was
    made, ``cached`` whether that was in an earlier run.
    """

    exported: ExportedModel
    model_bytes: bytes | None = None
    seconds: float = 0.0
    cached: bool = False
    notes: tuple[str, ...] = ()


@define(kw_only=True, eq=False)
class CaseOutcome:
    """Everything that is known of one case; filled while it runs."""

    case: Case
    log: SampleLog = field(factory=SampleLog)
    isolation: Literal["process", "none"] = "process"
    status: Literal["ok", "failed", "unsupported"] = "ok"
    failure: Failure | None = None
    prepared: PreparedModel | None = None
    load_facts: LoadFacts | None = None
    first_call_seconds: float | None = None
    warm_up: WarmUp | None = None
    completion: CompletionCheck | None = None
    final_facts: FinalFacts | None = None
    peak_memory_bytes: int | None = None
    parity: Parity | None = None
    warnings: list[str] = field(factory=list)
    printed: list[str] = field(factory=list)
    """What its workers printed, launch by launch."""


@frozen(kw_only=True, eq=False)
class RunOutcome:
    """Everything that a run left behind, before it is judged.

    ``seconds`` says where the time went, by phase; ``orders`` in which order the
    labels of a round took their blocks, by the round's number.
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
    input_specs: tuple[Any, ...] = ()
    model_name: str = "model"
    canary: ReferenceWorkloadTimes | None = None
    models: tuple[SavedModel, ...] = ()
    model_fingerprint: Mapping[str, str] = field(factory=dict)
