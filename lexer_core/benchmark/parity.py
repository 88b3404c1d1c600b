"""What are the outputs of the cases compared with?

With the model's own; for an ``.onnx`` file, which no framework here runs, with
those of the first engine that ran it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.results import Parity
from lexer_core.validation import Float64Outputs, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Outputs = Mapping[str, npt.NDArray[Any]]

__all__ = ["ParityJudge"]


class ParityJudge:
    """Judges outputs against one reference.

    Parameters
    ----------
    reference
        The reference's outputs; ``None``: those of the first case judged.
    name
        What the reference is called.
    not_judged
        Why nothing can be judged against it; empty where it can.
    float64
        Gives the outputs in float64. Asked at most once, and only when the
        plain tolerance is exceeded.
    rtol, atol
        Tolerances of the user's own.
    stateful
        Whether the model changes from call to call, by what it keeps: then its
        first call is all that can be compared.
    """

    def __init__(
        self,
        reference: Outputs | None = None,
        *,
        name: str = "",
        not_judged: str = "",
        float64: Callable[[], Float64Outputs] | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        stateful: bool = False,
    ) -> None:
        self._reference = reference
        self._name = name
        self._not_judged = not_judged
        self._ask_float64 = float64
        self._float64: Float64Outputs | None = None
        self._rtol = rtol
        self._atol = atol
        self._stateful = stateful

    def judge(self, label: str, outputs: Outputs) -> Parity:
        """Judge the outputs of one case."""
        if self._reference is None:
            self._reference, self._name = dict(outputs), label
        if self._name == label:
            return Parity(
                status="not_judged",
                reference=label,
                reason="they are the reference",
            )
        return judge(
            outputs,
            self._reference,
            reference_name=self._name,
            float64=self._in_float64 if self._ask_float64 is not None else None,
            rtol=self._rtol,
            atol=self._atol,
            not_judged=self._not_judged,
        )

    def judge_both(self, label: str, first: Outputs, last: Outputs) -> Parity:
        """Judge the outputs of the first call and those after the last sample.

        An engine that is right once and wrong later, or the other way round, is
        wrong.
        """
        at_first = self.judge(label, first)
        if self._stateful:
            return at_first
        at_last = self.judge(label, last)
        if at_last.status == "fail" and at_first.status == "pass":
            return _because(at_last, "right in the first call, wrong after the last sample")
        if at_first.status == "fail" and at_last.status == "pass":
            return _because(at_first, "wrong in the first call, right after the last sample")
        return at_last

    def _in_float64(self) -> Float64Outputs:
        if self._float64 is None:
            assert self._ask_float64 is not None
            self._float64 = self._ask_float64()
        return self._float64


def _because(parity: Parity, reason: str) -> Parity:
    return attrs.evolve(parity, reason=f"{reason}; {parity.reason}" if parity.reason else reason)
