"""What is in a report: rows, comparisons, conditions?

Data only. :class:`lexer_core.report.BenchmarkReport` adds the methods that print
and write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from attrs import field, frozen

# validated_data resolves the annotations.
from lexer_core.records import TensorSpec  # noqa: TC001
from lexer_core.results.attrs_fields import RAW, count, mapping, plain_mapping, texts
from lexer_core.results.benchmark_result import BenchmarkResult
from lexer_core.results.load_test import LoadTest  # noqa: TC001
from lexer_core.results.result_records import Comparison, Environment, ReferenceWorkloadTimes
from lexer_core.results.tuning import Tuning  # noqa: TC001

if TYPE_CHECKING:
    from lexer_core.results.saved_model import SavedModel

__all__ = ["SCHEMA_VERSION", "ReportData"]

SCHEMA_VERSION = 1
"""Version of the JSON format (docs/json.md)."""


# Functions, because mypy loses the element type of a bare ``tuple`` converter.
def _rows(rows: Iterable[BenchmarkResult]) -> tuple[BenchmarkResult, ...]:
    return tuple(rows)


def _pairs(pairs: Iterable[Comparison]) -> tuple[Comparison, ...]:
    return tuple(pairs)


def _models(models: Iterable[SavedModel]) -> tuple[SavedModel, ...]:
    return tuple(models)


def _settings(values: Mapping[str, object]) -> dict[str, object]:
    """Name the settings of older versions as they are named now."""
    settings = plain_mapping(values)
    if isinstance(settings.get("precision"), (int, float)):
        return {"margin" if name == "precision" else name: each for name, each in settings.items()}
    return settings


@frozen(kw_only=True, repr=False)
class ReportData(Sequence[BenchmarkResult]):
    """The results of a benchmark: a sequence of rows.

    ``report[0]`` is a row by position, and ``report["torch"]`` by its label or, if
    it is the only one, by its engine's name.

    Parameters
    ----------
    results
        One per case, in display order.
    comparisons
        Comparisons of cases, those with the baseline first.
    environment
        The machine and software.
    settings
        The effective settings, as JSON types.
    sentences
        The verdicts in words.
    notes
        Notes on the run as a whole.
    model_name
        The model's name.
    target
        The TARGET of the command line, as typed; empty if the run was started from
        Python.
    input_specs
        Names, dtypes and shapes of the example inputs.
    command
        The command that repeats the run; empty if there is none.
    input_options
        The inputs as ``--input`` options, with the batch size applied. Together
        with ``seed`` they recreate the inputs. Empty when the inputs were passed
        as data.
    not_run
        Names of installed engines that were ready and were not run, because no engine was
        named and they run only if they are.
    created_at
        When the run started: UTC, ISO 8601.
    seed
        Seed of the order within rounds and of generated inputs.
    stopped_because
        Why measuring stopped: ``"precise"``, ``"launches"``, ``"no verdict in sight"``,
        ``"max_seconds"``, ``"num_iterations"``, ``"rounds"``, ``"interrupted"``, …
    seconds
        Seconds by phase.
    canary
        Times of the reference workload; ``None`` if it was not measured.
    model_fingerprint
        Digests of parts of the model: ``"weights"``; ``"graph"``, as traced;
        ``"modules"``, its modules and their code; ``"file"``. Unknown ones are left
        out.
    tuning
        The search that the rows come from; ``None`` for a benchmark.
    load_test
        How many requests a second the rows serve; ``None`` if that was not measured.
    models
        The exported models that the rows ran. Like the field below, not part of
        ``to_dict``, equality and ``repr``.
    live_model
        The model of the program that ran the benchmark, if it still exists.
    """

    results: tuple[BenchmarkResult, ...] = field(default=(), converter=_rows)
    comparisons: tuple[Comparison, ...] = field(default=(), converter=_pairs)
    environment: Environment = field(factory=Environment)
    settings: Mapping[str, object] = field(factory=dict, converter=_settings)
    sentences: tuple[str, ...] = field(default=(), converter=texts)
    notes: tuple[str, ...] = field(default=(), converter=texts)
    model_name: str = ""
    target: str = ""
    input_specs: tuple[TensorSpec, ...] = field(default=(), converter=tuple)
    command: str = ""
    input_options: tuple[str, ...] = field(default=(), converter=texts)
    not_run: tuple[str, ...] = field(default=(), converter=texts)
    created_at: str = ""
    seed: int | None = count()
    stopped_because: str = ""
    seconds: Mapping[str, float | None] = mapping()
    canary: ReferenceWorkloadTimes | None = None
    model_fingerprint: Mapping[str, str] = mapping()
    tuning: Tuning | None = None
    load_test: LoadTest | None = None
    models: tuple[SavedModel, ...] = field(
        default=(), converter=_models, eq=False, repr=False, metadata=RAW
    )
    live_model: object = field(default=None, eq=False, repr=False, metadata=RAW)

    def __attrs_post_init__(self) -> None:
        labels = [result.label for result in self.results]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of results must be unique, not {labels}")

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[BenchmarkResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, key: int | str) -> BenchmarkResult: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[BenchmarkResult, ...]: ...
    def __getitem__(self, key: int | str | slice) -> BenchmarkResult | tuple[BenchmarkResult, ...]:
        if not isinstance(key, str):
            return self.results[key]
        for names in ("label", "engine_name", "engine"):
            found = [result for result in self.results if getattr(result, names) == key]
            if len(found) == 1:
                return found[0]
        rows = ", ".join(result.label for result in self.results) or "none"
        raise KeyError(f"no row {key!r}; rows: {rows}")

    def __repr__(self) -> str:
        rows = ", ".join(
            f"{row.label} {row.status}"
            if row.p50_ms is None
            else f"{row.label} {row.p50_ms:.4g} ms"
            for row in self.results
        )
        return f"<{type(self).__name__} of {self.model_name or 'a model'}: {rows or 'no rows'}>"
