"""Does a load test find the highest rate that keeps to a limit, and say how certain that is?

On virtual time, with calls whose highest rate is known from theory.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from queueing_theory import highest_rate
from virtual_queue import VirtualMember, VirtualTime

from lexer_core.errors import UsageError, WorkerError
from lexer_core.load_testing.arrivals import Arrivals, read_arrivals
from lexer_core.load_testing.measure import LoadLog, LoadPlan, measure_load
from lexer_core.load_testing.search import RateSearch
from lexer_core.load_testing.slo import parse_slo

if TYPE_CHECKING:
    from lexer_core.load_testing.blocks import OpenBlock
    from lexer_core.load_testing.measure import Requests

SERVICE = 0.01


def logs_of(members, *, slo="p95<=40ms", seconds=2000.0, rates=(), seed=0, **plan):
    """Test members that share a clock, and return their logs."""
    objective = parse_slo(slo)
    logs = {member.label: LoadLog(objective) for member in members}
    clock = members[0].time.clock
    measure_load(
        members,
        LoadPlan(
            slo=objective,
            arrivals=Arrivals(name="poisson", seed=seed),
            max_seconds=seconds,
            rates=rates,
            **plan,
        ),
        logs,
        rng=random.Random(seed),
        clock=clock,
    )
    return logs


@pytest.fixture(scope="module")
def twenty():
    """Tests of the same calls, whose requests arrive at other times."""
    return [
        logs_of([VirtualMember("toy", lambda: SERVICE)], seconds=800.0, seed=seed)["toy"]
        for seed in range(20)
    ]


def test_the_highest_rate_is_within_five_percent_of_theory_in_18_of_20_tests(twenty):
    wanted = highest_rate(SERVICE, 1, 0.95, 0.04)
    rates = [log.bracket.low for log in twenty]

    assert sum(abs(rate / wanted - 1.0) <= 0.05 for rate in rates) >= 18


def test_verdicts_agree_with_theory(twenty):
    wanted = highest_rate(SERVICE, 1, 0.95, 0.04)
    points = [point for log in twenty for point in log.points.values()]
    certain = [each for each in points if each.verdict in ("passes", "fails")]
    wrong = [each for each in certain if (each.verdict == "passes") != (each.rate <= wanted)]

    assert len(certain) > 60
    assert len(wrong) <= 0.1 * len(certain)  # each rate is looked at after every block
    assert all(abs(each.rate / wanted - 1.0) < 0.05 for each in wrong)


def test_calls_that_take_longer_than_the_limit_keep_to_it_at_no_rate():
    member = VirtualMember("toy", lambda: 0.05)
    log = logs_of([member], seconds=100.0)["toy"]

    assert log.bracket.low is None
    assert {each.share for each in log.points.values()} == {0.0}


def test_given_rates_are_tried_and_no_others():
    member = VirtualMember("toy", lambda: SERVICE)
    points = logs_of([member], rates=(20.0, 60.0, 150.0))["toy"].points

    assert {rate: each.verdict for rate, each in points.items()} == {
        20.0: "passes",
        60.0: "passes",
        150.0: "fails",
    }
    assert points[150.0].ended_early
    assert "backlog" in points[150.0].reason
    assert not points[60.0].ended_early


def test_an_overloaded_rate_takes_little_of_the_time():
    member = VirtualMember("toy", lambda: SERVICE)
    log = logs_of([member], rates=(300.0,), seconds=600.0)["toy"]

    assert log.points[300.0].verdict == "fails"
    assert member.time.now < 0.2 * 600.0


def test_configurations_take_turns():
    time = VirtualTime()
    order: list[str] = []

    class Member(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            order.append(self.label)
            return super().open(requests)

    members = [Member(name, lambda: SERVICE, engine=name, time=time) for name in ("a", "b")]
    logs_of(members, seconds=60.0)

    rounds = [sorted(order[at : at + 2]) for at in range(0, 10, 2)]
    assert rounds == [["a", "b"]] * 5


def test_a_configuration_that_cannot_be_the_best_of_its_engine_is_not_tested_under_load():
    time = VirtualTime()
    fast = VirtualMember("fast", lambda: SERVICE, time=time)
    slow = VirtualMember("slow", lambda: 3 * SERVICE, time=time)
    other = VirtualMember("other", lambda: 3 * SERVICE, engine="other", time=time)
    logs = logs_of([fast, slow, other], seconds=60.0)

    assert logs["fast"].points
    assert logs["other"].points
    assert not logs["slow"].points
    assert "not tested under load" in logs["slow"].skipped


def test_a_configuration_that_fails_does_not_end_the_test_of_the_others():
    time = VirtualTime()

    class Failing(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            raise WorkerError("it fell over")

    failing = Failing("failing", lambda: SERVICE, engine="failing", time=time)
    logs = logs_of([failing, VirtualMember("toy", lambda: SERVICE, time=time)], seconds=60.0)

    assert failing.failure is not None
    assert not logs["failing"].points
    assert logs["toy"].bracket.low is not None


def test_an_interrupt_leaves_the_finished_points():
    class Interrupted(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            if len(self.offered) == 3:
                raise KeyboardInterrupt
            return super().open(requests)

    member = Interrupted("toy", lambda: SERVICE)
    slo = parse_slo("p95<=40ms")
    logs = {"toy": LoadLog(slo)}
    plan = LoadPlan(slo=slo, arrivals=Arrivals(name="poisson"), max_seconds=100.0)
    with pytest.raises(KeyboardInterrupt):
        measure_load([member], plan, logs, rng=random.Random(0), clock=member.time.clock)

    assert len(logs["toy"].points) == 3


def test_a_rate_is_withheld_if_requests_were_dispatched_late():
    class Late(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            block = super().open(requests)
            block.lateness[::2] = 0.001
            return block

    points = logs_of([Late("toy", lambda: SERVICE)], rates=(20.0,), seconds=60.0)["toy"].points

    assert points[20.0].verdict == "withheld"
    assert "1 ms late" in points[20.0].reason


def test_a_block_that_was_dispatched_late_is_left_out():
    class Disturbed(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            block = super().open(requests)
            if len(self.offered) == 1:
                block.lateness[:] = 0.1
                block.starts[:] += 0.1
                block.ends[:] += 0.1
            return block

    points = logs_of([Disturbed("toy", lambda: SERVICE)], rates=(20.0,), seconds=200.0)
    point = points["toy"].points[20.0]

    assert point.verdict == "passes"
    assert (point.late_blocks, point.share) == (1, pytest.approx(1.0, abs=0.02))


def test_calls_that_take_too_long_fail_however_late_requests_were_dispatched():
    class Late(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            block = super().open(requests)
            block.lateness[:] = 0.001
            return block

    points = logs_of([Late("toy", lambda: 0.05)], rates=(5.0,), seconds=60.0)["toy"].points

    assert points[5.0].verdict == "fails"
    assert "calls alone" in points[5.0].reason


def test_rates_that_are_withheld_are_tried_again_and_no_lower_ones():
    class Late(VirtualMember):
        def open(self, requests: Requests) -> OpenBlock:
            block = super().open(requests)
            block.lateness[:] = 0.001
            return block

    points = logs_of([Late("toy", lambda: SERVICE)], seconds=100.0)["toy"].points

    assert min(points) >= 0.48 * 100.0
    assert {point.verdict for point in points.values()} == {"withheld"}
    assert all(point.blocks > 1 for point in points.values())


def test_batches_serve_more_requests():
    single = VirtualMember("single", lambda: SERVICE)
    batched = VirtualMember("batched", lambda: SERVICE, batch=8)
    alone = logs_of([single])["single"].bracket.low
    together = logs_of([batched], batch_wait=0.005)["batched"].bracket.low

    assert together > 3 * alone


def test_the_search_ends_when_both_sides_are_certain():
    member = VirtualMember("toy", lambda: SERVICE)
    log = logs_of([member], slo="p90<=100ms", seconds=20_000.0)["toy"]
    search = RateSearch(log.capacity(1), 0.9, expected=log.predicted)

    assert search.next_rate(log.points) is None
    assert log.points[log.bracket.low].verdict == "passes"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("p99", "not a limit on the latency"),
        ("p99>=50ms", "not a limit on the latency"),
        ("mean<=50ms", "not a limit on the latency"),
        ("p100<=50ms", "above 0 and below 100"),
        ("p99<=50parsecs", "not a unit of time"),
        ("p99<=0ms", "no request"),
        ("p99<=1.2.3ms", "not a number"),
    ],
)
def test_a_limit_that_is_none_is_refused(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        parse_slo(text)


@pytest.mark.parametrize("text", ["p99<=50ms", "p99 <= 0.05 s", "p99<50ms", "P99<=5e4us".lower()])
def test_a_limit_may_be_written_in_several_ways(text):
    slo = parse_slo(text)

    assert (slo.percent, slo.seconds) == (99.0, pytest.approx(0.05))
    assert slo.text == "p99 ≤ 50 ms"


def test_arrivals_of_a_file_can_be_had_at_any_rate(tmp_path):
    path = tmp_path / "times.txt"
    times = np.cumsum(np.random.default_rng(0).exponential(0.1, size=500))
    path.write_text("\n".join(map(str, times)))
    arrivals = read_arrivals(str(path))

    assert arrivals.rate == pytest.approx(10.0, rel=0.2)
    due = arrivals.times(50.0, 8.0, 0)
    assert len(due) == pytest.approx(400, rel=0.1)
    assert np.diff(due)[:50] / np.diff(times)[1:51] == pytest.approx(arrivals.rate / 50.0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("0\n1\n", "at least 10"),
        ("0 1 2 3 4 5 4 7 8 9 10", "time 7 is before"),
        ("one two three", "cannot be read"),
        ("0 " * 20, "all requests have the same time"),
        ("0 1 2 3 4 5 6 7 8 9 nan", "at least 10 finite"),
    ],
)
def test_a_file_without_arrivals_is_refused(tmp_path, content, complaint):
    path = tmp_path / "times.txt"
    path.write_text(content)

    with pytest.raises(UsageError, match=complaint):
        read_arrivals(str(path))


def test_arrivals_that_are_neither_a_process_nor_a_file_are_refused():
    with pytest.raises(UsageError, match="neither 'poisson' nor 'constant' nor a file"):
        read_arrivals("gaussian")
