"""Which outputs are those of the cases compared with?

Those of the model itself; for a model that torch cannot run, such as an ``.onnx``
file, those of the first engine that ran it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.results import Parity
from lexer_core.validation import Float64Outputs, freezes_state, judge, with_second

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lexer_core.settings.table import Settings

    Outputs = Mapping[str, npt.NDArray[Any]]

__all__ = ["ONLY_LATER", "ParityJudge", "SecondJudge"]

ONLY_LATER = "correct in the first call, wrong after the last sample"
"""The beginning of a reason."""

_TURNED_OFF = "validation is turned off"


@frozen(kw_only=True, eq=False)
class SecondJudge:
    """Judges the outputs for second inputs.

    ``inputs`` has the arrays of the second inputs by name.
    """

    inputs: Mapping[str, npt.NDArray[Any]]
    judge: ParityJudge

    def add_to(self, parity: Parity, label: str, outputs: Outputs, *, computed: str = "") -> Parity:
        """Add the comparison of a case's outputs for second inputs to that for the first."""
        return with_second(parity, self.judge.judge(label, outputs, computed=computed))


class ParityJudge:
    """Judges outputs against one reference.

    Parameters
    ----------
    settings
        Tolerances, and whether outputs are judged at all.
    outputs
        The reference outputs. Default: the outputs of the first judged case.
    name
        The name of the reference.
    not_judged
        Why no output can be judged against it; empty if one can.
    stateful
        Whether calls change the model's state, so that only the first call can
        be compared.
    float64
        Returns the reference outputs in float64. Called at most once, and only
        if an output exceeds the tolerance.
    second
        Judges the outputs for second inputs.
    second_call
        The reference outputs of a second call, if the model keeps state that changes
        them.
    """

    def __init__(
        self,
        settings: Settings,
        outputs: Outputs | None = None,
        *,
        name: str = "",
        not_judged: str = "",
        stateful: bool = False,
        float64: Callable[[], Float64Outputs] | None = None,
        second: SecondJudge | None = None,
        second_call: Outputs | None = None,
    ) -> None:
        self._reference = outputs
        self._name = name
        self._off = "" if settings.validation else _TURNED_OFF
        self._not_judged = self._off or not_judged
        self._rtol = settings.rtol
        self._atol = settings.atol
        self._stateful = stateful
        self._ask_float64 = float64
        self.second = second
        self._second_call = second_call if settings.validation else None
        self._float64: Float64Outputs | None = None

    @property
    def has_reference(self) -> bool:
        """Whether the next outputs are compared, instead of becoming the reference."""
        return self._reference is not None

    def judge(self, label: str, outputs: Outputs, *, computed: str = "") -> Parity:
        """Judge the outputs of one case, by the precision that it was asked to compute in."""
        if self._reference is None:
            self._reference, self._name = dict(outputs), label
        if self._name == label:
            return Parity(
                status="not_judged",
                reference=label,
                reason="its outputs are the reference",
            )
        return judge(
            outputs,
            self._reference,
            reference_name=self._name,
            float64=self._in_float64 if self._ask_float64 is not None else None,
            rtol=self._rtol,
            atol=self._atol,
            not_judged=self._not_judged,
            computed=computed,
        )

    @property
    def compares_second_call(self) -> bool:
        """Whether the model keeps state, so that :meth:`freezes_state` can be asked."""
        return self._second_call is not None

    def judge_again(self, outputs: Outputs, first: Outputs, *, computed: str = "") -> Parity:
        """Judge the outputs of a later call by those of the first call of the same case."""
        return judge(
            outputs,
            first,
            reference_name="the first call",
            rtol=self._rtol,
            atol=self._atol,
            not_judged="the model keeps state between calls" if self._stateful else self._off,
            computed=computed,
        )

    def freezes_state(self, outputs: Outputs) -> bool:
        """Return whether a case's second call does not use the state that the first one left."""
        assert self._second_call is not None
        assert self._reference is not None
        return freezes_state(
            outputs, self._second_call, self._reference, rtol=self._rtol, atol=self._atol
        )

    def judge_tensor(
        self,
        output: Outputs,
        reference: Outputs,
        *,
        computed: str,
        float64: Callable[[], Float64Outputs],
    ) -> Parity:
        """Judge an intermediate result like an output."""
        return judge(
            output,
            reference,
            reference_name=self._name,
            float64=float64,
            rtol=self._rtol,
            atol=self._atol,
            computed=computed,
        )

    def judge_both(
        self, label: str, first: Outputs, last: Outputs, *, computed: str = ""
    ) -> Parity:
        """Judge the outputs of the first call and of one after the last sample.

        An engine that is right only once is wrong.
        """
        at_first = self.judge(label, first, computed=computed)
        if self._stateful:
            return at_first
        at_last = self.judge(label, last, computed=computed)
        if at_last.status == "fail" and at_first.status == "pass":
            return _because(at_last, ONLY_LATER)
        if at_first.status == "fail" and at_last.status == "pass":
            return _because(at_first, "wrong in the first call, correct after the last sample")
        return at_last

    def _in_float64(self) -> Float64Outputs:
        if self._float64 is None:
            assert self._ask_float64 is not None
            self._float64 = self._ask_float64()
        return self._float64


def _because(parity: Parity, reason: str) -> Parity:
    return attrs.evolve(parity, reason=f"{reason}; {parity.reason}" if parity.reason else reason)
