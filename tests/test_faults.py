"""Does a fault cost no more than its own row? A few of those of ``nox -s faults``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[1] / "faults"
sys.path.insert(0, str(FAULTS))

from fault_cases import CASES, Case, Lost  # noqa: E402  in a folder beside the tests
from fault_place import Done  # noqa: E402
from inject import inject  # noqa: E402

QUICK = [case for case in CASES if case.quick]


@pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_fault_costs_no_more_than_its_own_row(case: Case) -> None:
    outcome = inject(case)

    assert outcome


def test_a_lost_row_is_noticed() -> None:
    from fault_cases import measured

    with pytest.raises(Lost, match="row 'good': failed"):
        measured(Done(3, "", {"good": "failed"}))
    with pytest.raises(Lost, match="Traceback"):
        measured(Done(0, "Traceback (most recent call last)", {"good": "ok"}))
    with pytest.raises(Lost, match="left behind: process 7"):
        measured(Done(0, "", {"good": "ok"}, ["process 7"]))
    with pytest.raises(Lost, match="exit status -11"):
        measured(Done(-11, "", {"good": "ok"}))
