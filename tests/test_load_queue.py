"""Is the queue of a load test that of queueing theory?

On virtual time, so that what is tested is the dispatch and not the machine.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from queueing_theory import mean_wait, wait_quantile
from virtual_queue import VirtualThreads, VirtualTime

from lexer_core.load_testing.arrivals import Arrivals
from lexer_core.load_testing.dispatch import Queue, serve, serve_batches, serve_in_turn
from lexer_core.load_testing.precise_wait import PreciseWait
from lexer_core.load_testing.queueing import fifo_starts

SEEDS = 20
NEVER = 10**9


def queue_of(due, *, limit=math.inf, most_late=NEVER, longest_wait=math.inf):
    return Queue(list(due), limit=limit, most_late=most_late, longest_wait=longest_wait)


def waits_of_one_server(rate, services, seed):
    """Return the waits that the dispatcher gives requests on virtual time."""
    time = VirtualTime()
    due = Arrivals(name="poisson", seed=seed).times(rate, len(services) / rate, 0)[: len(services)]
    queue = queue_of(due)
    coming = iter(services.tolist())
    serve(queue, lambda: time.work(next(coming)), clock=time.clock, wait_until=time.wait_until)
    return np.array(queue.starts) - np.array(queue.due)


def test_exponential_calls_wait_as_in_m_m_1():
    rate, service, count = 60.0, 0.01, 20_000
    load = rate * service
    means, tails = [], []
    for seed in range(SEEDS):
        services = np.random.default_rng(seed + 100).exponential(service, size=count)
        waits = waits_of_one_server(rate, services, seed)
        means.append(waits.mean())
        tails.append(np.percentile(waits, 99))

    assert np.mean(means) == pytest.approx(load * service / (1 - load), rel=0.03)
    # P(wait > t) = load · exp(-(1 - load) t / service)
    expected = service / (1 - load) * math.log(load / 0.01)
    assert np.mean(tails) == pytest.approx(expected, rel=0.05)


def test_constant_calls_wait_as_in_m_d_1():
    rate, service, count = 60.0, 0.01, 20_000
    load = rate * service
    waits = [waits_of_one_server(rate, np.full(count, service), seed) for seed in range(SEEDS)]

    mean = np.mean([each.mean() for each in waits])
    assert mean == pytest.approx(load * service / (2 * (1 - load)), rel=0.03)
    tail = np.mean([np.percentile(each, 99) for each in waits])
    assert tail == pytest.approx(wait_quantile(rate, service, 1, 0.99), rel=0.05)


def test_two_servers_wait_as_in_m_d_2():
    rate, service, count = 140.0, 0.01, 20_000
    waits = []
    for seed in range(SEEDS):
        due = Arrivals(name="poisson", seed=seed).times(rate, count / rate, 0)
        waits.append(fifo_starts(due, np.full(len(due), service), 2) - due)

    mean = np.mean([each.mean() for each in waits])
    assert mean == pytest.approx(mean_wait(rate, service, 2), rel=0.03)
    tail = np.mean([np.percentile(each, 99) for each in waits])
    assert tail == pytest.approx(wait_quantile(rate, service, 2, 0.99), rel=0.05)


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_threads_begin_each_request_when_it_has_arrived_and_one_of_them_is_free(servers):
    service, count = 0.01, 300
    rate = 0.8 * servers / service
    due = Arrivals(name="poisson", seed=5).times(rate, count / rate, 0)
    services = np.full(len(due), service)
    time = VirtualThreads(servers)
    queue = queue_of(due)

    def one_of_them():
        serve(queue, lambda: time.work(service), clock=time.clock, wait_until=time.wait_until)

    time.run([one_of_them] * servers)

    assert queue.starts == pytest.approx(fifo_starts(due, services, servers).tolist())
    assert queue.ends == pytest.approx([start + service for start in queue.starts])


def test_a_stall_shows_in_the_tail_of_an_open_loop_and_not_of_a_closed_one():
    rate, service, stall, seconds = 50.0, 0.002, 1.0, 20.0
    calls = int(rate * seconds)

    def stalls_once():
        number = 0

        def call(time):
            nonlocal number
            number += 1
            time.work(stall if number == calls // 2 else service)

        return call

    opened, call = VirtualTime(), stalls_once()
    queue = queue_of(Arrivals(name="constant").times(rate, seconds, 0))
    serve(queue, lambda: call(opened), clock=opened.clock, wait_until=opened.wait_until)
    latencies = np.array(queue.ends) - np.array(queue.due)
    closed, call = VirtualTime(), stalls_once()
    turns = serve_in_turn(lambda: call(closed), seconds, clock=closed.clock)
    blind = [end - start for start, end in turns]

    # 50 requests arrive during the stall, of 1000. The k-th of them waits for its rest, and for
    # those before it: stall - k · (1 / rate - service).
    late = int(stall / (1 / rate - service))
    expected = sorted(stall - k * (1 / rate - service) for k in range(late))[-10]
    assert np.percentile(latencies, 99) == pytest.approx(expected, abs=0.02)
    assert np.percentile(blind, 99) == pytest.approx(service)


def test_an_overloaded_block_is_given_up():
    time = VirtualTime()
    due = Arrivals(name="poisson", seed=1).times(200.0, 60.0, 0)
    queue = queue_of(due, limit=0.05, most_late=120, longest_wait=0.1)

    serve(queue, lambda: time.work(0.01), clock=time.clock, wait_until=time.wait_until)

    assert queue.gave_up
    assert time.now < 3.0
    assert np.isnan(queue.ends[-1])


def test_a_backlog_that_is_drained_is_not_given_up():
    time = VirtualTime()
    due = Arrivals(name="constant").times(50.0, 20.0, 0)
    queue = queue_of(due, limit=0.05, most_late=10, longest_wait=20.0)
    services = iter([0.002] * 400 + [1.0] + [0.002] * 600)

    serve(queue, lambda: time.work(next(services)), clock=time.clock, wait_until=time.wait_until)

    assert not queue.gave_up
    assert np.isfinite(queue.ends).all()


def test_a_batch_begins_when_it_is_full_or_its_first_request_has_waited_long_enough():
    time = VirtualTime()
    queue = queue_of([0.0, 0.001, 0.002, 0.5, 0.9, 0.901])

    serve_batches(
        queue,
        lambda: time.work(0.05),
        most=3,
        longest=0.01,
        clock=time.clock,
        wait_until=time.wait_until,
    )

    assert queue.starts == pytest.approx([0.002, 0.002, 0.002, 0.51, 0.91, 0.91])


def test_requests_that_wait_while_a_batch_is_served_go_into_the_next_one():
    time = VirtualTime()
    queue = queue_of([0.0, 0.02, 0.03, 0.04])

    serve_batches(
        queue,
        lambda: time.work(0.05),
        most=8,
        longest=0.0,
        clock=time.clock,
        wait_until=time.wait_until,
    )

    assert queue.starts == pytest.approx([0.0, 0.05, 0.05, 0.05])


def test_a_thread_sleeps_until_shortly_before_a_time_and_spins_for_the_rest():
    now = 10.0
    slept = []

    def clock():
        nonlocal now
        now += 1e-6
        return now

    def sleep(seconds):
        nonlocal now
        slept.append(seconds)
        now += seconds + 2e-5  # it wakes up late

    wait = PreciseWait(clock, sleep)
    wait(10.5)

    assert now == pytest.approx(10.5, abs=3e-6)
    assert slept == [pytest.approx(0.5, abs=1e-3)]
    assert 0.0 < wait.spun < 1e-3


def test_time_for_which_another_process_had_the_cpu_was_not_spun():
    clock, cpu_clock = iter(np.arange(0.0, 1.0, 1e-5)), iter((3.0, 3.00002))
    wait = PreciseWait(lambda: next(clock), lambda seconds: None, lambda: next(cpu_clock))
    wait(1e-3)

    assert wait.spun == pytest.approx(2e-5)


@pytest.mark.parametrize("name", ["poisson", "constant"])
def test_a_block_ends_in_time_although_requests_are_rare(name):
    arrivals = Arrivals(name=name, seed=3)

    for block in range(20):
        times = arrivals.times(0.01, 0.5, block)
        assert len(times) == 1
        assert 0.0 <= times[0] <= 0.5


def test_rates_have_the_same_gaps_in_units_of_the_mean_gap():
    arrivals = Arrivals(name="poisson", seed=3)
    slow, fast = arrivals.times(10.0, 20.0, 1), arrivals.times(40.0, 5.0, 1)

    assert slow == pytest.approx(4 * fast)
    assert not np.array_equal(arrivals.times(10.0, 20.0, 2)[:50], slow[:50])
