"""How does a load test run, from the user's model to a report?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
from attrs import frozen

from lexer_core.benchmark.cases import select_cases, suited_to_onnx
from lexer_core.build_report import assemble_report
from lexer_core.load_report import LoadReport
from lexer_core.load_testing.results import load_test_of
from lexer_core.load_testing.run import LoadRun
from lexer_core.load_testing.sentences import load_sentences
from lexer_core.load_testing.setups import combined, spread
from lexer_core.machine.affinity import usable_threads
from lexer_core.tuning.resize import resized_model, resized_onnx_inputs
from lexer_core.tuning.space import BATCH

if TYPE_CHECKING:
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.build_report import RunOrigin
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.load_testing.measure import LoadPlan
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.settings.layers import Configuration

__all__ = ["LoadRequest", "run_load_test"]


@frozen(kw_only=True, eq=False)
class LoadRequest:
    """What to test, and with how many instances.

    Parameters
    ----------
    plan
        The objective, the arrivals and the time.
    instances, threads
        Their numbers; both empty for the usual ones.
    shared_session
        Whether the instances share a session.
    batch
        Requests in the largest batch.
    origin
        Where the run came from.
    """

    plan: LoadPlan
    origin: RunOrigin
    instances: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    shared_session: bool = False
    batch: int = 1


def run_load_test(
    model: AdaptedModel | Path,
    inputs: object,
    request: LoadRequest,
    configuration: Configuration,
    registry: EngineRegistry,
    progress: ProgressCallback | None = None,
) -> LoadReport:
    """Test engines under load.

    Parameters
    ----------
    model
        An adapted model, or the path of an ``.onnx`` file.
    inputs
        Example inputs for an ``.onnx`` file; an adapted model has its own.
    request
        What to test.
    configuration
        The effective settings.
    registry
        The engines.
    progress
        Called with every step.

    Raises
    ------
    UsageError
        The instances do not fit on the cores, or an engine is unknown.
    ModelError
        The model does not run with these inputs.
    """
    settings = configuration.settings
    threads = request.threads or ((settings.threads,) if settings.threads else ())
    setups = combined(
        request.instances,
        threads,
        usable_threads(),
        shared_session=request.shared_session,
        batch=request.batch,
    )
    selection = select_cases(
        registry,
        settings.engines,
        settings.device,
        tables=configuration.engines,
        named_in=str(configuration.setting_origins["engines"]),
        precisions=settings.precision or (),
    )
    if isinstance(model, Path):
        selection = suited_to_onnx(selection)
    asked = bool(request.instances or request.shared_session)
    spread_selection, by_label = spread(selection, setups, asked=asked)
    plan = request.plan
    model, inputs = _for_batches(model, inputs, request.batch)
    run = LoadRun(model, inputs, spread_selection, settings, progress, setups=by_label, plan=plan)
    report = assemble_report(
        run.execute(),
        settings,
        request.origin,
        configuration,
        registry,
        not_run=selection.not_run,
    )
    test = load_test_of(report.results, run.logs, by_label, plan)
    sentences = load_sentences(report.results, test, plan.slo)
    return LoadReport.of(attrs.evolve(report, load_test=test, sentences=sentences))


def _for_batches(
    model: AdaptedModel | Path, inputs: object, batch: int
) -> tuple[AdaptedModel | Path, object]:
    """Repeat the inputs of one request for a batch of them."""
    if batch == 1:
        return model, inputs
    if isinstance(model, Path):
        arrays = inputs.values() if isinstance(inputs, Mapping) else ()
        items = next((len(array) for array in arrays if np.ndim(array)), 1)
        return model, resized_onnx_inputs(model, inputs, ((BATCH, items * batch),))
    items = (model.batch_size.items or 1) * batch
    return resized_model(model, ((BATCH, items),), {}), inputs
