"""What does ``lexer_core.load`` return: a saved benchmark, merged runs, or a deployed model?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.errors import UsageError

if TYPE_CHECKING:
    import os

__all__ = ["load"]


def load(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    trusted: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Any:  # the path decides which of them
    """Load what was saved: a benchmark or merged runs from a file, or a session from a folder.

    Nothing in the file or folder is run, unless ``trusted`` allows it for a folder.

    Parameters
    ----------
    path
        A ``.lexer`` file or the JSON of a report, which :meth:`BenchmarkReport.save
        <lexer_core.report.BenchmarkReport.save>` and its siblings wrote; a ``.lexer`` file of
        :meth:`MergedRuns.save <lexer_core.merged.MergedRuns.save>`; or a folder,
        which :meth:`BenchmarkResult.save <lexer_core.results.BenchmarkResult.save>` wrote.
        It may come from anywhere: it is not trusted.
    model, trusted, cache_dir
        For a folder; see :func:`lexer_core.deploy.load.load_session`.

    Returns
    -------
    BenchmarkReport, MergedRuns or DeployedSession
        The report or the merged runs of a file, or the session of a folder.

    Raises
    ------
    ArtifactError
        The file cannot be read, is not a saved run, is damaged or malicious, or has a
        newer version.
    DeploymentError
        The folder is not a deployment, is damaged, or must be trusted.
    EngineError, UnknownEngineError
        The engine of the folder is not installed, or cannot load the model.

    Examples
    --------
    ::

        report = lexer_core.load("run.lexer")
        report["onnxruntime"].save("deploy/")
        with lexer_core.load("deploy/") as session:
            logits = session(image=image)["logits"]
    """
    if Path(path).is_dir():
        from lexer_core.deploy.load import load_session  # only where it is needed

        return load_session(path, model=model, trusted=trusted, cache_dir=cache_dir)
    if model is not None or trusted or cache_dir is not None:
        raise UsageError(
            f"{str(path)!r} is not a folder: model, trusted and cache_dir are for a deployment.",
            hint='Save one: report["onnxruntime"].save("deploy/").',
        )
    from lexer_core.merged import load_saved  # imports numpy

    return load_saved(path)
