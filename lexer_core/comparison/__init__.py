"""Has a model become slower between two benchmarks?

:func:`compare` judges saved runs by their canaries, :func:`rerun` measures the
base's models again beside a new one. Whichever way verdicts come
about, they are records of :mod:`lexer_core.comparison.records`, which print as
text, Markdown and JSON.
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
    """Compare saved runs with the first of them, case by case.

    Each launch of a case is divided by its own canary, the work that is the
    same in every run; of the logarithms of these the runs' means are compared
    with Welch's t. Several launches on both sides are needed for a verdict:
    ``lexer benchmark --launches 5``.

    Parameters
    ----------
    *runs
        Two or more: reports, or paths of ``.lexer`` files. The first is the
        base.
    threshold
        Smallest slowdown that counts, as a share: 0.05 is 5 %. Unless given,
        2 % where both hosts were quiet, and 5 % where one was shared.
    titles
        What the runs are called, one for each; the files' names unless given.

    Returns
    -------
    RunComparison
        For each run after the first, and each case, a verdict with its ratio,
        new over base.

    Raises
    ------
    UsageError
        Fewer than two runs, a threshold that is not above 0, as many titles as
        there are not runs, or a file that cannot be read as a saved run.

    Examples
    --------
    ::

        comparison = lexer_core.compare("base.lexer", "new.lexer", threshold=0.05)
        assert not comparison.regressions, str(comparison)
    """
    # Imported on use: the records alone are needed by whoever only reads a comparison.
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

    Each row of the base is run twice with its engine, options, device and
    threads: once with the exported model that the base holds, once with the new
    model. Rows that have no exported model (Torch's) are run from
    ``base_model``; without it they are compared through the canary, and say so.

    Parameters
    ----------
    base
        A report, or the path of a ``.lexer`` file.
    torch_model
        The new model: what :meth:`LexerContext.benchmark` takes.
    input
        Example inputs for both models. Unless given, the base's are made again
        from what it says of them.
    base_model
        The base's own model: a module; or a :class:`BaseTarget`, or the text of
        one (``"../base/net.py:Net"``), which is loaded in a process of its own,
        so that modules of the same name do not meet.
    threshold
        Smallest slowdown that counts, as a share: 0.05 is 5 %. Unless given, 2 %
        for what is measured again, and as :func:`compare` has it for the rest.
    save
        Where to keep the new model's rows, as the next base.
    input_names, output_names
        Names in place of the decorator's or the models' own.
    context
        Whose settings and engines hold.
    progress
        Called with a :class:`ProgressEvent` at each step.
    command
        The command line that benchmarks the new model in the same way, for its
        report.
    **settings
        See :class:`lexer_core.settings.table.Settings`. Those of the base hold where
        nothing is said of threads, launches, export and tolerances.

    Returns
    -------
    RunComparison
        A verdict for each row of the base, with its ratio, new over base.

    Raises
    ------
    UsageError
        The base cannot be read, or no row of it can be measured here; inputs or
        settings are wrong; the base's model cannot be loaded.
    ModelError
        A model does not run with these inputs.

    Examples
    --------
    ::

        comparison = rerun("base.lexer", AmazingNet(), threshold=0.05)
        assert not comparison.regressions, str(comparison)
    """
    # Imported on use, as above.
    from lexer_core.comparison.rerunning import measure_again

    done = measure_again(
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
    )
    return done.comparison
