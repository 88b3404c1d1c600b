"""Has a model become slower between two benchmarks?

:func:`compare` compares saved runs relative to their reference workloads;
:func:`rerun` measures the base's models again, interleaved with a new model.
Both return a :class:`RunComparison`, which prints as text, Markdown and JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.comparison.records import (
    CaseVerdict,
    Change,
    ComparedRun,
    ComparisonData,
    RunPair,
    VerdictOfCase,
)
from lexer_core.comparison.run_comparison import RunComparison

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.context import LexerContext
    from lexer_core.report import BenchmarkReport

__all__ = [
    "CaseVerdict",
    "Change",
    "ComparedRun",
    "ComparisonData",
    "RunComparison",
    "RunPair",
    "VerdictOfCase",
    "compare",
    "rerun",
]


def compare(
    *runs: BenchmarkReport | str | os.PathLike[str],
    threshold: float | None = None,
    titles: Sequence[str] | None = None,
) -> RunComparison:
    """Compare saved runs with the first one, case by case.

    The time of each launch is divided by the time of the reference workload in
    the same launch, because that workload is the same in every run. Welch's t
    compares the means of the logarithms. A verdict needs several launches of
    both runs: ``lexer benchmark --launches 5``.

    Parameters
    ----------
    *runs
        Two or more reports, or paths of ``.lexer`` files. The first is the base.
    threshold
        Smallest slowdown that counts, as a fraction: 0.05 is 5 %. Default: 2 %
        if both hosts were quiet, 5 % if one may be shared.
    titles
        Titles of the runs. Default: the file names.

    Returns
    -------
    RunComparison
        A verdict for each case of each run after the first, with the ratio of
        times, new over base.

    Raises
    ------
    UsageError
        There are fewer than two runs, the threshold is not above 0, the titles
        do not match the runs, or a file is not a saved run.

    Examples
    --------
    ::

        comparison = lexer_core.compare("base.lexer", "new.lexer", threshold=0.05)
        assert not comparison.regressions, str(comparison)
    """
    # Imported here so that importing the records does not import numpy and scipy.
    from lexer_core.comparison.judging import judge_pair
    from lexer_core.comparison.loading import load_runs

    base, *others = load_runs(runs, titles)
    return RunComparison(pairs=tuple(judge_pair(base, new, threshold=threshold) for new in others))


def rerun(
    base: BenchmarkReport | str | os.PathLike[str],
    torch_model: Any,
    input: object = None,
    *,
    base_model: Any = None,
    threshold: float | None = None,
    save: str | os.PathLike[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    context: LexerContext | None = None,
    progress: ProgressCallback | None = None,
    command: str = "",
    **settings: Any,
) -> RunComparison:
    """Measure a base's models again, interleaved with a new model, and compare.

    Each row of the base runs twice with its engine, options, device and threads:
    once with the exported model saved in the base, once with the new model. Rows
    without an exported model (Torch's) use ``base_model``. Without it, their
    saved samples are compared relative to the reference workload, and the row
    says so.

    Parameters
    ----------
    base
        A report, or the path of a ``.lexer`` file.
    torch_model
        The new model, as for :meth:`LexerContext.benchmark`.
    input
        Example inputs for both models. Default: the base's inputs, generated
        again.
    base_model
        The base's own model: a module; or a TARGET (``"../base/net.py:Net"``) or
        :class:`BaseLocation`, which is loaded in a separate process, so that
        modules of the same name do not conflict.
    threshold
        Smallest slowdown that counts, as a fraction: 0.05 is 5 %. Default: 2 %
        for rows measured again; for others as in :func:`compare`.
    save
        File to save the new model's report to, as the next base.
    input_names, output_names
        Names that override those of the decorator or the models.
    context
        The context whose settings and engines to use.
    progress
        Called with a :class:`ProgressEvent` at each step.
    command
        The command line that benchmarks the new model in the same way, for its
        report.
    **settings
        See :class:`lexer_core.settings.table.Settings`. Threads, launches, export
        settings and tolerances default to the base's.

    Returns
    -------
    RunComparison
        A verdict for each row of the base, with its ratio, new over base.

    Raises
    ------
    UsageError
        The base cannot be read, none of its rows can be measured here, inputs or
        settings are wrong, or the base's model cannot be loaded.
    ModelError
        A model does not run with these inputs.

    Examples
    --------
    ::

        comparison = rerun("base.lexer", AmazingNet(), threshold=0.05)
        assert not comparison.regressions, str(comparison)
    """
    from lexer_core.comparison.rerun_execution import execute_rerun  # as above

    return execute_rerun(
        base,
        torch_model,
        input,
        base_model=base_model,
        threshold=threshold,
        save=save,
        input_names=input_names,
        output_names=output_names,
        context=context,
        progress=progress,
        command=command,
        **settings,
    ).comparison
