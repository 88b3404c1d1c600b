"""How does a load test run, from a model to the blocks of each configuration?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from lexer_core.benchmark.rounds import RoundsPlan
from lexer_core.benchmark.run import BenchmarkRun
from lexer_core.load_testing.launch import LoadLaunch
from lexer_core.load_testing.measure import LoadLog
from lexer_core.load_testing.session import LoadSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.benchmark.case_session import CaseSession
    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.benchmark.launch import Launch
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.load_testing.measure import LoadPlan
    from lexer_core.load_testing.setups import Setup
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.settings.table import Settings

__all__ = ["LoadRun"]

_SHARE_OF_ROUNDS = 0.08
"""Of the time, for the rounds that a benchmark would take, up to some seconds."""

_MOST_SECONDS_OF_ROUNDS = 5.0
_WARM_UP_SECONDS = 0.5


class LoadRun(BenchmarkRun):
    """One load test.

    Parameters
    ----------
    model, inputs, selection, settings, progress, others
        As for :class:`BenchmarkRun`; each configuration is a case.
    setups
        The instances of each case by label.
    plan
        What to measure.

    Attributes
    ----------
    logs
        What was measured of each case by label.
    """

    session_type: ClassVar[type[CaseSession]] = LoadSession
    has_many_cases = True

    def __init__(
        self,
        model: AdaptedModel | Path,
        inputs: object,
        selection: CaseSelection,
        settings: Settings,
        progress: ProgressCallback | None = None,
        *,
        setups: Mapping[str, Setup],
        plan: LoadPlan,
        others: Mapping[str, ModelUnderTest] | None = None,
    ) -> None:
        warm_up = min(settings.warm_up_seconds, _WARM_UP_SECONDS)
        super().__init__(
            model,
            inputs,
            selection,
            attrs.evolve(settings, warm_up_seconds=warm_up, canary=False),
            progress,
            others=others,
        )
        self._setups = setups
        self._plan = plan
        self.logs = {case.label: LoadLog(plan.slo) for case in selection.cases}

    def _cpus(self, case: Case) -> int:
        setup = self._setups[case.label]
        return setup.instances * setup.threads

    def _copies(self, case: Case) -> int:
        setup = self._setups[case.label]
        return 1 if setup.shared_session else setup.instances

    def _launch_all(self) -> None:
        groups = self._groups(self._outcomes)
        if len(groups) > 1:
            self._timings.notes.append(
                f"the configurations do not all fit in memory: tested in {len(groups)} groups, "
                "each at another time"
            )
        whole = self._plan
        for group in groups:
            share = len(group) / sum(map(len, groups))
            seconds = whole.max_seconds * share
            rounds = min(_MOST_SECONDS_OF_ROUNDS, seconds * _SHARE_OF_ROUNDS)
            self._plan = attrs.evolve(whole, max_seconds=seconds - rounds)
            self._launch(
                group,
                0,
                RoundsPlan(max_seconds=rounds, min_seconds=0.0, first_round=self._rounds_done),
            )
            if self._stopped_because == "interrupted":
                return
        self._stopped_because = "load test"

    def _make_launch(self, **fields: Any) -> Launch:
        return LoadLaunch(**fields, setups=self._setups, load_plan=self._plan, logs=self.logs)
