"""In which module do the results of an engine first differ from those of the model?

The tensors that modules take and return are compared in the order of their calls. The
first one that differs tells the innermost module whose inputs still agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from lexer_core.errors import LexerError
from lexer_core.results import FirstDifference
from lexer_core.validation import NOT_FINITE, Float64Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.module_trace import ModuleTrace
    from lexer_core.export.module_tensors import MatchedTensor
    from lexer_core.model.module_calls import ModuleTensor
    from lexer_core.records import TensorSpec
    from lexer_core.results import Parity

    Arrays = Mapping[str, npt.NDArray[Any]]

_DISAPPEARS = (
    "the difference disappears when intermediate results are kept: a fused kernel, perhaps"
)
_DISAPPEARS_INSIDE = (
    "the difference disappears when results inside it are kept: a fused kernel, perhaps"
)

__all__ = ["ComparedSides", "find_first_difference"]


class ComparedSides(Protocol):
    """The engine and the reference."""

    def run(self, specs: Sequence[TensorSpec]) -> Arrays:
        """Return the engine's outputs and further tensors of its graph."""

    def agree(self, outputs: Arrays) -> bool:
        """Return whether the engine's outputs are right."""

    def values(self, numbers: Sequence[int], *, wide: bool) -> Arrays:
        """Return tensors of the model's modules by number, perhaps in float64."""

    def judge_tensor(
        self, output: Arrays, reference: Arrays, float64: Callable[[], Float64Outputs]
    ) -> Parity:
        """Compare a tensor of the engine with the model's."""


def find_first_difference(
    trace: ModuleTrace,
    sides: ComparedSides,
    *,
    most_bytes: int,
    out_of_time: Callable[[], bool],
) -> FirstDifference:
    """Find the first module whose results differ.

    Parameters
    ----------
    trace
        The tensors that can be compared.
    sides
        Returns their values.
    most_bytes
        How many bytes of them are compared at once.
    out_of_time
        Whether to give up before the next ones are compared.
    """
    if trace.reason:
        return FirstDifference(reason=trace.reason)
    search = _Search(trace, sides)
    if not trace.matched:
        return FirstDifference(
            skipped=search.skipped, reason="no module's result is known in the exported graph"
        )
    for part in _parts(trace, most_bytes):
        if part[0] > 0 and out_of_time():
            return search.unknown("the time did not suffice to compare the others")
        outputs = sides.run(trace.specs_of(part))
        if sides.agree(outputs):
            return search.in_fused(most_bytes, out_of_time)
        search.compare(part, outputs)
        found = search.first(is_last=part[-1] == len(trace.matched) - 1)
        if found is not None:
            return search.named(found)
    return search.at_the_end()


def _parts(trace: ModuleTrace, most_bytes: int) -> Iterator[range]:
    """Yield positions of matched tensors that together are not too large."""
    start = size = 0
    for position in range(len(trace.matched)):
        needed = trace.size_of(position)
        if position > start and size + needed > most_bytes:
            yield range(start, position)
            start, size = position, 0
        size += needed
    yield range(start, len(trace.matched))


class _Search:
    """What is known so far of the tensors of one trace."""

    def __init__(self, trace: ModuleTrace, sides: ComparedSides) -> None:
        self._trace = trace
        self._sides = sides
        self._judged: dict[int, Parity] = {}
        self._known = {each.tensor for each in trace.matched} | set(trace.again)

    @property
    def skipped(self) -> int:
        """The number of modules whose results are not known in the graph."""
        returning = {each.module for each in self._trace.tensors if not each.is_input}
        return len(returning - self._returning(self._known))

    def compare(self, part: Sequence[int], outputs: Arrays) -> None:
        """Judge the tensors at some positions."""
        numbers = [self._trace.matched[position].tensor for position in part]
        reference = self._sides.values(numbers, wide=False)
        float64 = _Once(lambda: self._wide(numbers))
        for position in part:
            matched = self._trace.matched[position]
            self._judged[position] = self._judge(matched, outputs, reference, float64)

    def _judge(
        self, matched: MatchedTensor, outputs: Arrays, reference: Arrays, float64: _Once
    ) -> Parity:
        number = str(matched.tensor)
        judged = [
            self._sides.judge_tensor({number: outputs[name]}, {number: reference[number]}, float64)
            for name in matched.names
        ]
        # Of several that cannot be told apart, the right one is the most similar.
        return min(
            judged, key=lambda each: (each.status == "fail", each.rmse is None, each.rmse or 0.0)
        )

    def _wide(self, numbers: Sequence[int]) -> Float64Outputs:
        try:
            return Float64Outputs(outputs=self._sides.values(numbers, wide=True))
        except LexerError as error:
            return Float64Outputs(outputs=None, reason=error.message)

    def first(self, *, is_last: bool) -> int | None:
        """Return the position of the first tensor that differs, if it is certain.

        A difference that does not reach the next tensors is not the one to look for.
        ``is_last``: no further tensors will be judged.
        """
        for position, parity in sorted(self._judged.items()):
            if parity.status != "fail":
                continue
            matched = self._trace.matched[position]
            later = [self._judged.get(each) for each in matched.then]
            if matched.ends or any(each is not None and each.status == "fail" for each in later):
                return position
            if None in later:
                return position if is_last else None
        return None

    def in_fused(self, most_bytes: int, out_of_time: Callable[[], bool]) -> FirstDifference:
        """Find the innermost module that differs if nothing inside it is kept.

        The engine fuses what is not kept, so less is kept this time: only what the modules
        take and return that the model calls, then those that the wrong one of these calls.
        """
        found = self.unknown(_DISAPPEARS)
        positions = {each.tensor: at for at, each in enumerate(self._trace.matched)}
        inside, seen = "", {""}
        while not out_of_time():
            level: dict[int, int] = {}
            for number, each in enumerate(self._trace.tensors):
                if each.caller == inside and each.same_as in positions:
                    level.setdefault(positions[each.same_as], number)
            if not level or sum(map(self._trace.size_of, level)) > most_bytes:
                break
            outputs = self._sides.run(self._trace.specs_of(level))
            if self._sides.agree(outputs):
                break
            self._judged.clear()
            self.compare(sorted(level), outputs)
            position = self.first(is_last=True)
            if position is None:
                break
            found = attrs.evolve(
                self.named(position, level[position]), within=False, reason=_DISAPPEARS_INSIDE
            )
            if found.before or found.module is None or found.module in seen:
                break
            inside = found.module
            seen.add(inside)
        return found

    def named(self, position: int, number: int | None = None) -> FirstDifference:
        """Return the module whose result, or the next one's input, is at a position.

        ``number``: of a tensor that is the same. Default: the first one.
        """
        if number is None:
            number = self._trace.matched[position].tensor
        tensor = self._trace.tensors[number]
        if tensor.is_input:
            module, before = tensor.caller, tensor.module
        else:
            module, before = tensor.module, ""
        own = [each for each in self._trace.tensors if each.module == module]
        calls = [each.caller for each in self._trace.tensors]
        note = "; ".join(each.note for each in self._judged[position].outputs)
        not_finite = [part for part in note.split("; ") if NOT_FINITE in part]
        return self._result(
            module=module,
            kind=own[0].kind if own else "",
            call=self._call_around(number, module),
            calls=max((each.call for each in own), default=1),
            before=before,
            within=module in calls,
            others=(*self._others(number, module), *self._unseen_caller(tensor)),
            max_abs_error=None if not_finite else self._judged[position].max_abs_error,
            note=not_finite[0] if not_finite else note,
        )

    def at_the_end(self) -> FirstDifference:
        """Return that the model itself is wrong, after the last result that agrees."""
        others = self._others(len(self._trace.tensors), "")
        return self._result(module="", within=True, others=others)

    def unknown(self, reason: str) -> FirstDifference:
        """Return why no module is named."""
        return self._result(reason=reason)

    def _result(self, **facts: Any) -> FirstDifference:
        judged = {self._trace.matched[position].tensor for position in self._judged}
        compared = {
            number for number, each in enumerate(self._trace.tensors) if each.same_as in judged
        }
        return FirstDifference(
            compared=len(self._returning(compared)), skipped=self.skipped, **facts
        )

    def _returning(self, numbers: set[int]) -> set[str]:
        tensors = self._trace.tensors
        return {tensors[each].module for each in numbers if not tensors[each].is_input}

    def _call_around(self, number: int, module: str) -> int:
        """Return which call of a module has begun before a tensor, or ended with it."""
        before = self._trace.tensors[: number + 1]
        return max((each.call for each in before if each.module == module), default=1)

    def _unseen_caller(self, tensor: ModuleTensor) -> tuple[str, ...]:
        """Return the caller of a module if what it computed for the module is not known."""
        tensors = self._trace.tensors
        taken = {
            number
            for number, each in enumerate(tensors)
            if each.is_input and (each.module, each.call) == (tensor.module, tensor.call)
        }
        if tensor.is_input or not taken.isdisjoint(self._known):
            return ()
        by_caller = any(tensors[tensors[number].same_as].is_input for number in taken)
        return (tensor.caller,) if by_caller else ()

    def _others(self, number: int, module: str) -> tuple[str, ...]:
        """Return modules that ran before a tensor, and whose results are not known."""
        agreeing = [
            self._trace.matched[position].tensor
            for position, parity in self._judged.items()
            if parity.status != "fail" and self._trace.matched[position].tensor < number
        ]
        start = max(agreeing, default=-1) + 1
        since = enumerate(self._trace.tensors[start:number], start)
        return tuple(
            dict.fromkeys(
                each.module
                for at, each in since
                if not each.is_input and at not in self._known and each.module != module
            )
        )


class _Once:
    """The float64 values of some tensors, computed when one of them is first needed."""

    def __init__(self, ask: Callable[[], Float64Outputs]) -> None:
        self._ask = ask
        self._answer: Float64Outputs | None = None

    def __call__(self) -> Float64Outputs:
        if self._answer is None:
            self._answer = self._ask()
        return self._answer
