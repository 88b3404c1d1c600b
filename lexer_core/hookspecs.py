"""What may a plugin implement?

The one file that the author of an engine reads. An engine is a module, named
by an entry point of the group ``lexer.engines``::

    [project.entry-points."lexer.engines"]
    reference = "my_package.engine"

whose functions are marked with :data:`hookimpl`. The module itself must be
light: it is imported whenever engines are listed, so a runtime is imported
inside the hooks that may do so.

Rules that hold for every hook:

- Arguments are positional and have no defaults. An implementation may take
  fewer arguments than the specification, under the same names.
- An exception costs the engine's own row and nothing else. Raise
  ``UnsupportedError`` for what the engine cannot do, and
  ``DeviceUnavailableError`` for a device that is not there; anything else is
  reported as a failure, with the hook's name.
- ``None`` is an answer only from ``lexer_export_model`` ("not a source that I
  can turn into this format") and ``lexer_describe_placement`` ("unknown").
  ``lexer_reset_state`` and ``lexer_synchronize`` are done when they return,
  and what they return is ignored. From any other hook ``None`` is an error.

Required are ``lexer_engine_info`` and ``lexer_create_session``; each of the
others has a default. The examples below are one complete engine, the ONNX
reference evaluator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        Call,
        CallInputs,
        Clock,
        Device,
        EngineInfo,
        ExportedModel,
        ModelSource,
        OptionValue,
        Placement,
        Session,
        SessionConfig,
        Timings,
    )

__all__ = ["CONTRACT_VERSION", "ENTRY_POINT_GROUP", "PROJECT_NAME", "hookimpl", "hookspec"]

PROJECT_NAME = "lexer"
"""The name under which pluggy keeps the marks."""

ENTRY_POINT_GROUP = "lexer.engines"
"""The entry-point group of this contract. An incompatible one gets a new name."""

CONTRACT_VERSION = 1
"""The version of the contract that this file describes."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a function of an engine's module as the implementation of a hook."""


@hookspec(firstresult=True)
def lexer_engine_info() -> EngineInfo | None:
    """Say what the engine is, from what is known without its runtime.

    Called once when the engine is registered, also for ``lexer engines list``.

    Returns
    -------
    EngineInfo
        Display name, runtime modules and the distributions that provide them,
        accepted formats, options, and whether it runs when none is named; and,
        where something else that it needs is not on this machine, what.

    Notes
    -----
    Required. May import the runtime: no. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import EngineInfo

        @hookimpl
        def lexer_engine_info():
            return EngineInfo(
                display_name="ONNX reference",
                runtime_modules=("onnx",),
                runtime_distributions=("onnx",),
                formats=("onnx",),
            )
    """


@hookspec(firstresult=True)
def lexer_list_devices() -> Sequence[Device] | None:
    """List the devices that the engine can use here and now.

    Called in the process that will measure, and for ``lexer engines show``.
    Listing must not reserve a device.

    Returns
    -------
    Sequence[Device]
        Usable devices; empty when there is none. ``identifier`` is yours: it
        comes back unchanged in ``lexer_create_session``.

    Notes
    -----
    Default: the CPU. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import Device

        @hookimpl
        def lexer_list_devices():
            return [Device(kind="cpu", description="numpy, one thread")]
    """


@hookspec(firstresult=True)
def lexer_export_model(
    source: ModelSource,
    format: str,
    device: Device,
    workdir: Path,
    options: Mapping[str, OptionValue],
) -> ExportedModel | None:
    """Turn the user's model into a format.

    The engine that needs the format is asked first, then every other ready
    engine, so an engine that accepts ``onnx`` needs no export of its own while
    one that makes it is installed. What is made is shared by every engine that
    accepts the format, unless ``ExportedModel.specific_to`` names one.

    Parameters
    ----------
    source
        Exactly one of a module in eval mode, a ``torch.export`` program (which
        may come with its module) or an ``.onnx`` file, with example inputs,
        names and dynamic axes.
    format
        The format wanted: ``"onnx"``, ``"torch"``, ``"torch_export"``, or an
        engine's own.
    device
        Where the example inputs should be while the model is traced.
    workdir
        An empty folder to write to. What is written elsewhere is lost.
    options
        Options of export, such as ``{"exporter": "dynamo", "opset": 18}``.

    Returns
    -------
    ExportedModel or None
        The model with the specifications of its inputs and outputs; ``None``
        when this engine does not make that format from that kind of source.

    Raises
    ------
    ExportError
        The format is one that the engine makes, but this model cannot be
        turned into it.

    Notes
    -----
    Default: ``None``. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    An ``.onnx`` file given by the user is already an ``onnx`` model::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import ExportedModel, TensorSpec

        def specs(values):
            import onnx

            return tuple(
                TensorSpec(
                    name=value.name,
                    dtype=onnx.helper.tensor_dtype_to_np_dtype(
                        value.type.tensor_type.elem_type
                    ).name,
                    shape=tuple(
                        dim.dim_param or dim.dim_value
                        for dim in value.type.tensor_type.shape.dim
                    ),
                )
                for value in values
            )

        @hookimpl
        def lexer_export_model(source, format):
            if format != "onnx" or source.onnx_path is None:
                return None
            import onnx

            graph = onnx.load(source.onnx_path, load_external_data=False).graph
            return ExportedModel(
                format="onnx",
                path=source.onnx_path,
                inputs=specs(graph.input),
                outputs=specs(graph.output),
                size_bytes=source.onnx_path.stat().st_size,
                exporter="given",
            )
    """


@hookspec(firstresult=True)
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> Session | None:
    """Load an exported model on one device, ready to run.

    Called once per launch, in the process that measures, before the clock of
    the samples starts; how long it takes is reported as ``load_ms``.

    Parameters
    ----------
    exported
        The model in one of the formats that ``lexer_engine_info`` names.
    device
        The device asked for, as ``lexer_list_devices`` returned it.
    config
        Threads, precision, a cache folder, and the engine's options, validated
        and completed with their defaults.

    Returns
    -------
    Session
        ``run(placed)`` executes one call and returns the engine's own outputs,
        still on the device. ``close()`` may be called twice.

    Raises
    ------
    DeviceUnavailableError
        The device is not there. Never fall back to another one.
    UnsupportedError
        The engine cannot run this model, element type or precision.

    Notes
    -----
    Required. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.errors import DeviceUnavailableError, UnsupportedError
        from lexer_core.hookspecs import hookimpl

        class ReferenceSession:
            def __init__(self, path):
                from onnx.reference import ReferenceEvaluator

                self.evaluator = ReferenceEvaluator(str(path))
                self.names = self.evaluator.output_names

            def run(self, placed):
                return self.evaluator.run(None, placed)

            def close(self):
                self.evaluator = None

        @hookimpl
        def lexer_create_session(exported, device, config):
            if device.kind != "cpu":
                raise DeviceUnavailableError(f"there is no device {device} for numpy")
            if config.precision:
                raise UnsupportedError(f"there is no {config.precision} for numpy")
            return ReferenceSession(exported.path)
    """


@hookspec(firstresult=True)
def lexer_place_inputs(session: Session, inputs: CallInputs, device: Device) -> object:
    """Move example inputs to the session's device, in the engine's own type.

    Called before the clock starts: a measured call begins with its inputs
    resident on the device, for every engine alike. A compiler that needs
    example inputs compiles here, and says so in the session's ``phases``.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.
    inputs
        Named numpy arrays in ``inputs.arrays``, and the structure of the call.
        They are read-only; copy what the call would modify.
    device
        The session's device.

    Returns
    -------
    object
        Whatever ``session.run`` takes.

    Notes
    -----
    Default: the mapping of names to arrays. May import the runtime: yes. Added
    in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl

        @hookimpl
        def lexer_place_inputs(session, inputs):
            known = set(session.evaluator.input_names)
            return {name: array for name, array in inputs.arrays.items() if name in known}
    """


@hookspec(firstresult=True)
def lexer_reset_state(session: Session, placed: object) -> None:
    """Put a session that keeps state between calls back to its beginning.

    Called before each call, outside the timed region. Implement it only for
    such sessions: where it is implemented, every sample is one call.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.
    placed
        What ``lexer_place_inputs`` returned.

    Notes
    -----
    Default: nothing to do. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    A decoder that appends to its cache::

        from lexer_core.hookspecs import hookimpl

        @hookimpl
        def lexer_reset_state(session, placed):
            session.cache_length = 0
    """


@hookspec(firstresult=True)
def lexer_synchronize(session: Session, device: Device) -> None:
    """Return when all work handed to the device is done.

    The core calls it on both sides of every sample, so that a latency includes
    the completion of its work.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.
    device
        The session's device.

    Notes
    -----
    Default: on the CPU nothing, because a call returns when it is done; any
    other device is refused. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl

        @hookimpl
        def lexer_synchronize(session, device):
            if device.kind == "cuda":
                import torch

                torch.cuda.synchronize(device.index)
    """


@hookspec(firstresult=True)
def lexer_time_calls(
    session: Session, call: Call, count: int, loops: int, device: Device, clock: Clock
) -> Timings | None:
    """Time one block of calls.

    For an engine that knows more than the host's clock does, such as the
    device's own event times. Called once per block, never per call.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.
    call
        ``call.run()`` executes one call; ``call.reset``, where it is not
        ``None``, is called before each, untimed.
    count
        Number of samples.
    loops
        Calls per sample: 1, or more where a call is too short for the clock.
    device
        The session's device.
    clock
        The clock to read, in nanoseconds; the same for every engine.

    Returns
    -------
    Timings
        ``host``: float64 of shape ``(count,)``, seconds per call, each the mean
        of ``loops`` calls that have completed; exactly ``count * loops`` calls
        are made. ``device``: the device's own times, or ``None``.

    Notes
    -----
    Default: the core's loop around ``clock``, ``call`` and
    ``lexer_synchronize``. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import Timings

        @hookimpl
        def lexer_time_calls(session, call, count, loops, device, clock):
            import numpy as np

            seconds = np.empty(count)
            for sample in range(count):
                if call.reset is not None:
                    call.reset()
                start = clock()
                for _ in range(loops):
                    call.run()
                seconds[sample] = (clock() - start) / 1e9 / loops
            return Timings(host=seconds)
    """


@hookspec(firstresult=True)
def lexer_fetch_outputs(
    session: Session, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]] | None:
    """Turn the outputs of one call into named numpy arrays.

    Called after the clock stops.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.
    outputs
        What ``session.run`` returned.

    Returns
    -------
    Mapping[str, numpy.ndarray]
        By the names in ``ExportedModel.outputs``. The caller owns the arrays:
        copy what a later call would overwrite. bfloat16 is ml_dtypes'.

    Notes
    -----
    Default: the outputs themselves, which must be such a mapping. May import
    the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl

        @hookimpl
        def lexer_fetch_outputs(session, outputs):
            return {name: array.copy() for name, array in zip(session.names, outputs)}
    """


@hookspec(firstresult=True)
def lexer_describe_placement(session: Session) -> Placement | None:
    """Say where the session's work really runs.

    Called after the last sample, so that profiling may be read here.

    Parameters
    ----------
    session
        What ``lexer_create_session`` returned.

    Returns
    -------
    Placement or None
        The share on the device asked for, what fell back to which other place,
        and how that was counted; ``None`` when it is unknown.

    Notes
    -----
    Default: unknown. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import Placement

        @hookimpl
        def lexer_describe_placement(session):
            return Placement(share=1.0, method="nodes")
    """
