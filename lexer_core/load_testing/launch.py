"""How does a launch go whose cases are tested under load?

Like that of a benchmark, with fewer rounds: import, load, first call, warm-up, rounds,
and the judgement of outputs. Then the instances are started and serve requests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.benchmark.error_isolation import contained, record_failure
from lexer_core.benchmark.launch import Launch, computed_in
from lexer_core.errors import UnsupportedError
from lexer_core.load_testing.live_member import LiveMember
from lexer_core.load_testing.measure import LoadLog, measure_load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.load_testing.measure import LoadPlan
    from lexer_core.load_testing.setups import Setup

__all__ = ["LoadLaunch"]


@frozen(kw_only=True, eq=False)
class LoadLaunch(Launch):
    """A launch, followed by a load test.

    Parameters
    ----------
    setups
        The instances of each case by label.
    load_plan
        What to measure.
    logs
        A log for each label, to fill.
    """

    setups: Mapping[str, Setup] = field(factory=dict)
    load_plan: LoadPlan
    logs: Mapping[str, LoadLog] = field(factory=dict)

    def _after_outputs(self) -> None:
        started: dict[str, LiveMember] = {}
        self._each("load_test", lambda outcome, case: self._start(outcome, case, started))

        def tell(label: str, what: str, share: float) -> None:
            left = max(0.0, (1.0 - share) * self.load_plan.max_seconds)
            self.timings.report("load_test", label, done=share, message=what, seconds_left=left)

        with self.timings.timed("load_test"):
            measure_load(
                list(started.values()),
                self.load_plan,
                self.logs,
                rng=self.rng,
                clock=time.perf_counter,
                on_block=tell,
            )
        for outcome, case in self.members:
            if case.label not in started:
                continue
            if case.failure is None:
                with contained(outcome, case=case):
                    started[case.label].check_outputs()
            else:
                record_failure(outcome, case.failure, phase=case.phase, case=case)

    def _start(self, outcome: CaseOutcome, case: LiveCase, started: dict[str, LiveMember]) -> None:
        """Start the instances of a case whose outputs are right."""
        if outcome.not_comparable or (outcome.parity and outcome.parity.status == "fail"):
            case.phase = "parity"
            reason = outcome.not_comparable or "its outputs are wrong"
            self.logs[case.label].skipped = f"not tested under load: {reason}"
            return
        member = LiveMember(
            case,
            outcome.case.engine,
            self.spec_of(outcome, case),
            self.models[outcome.case.model].judge,
            computed_in(outcome, case),
            self.setups[case.label],
            self.settings,
        )
        with contained(outcome, case=case):
            try:
                member.start()
            except UnsupportedError as error:
                # Its row has the numbers of a benchmark.
                self.logs[case.label].skipped = f"not tested under load: {error.message}"
                return
            started[case.label] = member
