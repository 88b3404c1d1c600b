"""What does a person see of a running benchmark?"""

from __future__ import annotations

import io
import time

import pytest

from lexer_core.benchmark.progress import ProgressEvent
from lexer_core.reporting import progress as progress_module
from lexer_core.reporting.progress import ProgressDisplay, described


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_shows_phase_engine_estimate_and_time():
    stream, clock = Terminal(), Clock()

    with ProgressDisplay(stream, clock=clock) as display:
        clock.now = 9.0
        display(
            ProgressEvent(
                phase="rounds", done=0.5, message="24 rounds, torch 3.1x ±8%", seconds_left=21.0
            )
        )

    text = stream.getvalue()
    assert "measuring: 24 rounds, torch 3.1x ±8% (9 s, at most 21 s left)" in text
    assert "50%" in text


def test_elsewhere_there_is_a_line_every_few_seconds():
    stream, clock = io.StringIO(), Clock()

    with ProgressDisplay(stream, clock=clock) as display:
        for second in range(10):
            clock.now = float(second)
            display(ProgressEvent(phase="rounds", message=f"{second} rounds"))

    lines = stream.getvalue().splitlines()
    assert lines[0] == "lexer: measuring: 0 rounds (0 s)"
    assert lines[1:] == [f"lexer: measuring: {second} rounds ({second} s)" for second in (3, 6, 9)]


@pytest.mark.parametrize("phase", ["export", "prepare", "reference"])
def test_a_long_phase_that_says_nothing_still_shows_a_sign_of_life(phase, monkeypatch):
    monkeypatch.setattr(progress_module._Lines, "pause", 0.01)
    stream = io.StringIO()

    with ProgressDisplay(stream) as display:
        display(ProgressEvent(phase=phase, label="onnxruntime"))
        deadline = time.monotonic() + 30.0
        while stream.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.005)

    assert stream.getvalue().count("\n") >= 3


@pytest.mark.parametrize("phase", ["load", "warm_up", "rounds"])
def test_nothing_is_drawn_between_events_while_something_is_measured(phase, monkeypatch):
    monkeypatch.setattr(progress_module._Lines, "pause", 0.001)
    stream = io.StringIO()

    with ProgressDisplay(stream) as display:
        display(ProgressEvent(phase=phase))
        time.sleep(0.05)

    assert stream.getvalue().count("\n") == 1


def test_odd_events_and_those_after_the_end_are_harmless():
    display = ProgressDisplay(Terminal())
    with display:
        for done in (None, -1.0, 2.0, float("nan")):
            display(ProgressEvent(phase="[red]rounds\x1b[2J", label="[b]", done=done))

    display(ProgressEvent(phase="late"))


def test_control_characters_are_not_written():
    assert described(ProgressEvent(phase="x\x1b[2J", label="a\nb"), 0.0) == "x[2J ab (0 s)"


def test_a_closed_stream_does_not_end_the_benchmark():
    stream = io.StringIO()
    stream.close()

    with ProgressDisplay(_NoTerminal(stream)) as display:
        display(ProgressEvent(phase="rounds"))


class _NoTerminal:
    def __init__(self, stream):
        self.write, self.flush = stream.write, stream.flush

    def isatty(self):
        return False
