"""Which hooks can a plugin implement?

This is the only file that the author of an engine has to read. An engine is a
module, named by an entry point of the group ``lexer.engines``::

    [project.entry-points."lexer.engines"]
    reference = "my_package.engine"

Its functions marked with :data:`hookimpl` implement the hooks. Lexer imports the
module whenever it lists engines, so the module must be light: import the runtime
inside the hooks that may do so.

Rules for every hook:

- Arguments are positional and have no defaults. An implementation may take fewer
  arguments than the specification, under the same names.
- An exception affects only the engine's own row. Raise ``UnsupportedError`` for
  what the engine cannot do and ``DeviceUnavailableError`` for a device that is not
  available. Any other exception is reported as a failure of the hook.
- ``None`` is a valid result only of ``lexer_export_model`` ("this engine does not
  convert this source to this format"), ``lexer_convert_model`` ("the session does
  that"), ``lexer_describe_placement`` ("unknown") and ``lexer_profile_calls`` ("not
  available"). The results of ``lexer_reset_state`` and ``lexer_synchronize`` are
  ignored. From any other hook, ``None`` is an error.

``lexer_engine_info`` and ``lexer_create_session`` are required. The other hooks have
defaults. Together, the examples below are a complete engine for the ONNX reference
evaluator.
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
        DeployedModel,
        Device,
        EngineInfo,
        ExportedModel,
        ModelSource,
        OptionValue,
        Placement,
        ProfiledOperation,
        Session,
        SessionConfig,
        Timings,
    )

__all__ = ["CONTRACT_VERSION", "ENTRY_POINT_GROUP", "PROJECT_NAME", "hookimpl", "hookspec"]

PROJECT_NAME = "lexer"
"""The project name of the pluggy markers."""

ENTRY_POINT_GROUP = "lexer.engines"
"""The entry-point group of this contract. An incompatible contract gets a new group."""

CONTRACT_VERSION = 2
"""The version of the contract that this file describes."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a function of an engine's module as the implementation of a hook."""


@hookspec(firstresult=True)
def lexer_engine_info() -> EngineInfo | None:
    """Describe the engine, without importing its runtime.

    Called whenever the plugin is loaded, for instance by ``lexer engines list``.

    Returns
    -------
    EngineInfo
        The display name, the runtime's modules and distributions, the accepted
        formats, the options, whether the engine runs by default, what threads may
        call at the same time and, if something else that it needs is missing on this
        machine, what and how to get it.

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
    """List the devices that the engine can use on this machine.

    Called in the worker process before a session is created, and for
    ``lexer engines show``. It must not reserve a device.

    Returns
    -------
    Sequence[Device]
        The usable devices, without duplicates; empty if there are none. The core
        does not interpret ``identifier`` and passes it unchanged to
        ``lexer_create_session``.

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
    """Convert the user's model to a format.

    Called in the process that holds the model. The core asks the engine that needs
    the format first and then every other ready engine, so an engine that accepts
    ``onnx`` needs no export of its own if an engine that exports to ONNX is
    installed. All engines that accept the format share the result, unless
    ``ExportedModel.specific_to`` names one of them.

    Parameters
    ----------
    source
        The model: a module in eval mode, a ``torch.export`` program (possibly
        with its module) or an ``.onnx`` file, with example inputs, tensor names
        and dynamic axes. For an engine's own format, a module comes with its
        program, unless ``torch.export`` cannot trace it.
    format
        The requested format: ``"onnx"``, ``"torch"``, ``"torch_export"``, or an
        engine's own format.
    device
        The device for the example inputs while the model is traced.
    workdir
        An empty folder for the exported files. Write nothing elsewhere.
    options
        Export options, such as ``{"exporter": "dynamo", "opset": 18}``.

    Returns
    -------
    ExportedModel or None
        The exported model with the specifications of its inputs and outputs, or
        ``None`` if this engine does not convert this kind of source to this
        format.

    Raises
    ------
    ExportError
        The engine supports the conversion, but it fails for this model.
    UnsupportedError
        The engine cannot run this model or element type, which it can tell already.

    Notes
    -----
    Default: ``None``. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    An ``.onnx`` file from the user already is an ``onnx`` model::

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
def lexer_convert_model(
    exported: ExportedModel, precision: str, workdir: Path
) -> ExportedModel | None:
    """Convert an exported model to a precision.

    Called in the process that holds the model, once for each export and precision that
    the engine is asked for; the result is cached like an export, shared by rows with
    other threads and options, and saved when such a row is deployed. The time counts as
    time of the export. Sessions then get the result, with ``precision`` set, and the same
    ``config.precision``.

    Parameters
    ----------
    exported
        The model in one of the formats that ``lexer_engine_info`` accepts. Do not write
        to its files.
    precision
        What is asked for, such as ``"float16"`` or ``"int8-dynamic"``.
    workdir
        An empty folder for the converted files. Write nothing elsewhere.

    Returns
    -------
    ExportedModel or None
        The converted model: the same format, and inputs and outputs of the same names,
        element types and shapes. ``None`` if there is nothing to convert, because the
        session itself computes in ``config.precision`` or refuses it.

    Raises
    ------
    UnsupportedError
        The engine cannot run this model in this precision, which it can tell already.

    Notes
    -----
    Default: ``None``. May import the runtime: yes. Added in contract 2.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl

        @hookimpl
        def lexer_convert_model(exported, precision, workdir):
            if precision != "float16":
                return None
            import onnx
            from attrs import evolve
            from onnxruntime.transformers.float16 import convert_float_to_float16
            from onnxruntime.transformers.onnx_model import OnnxModel

            model = onnx.load(exported.path)
            model = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
            model.topological_sort()
            path = workdir / exported.path.name
            model.save_model_to_file(str(path))
            return evolve(exported, path=path, size_bytes=path.stat().st_size)
    """


@hookspec(firstresult=True)
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> Session | None:
    """Load an exported model on one device, ready to run.

    Called once per launch, in the worker process, before any sample is timed. Its
    duration is reported as ``load_ms``.

    Parameters
    ----------
    exported
        The model in one of the formats that ``lexer_engine_info`` accepts. Its files
        are shared with other engines: do not write to them or next to them, not even
        for a moment, and do not recognise a model by its file's path, size or time.
    device
        One of the devices that ``lexer_list_devices`` returned.
    config
        Threads, precision, a cache folder and the engine's options, which are
        validated and completed with their defaults. With ``isolated=False``, the
        session restores in ``close()`` what it changes in the process: environment
        variables, the current folder, random states, warning filters, signal handlers,
        locale, logging, processors and the like. It never replaces functions of Python
        or numpy.

    Returns
    -------
    Session
        ``run(placed)`` executes one call and returns the engine's own outputs,
        still on the device. It computes every call in the call and in full, even on
        zeros or on inputs that it had before, and in the element types of the model;
        nothing is computed in advance, and nothing is printed. Calls come one at a time,
        but not always from the thread that created the session; at the same time from
        several threads only as far as ``EngineInfo.concurrency`` declares, in load tests.
        Files are written to
        ``config.cache_dir`` or to temporary folders, not to the current or the home
        folder. ``close()`` releases everything, with temporary files, shared memory,
        threads and child processes, and may be called twice.

    Raises
    ------
    DeviceUnavailableError
        The device is not available. Never fall back to another one.
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
                raise DeviceUnavailableError(f"numpy has no device {device}")
            if config.precision not in ("", exported.precision):
                raise UnsupportedError(f"numpy cannot compute in {config.precision}")
            return ReferenceSession(exported.path)
    """


@hookspec(firstresult=True)
def lexer_place_inputs(session: Session, inputs: CallInputs, device: Device) -> object:
    """Move the inputs of a call to the session's device, as the engine's own type.

    Called before calls are timed: for every engine, a timed call starts with its
    inputs on the device. It copies and converts; the model is computed in ``run``. An
    engine that needs example inputs to compile does so here, and reports the time in
    ``session.phases``. Also called later, for inputs of the same shapes and other values.
    If the first call changes what this hook returned, the hook is called again with the
    same ``inputs`` before each call, untimed; do not compile again for them.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    inputs
        Numpy arrays by input name in ``inputs.arrays``, and the structure of the
        call. The arrays are read-only, of any layout in memory, and may be placed
        again with other values: return copies if calls may write to their inputs. The
        core notices changes in arrays, tensors, containers and attributes of the
        returned object; calls must not change anything else.
    device
        The session's device.

    Returns
    -------
    object
        The argument of ``session.run``; anything but ``None``. The session keeps it no
        longer than the core does: inputs may be placed before each call.

    Notes
    -----
    Default: returns ``inputs.arrays``. May import the runtime: yes. Added in contract
    1.

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
    """Reset a session that keeps state from call to call to its initial state.

    Called before each call, untimed. Implement it only for sessions that keep
    state: if it is implemented, every sample is a single call. It restores a state; the
    model is computed in ``run``. Calls that only change their inputs do not need it: the
    core places them again.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    placed
        The inputs from ``lexer_place_inputs``.

    Notes
    -----
    Default: does nothing. May import the runtime: yes. Added in contract 1.

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
    """Wait until the device has completed all submitted work.

    Called before the clock is read at both ends of every sample, so that a latency
    includes the completion of its work.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    device
        The session's device.

    Notes
    -----
    Default: does nothing on the CPU, where a call returns after its work is done;
    raises ``HookError`` for any other device. May import the runtime: yes. Added in
    contract 1.

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

    Implement it if the engine can measure more than the host's clock does, such as
    event times of the device. Called once per block, not per call.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    call
        ``call.run()`` executes one call. Unless ``call.reset`` is ``None``, call
        it before each ``run()``, untimed.
    count
        Number of samples.
    loops
        Calls per sample: more than 1 if a call is too short for the clock.
    device
        The session's device.
    clock
        Returns the time in nanoseconds; the same clock for every engine.

    Returns
    -------
    Timings
        ``host``: float64 of shape ``(count,)``, in seconds per call; each value is
        the mean of ``loops`` completed calls. Exactly ``count * loops`` calls are
        made. ``device``: the device's own times, same shape and unit, or ``None``, as
        for the CPU.

    Notes
    -----
    Default: a loop that uses ``clock``, ``call`` and ``lexer_synchronize``. May import
    the runtime: yes. Added in contract 1.

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
    """Convert the outputs of one call to numpy arrays by output name.

    Called outside the timed region, so it only copies and converts: an engine that
    computes here gets no rank. Not called after every call.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    outputs
        The return value of ``session.run``.

    Returns
    -------
    Mapping[str, numpy.ndarray]
        Arrays by the names, and of the element types, in ``ExportedModel.outputs``.
        The caller owns them:
        copy buffers that a later call overwrites. The dtype of bfloat16 is
        ``ml_dtypes.bfloat16``.

    Notes
    -----
    Default: returns ``outputs``, which must be such a mapping. May import the runtime:
    yes. Added in contract 1.

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
    """Report which device actually executes the session's work.

    Called after the last sample, so it may read profiling data.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.

    Returns
    -------
    Placement or None
        The share of the work on the requested device, how it was counted, and
        which parts fell back to another device; ``None`` if unknown.

    Notes
    -----
    Default: returns ``None``. May import the runtime: yes. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import Placement

        @hookimpl
        def lexer_describe_placement(session):
            return Placement(share=1.0, method="nodes")
    """


@hookspec(firstresult=True)
def lexer_profile_calls(
    session: Session, call: Call, count: int
) -> Sequence[ProfiledOperation] | None:
    """Measure on which operations calls spend their time.

    Called once per session, after the first calls, in a session that was created with
    ``config.profiling``. Profiling may slow calls down: the core uses only each
    operation's share of the time.

    Parameters
    ----------
    session
        The session from ``lexer_create_session``.
    call
        As for ``lexer_time_calls``.
    count
        Number of calls to make and to profile.

    Returns
    -------
    Sequence[ProfiledOperation] or None
        What the calls spent their time on. Times do not overlap, unless operations run
        side by side: that of a loop includes its body, whose operations are left out.
        ``None`` if the runtime cannot tell in this configuration.

    Raises
    ------
    UnsupportedError
        The same, with the reason.

    Notes
    -----
    Default: returns ``None``. May import the runtime: yes. Added in contract 2.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import ProfiledOperation

        @hookimpl
        def lexer_profile_calls(session, call, count):
            from time import perf_counter

            kernels = session.evaluator.rt_nodes_
            seconds = [0.0] * len(kernels)

            def timed(at, run):
                def timed_run(*args, **kwargs):
                    start = perf_counter()
                    outputs = run(*args, **kwargs)
                    seconds[at] += perf_counter() - start
                    return outputs

                return timed_run

            for at, kernel in enumerate(kernels):
                kernel.run = timed(at, kernel.run)
            for _ in range(count):
                call.run()
            return [
                ProfiledOperation(
                    name=kernel.onnx_node.name,
                    operator=kernel.onnx_node.op_type,
                    seconds=seconds[at],
                    calls=count,
                    nodes=(kernel.onnx_node.output[0],),
                )
                for at, kernel in enumerate(kernels)
            ]
    """


@hookspec(firstresult=True)
def lexer_run_script(deployed: DeployedModel) -> str | None:
    """Write a script that runs a deployed model with the engine's own API, without Lexer.

    Called when a row of a report is saved to a folder. The script becomes ``run.py`` in
    that folder. It shows the user how to load and call the model with the same settings
    in a program of their own.

    Parameters
    ----------
    deployed
        The model's file, relative to the folder of the script, its inputs and outputs,
        and the settings of the session.

    Returns
    -------
    str
        Python source, about ten lines: a docstring, the imports, the session, a function
        that calls it, and under ``if __name__ == "__main__":`` a call of that function.
        Write every value of ``deployed`` as a literal (``repr``).
        :func:`lexer_core.run_scripts.script_parts` prepares the parts that all
        engines share.

    Notes
    -----
    Default: a script that uses ``lexer_core.load``, and says so. May import the runtime:
    no. Added in contract 1.

    Examples
    --------
    ::

        from lexer_core.hookspecs import hookimpl
        from lexer_core.run_scripts import script_parts

        @hookimpl
        def lexer_run_script(deployed):
            parts = script_parts(deployed)
            return parts.script(
                "Run the model with the ONNX reference evaluator.",
                imports=["from onnx.reference import ReferenceEvaluator"],
                load=[f"session = ReferenceEvaluator(str({parts.path}))"],
                call=[f"return session.run(None, {parts.feeds})"],
            )
    """
