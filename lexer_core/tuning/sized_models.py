"""Which models do configurations need: the user's, with inputs of which sizes?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from lexer_core.benchmark.hosted_models import hosted_model
from lexer_core.tuning.resize import resized_model, resized_onnx_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.tuning.space import Point

__all__ = ["SizedModels"]


def _with_models(
    selection: CaseSelection, points: Mapping[str, Point], first: tuple[tuple[str, int], ...]
) -> CaseSelection:
    def complete(case: Case) -> Case:
        point = points[case.label]
        return attrs.evolve(
            case,
            threads=point.threads,
            items=point.batch,
            model="" if point.sizes == first else _key(point.sizes),
        )

    return attrs.evolve(
        selection,
        cases=tuple(map(complete, selection.cases)),
        failures=tuple((complete(case), error) for case, error in selection.failures),
    )


class SizedModels:
    """The user's model with inputs of every size that configurations need."""

    def __init__(
        self,
        model: AdaptedModel | Path,
        inputs: object,
        axes: Mapping[str, Mapping[int, str]],
    ) -> None:
        self._model, self._inputs, self._axes = model, inputs, axes
        self._known: list[tuple[tuple[str, int], ...]] = []
        self._new: list[tuple[tuple[str, int], ...]] = []

    @property
    def first(self) -> tuple[AdaptedModel | Path, object]:
        """The model and the inputs of the first configuration."""
        return self._sized(self._known[0])

    @property
    def differ(self) -> bool:
        """Whether configurations have inputs of different sizes."""
        return len(self._known) > 1

    def assign(self, selection: CaseSelection, points: Mapping[str, Point]) -> CaseSelection:
        """Return the cases with the keys of their models."""
        for case in selection.cases:
            sizes = points[case.label].sizes
            if sizes not in self._known:
                if self._known:
                    self._new.append(sizes)
                self._known.append(sizes)
        return _with_models(selection, points, self._known[0] if self._known else ())

    def new(self) -> dict[str, ModelUnderTest]:
        """Return the models by key that cases need since the last time, without the first.

        Raises
        ------
        InputError
            The inputs cannot have such a size.
        """
        models = {
            _key(sizes): hosted_model(*self._sized(sizes), title=_key(sizes)) for sizes in self._new
        }
        self._new.clear()
        return models

    def _sized(self, sizes: tuple[tuple[str, int], ...]) -> tuple[AdaptedModel | Path, object]:
        if isinstance(self._model, Path):
            return self._model, resized_onnx_inputs(self._model, self._inputs, sizes)
        return resized_model(self._model, sizes, self._axes), self._inputs


def _key(sizes: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"{axis}={size}" for axis, size in sizes)
