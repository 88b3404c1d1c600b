"""One right engine, and engines that differ from it by one fault each.

The right one runs on numpy, in a format of its own: a JSON file that names one of
the kit's models. Its programs are written here and not taken from the kit, whose
reference functions they are to agree with. A mutant is its source with one passage
replaced, and the name of the check that has to find it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from lexer_core.records import ExportedModel
from lexer_core.testing import EngineUnderTest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REFERENCE = '''
"""A right engine."""

import json
import time

import attrs

from lexer_core.engine_helpers import has_precision
from lexer_core.errors import DeviceUnavailableError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import (
    CPU,
    EngineInfo,
    EngineOption,
    ExportedModel,
    Placement,
    ProfiledOperation,
    TensorSpec,
    Timings,
)


def programs():
    import numpy as np

    one, two, three = map(np.float32, (1, 2, 3))
    weight = (np.arange(12, dtype=np.float32).reshape(3, 4) - 5) / 4
    bias = np.array([0.5, -1, 2, 0.25], dtype=np.float32)
    half_scale = np.array([0.5, -2, 1.5], dtype=np.float16)
    half_shift = np.array([1, 0.25, -3], dtype=np.float16)

    def layer(x):
        return [np.maximum(np.dot(x, weight) + bias, 0)]

    def slow(x):
        time.sleep(0.01)
        return [np.roll(x, 8, axis=1)]

    return {
        "one_input": layer,
        "several_inputs": lambda left, right: [left - two * right],
        "several_outputs": lambda x: [x + one, x * two, x - three],
        "keyword_inputs": lambda x, scale, shift: [shift + scale * x],
        "unused_input": lambda x: [three * x],
        "identity": lambda x: [x],
        "float16": lambda x: [x * half_scale + half_shift],
        "int64": lambda x: [x + x + (2**53 + 1)],
        "small_int64": lambda x: [x + x],
        "int32": lambda x: [x + x + np.int32(2**24 + 1)],
        "uint8": lambda x: [x.transpose().copy()],
        "float64": lambda x: [2 + 2.0 * x],
        "indices": lambda x: [np.argmax(x, 1)],
        "full_range": lambda x: [x + x],
        "large_values": layer,
        "many_rows": layer,
        "twin_a": lambda x: [x + x],
        "twin_b": lambda x: [x + x + x + x],
        "bool": lambda keep, drop: [np.logical_and(keep, np.logical_not(drop))],
        "scalar": lambda x: [np.asarray(three * x + one)],
        "zero_size": lambda x: [two * x],
        "dynamic_batch": layer,
        "control_flow": lambda x: [x + x if x.sum() > 0 else x - one],
        "wide": lambda x: [x + x],
        "slow": slow,
        "slow_pair": lambda left, right: slow(right) + slow(left),
    }


def rounded(compute):
    import numpy as np

    def computed(**inputs):
        halves = {name: array.astype(np.float16) for name, array in inputs.items()}
        back = {name: array.astype(inputs[name].dtype) for name, array in halves.items()}
        return compute(**back)

    return computed


class Session:
    def __init__(self, path, config):
        facts = json.loads(path.read_text(encoding="utf-8"))
        self.compute = programs()[facts["model"]]
        self.inputs = facts["inputs"]
        self.outputs = facts["outputs"]
        self.layout = config.options["layout"]
        self.tile = config.options["tile"]
        self.computed_precision = "float32"
        if facts.get("half"):
            self.computed_precision = "float16"
            self.compute = rounded(self.compute)

    def run(self, placed):
        return self.compute(**placed)

    def close(self):
        self.compute = None


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Right",
        runtime_modules=("numpy",),
        runtime_distributions=("numpy",),
        formats=("zoo",),
        precisions=("float32", "float16"),
        concurrency="shared",
        options=(
            EngineOption(
                name="layout", type=str, default="row", choices=("row", "column"), help="Order."
            ),
            EngineOption(name="tile", type=int, default=8, help="Rows at a time."),
        ),
    )


@hookimpl
def lexer_list_devices():
    return [CPU]


@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "zoo":
        return None
    name = source.model_name.removeprefix("conformance_")
    path = workdir / f"{name}.json"
    outputs = list(source.output_names)
    facts = {"model": name, "inputs": list(source.input_names), "outputs": outputs}
    path.write_text(json.dumps(facts), encoding="utf-8")
    return ExportedModel(
        format="zoo",
        path=path,
        inputs=tuple(TensorSpec(name=n, dtype="float32", shape=(2, 3)) for n in facts["inputs"]),
        outputs=tuple(TensorSpec(name=n, dtype="float32", shape=(2, 3)) for n in outputs),
        size_bytes=path.stat().st_size,
        exporter="right",
    )


@hookimpl
def lexer_convert_model(exported, precision, workdir):
    if precision != "float16":
        return None
    facts = json.loads(exported.path.read_text(encoding="utf-8"))
    path = workdir / "converted.json"
    path.write_text(json.dumps({**facts, "half": True}), encoding="utf-8")
    return attrs.evolve(exported, path=path)


@hookimpl
def lexer_create_session(exported, device, config):
    if device != CPU:
        raise DeviceUnavailableError(f"numpy has no device {device}")
    if config.precision and not has_precision(exported, config.precision):
        raise UnsupportedError(f"numpy does not compute in {config.precision}")
    if config.options["tile"] < 1:
        raise UnsupportedError("a tile has at least one row")
    return Session(exported.path, config)


@hookimpl
def lexer_place_inputs(session, inputs):
    return {name: inputs.arrays[name].copy() for name in session.inputs}


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


@hookimpl
def lexer_fetch_outputs(session, outputs):
    return {name: array.copy() for name, array in zip(session.outputs, outputs, strict=True)}


@hookimpl
def lexer_describe_placement(session):
    return Placement(share=1.0, method="nodes")


@hookimpl
def lexer_profile_calls(session, call, count):
    start = time.perf_counter()
    for _ in range(count):
        (call.reset or int)()
        call.run()
    seconds = time.perf_counter() - start
    return [ProfiledOperation(name="program", operator="Program", seconds=seconds, calls=count)]
'''

RUN = "        return self.compute(**placed)\n"
INIT = '        self.compute = programs()[facts["model"]]\n'
PLACE = "    return {name: inputs.arrays[name].copy() for name in session.inputs}\n"
FETCH = (
    "    return {name: array.copy() for name, array in "
    "zip(session.outputs, outputs, strict=True)}\n"
)
TIMED = "    return Timings(host=seconds)\n"
SOUND = '"""A right engine."""\n'
HEADER = "class Session:\n"
CREATE = "    return Session(exported.path, config)\n"
REFUSE_PRECISION = "    if config.precision and not has_precision(exported, config.precision):\n"
CONVERTED = "    return attrs.evolve(exported, path=path)\n"
REFUSE_DEVICE = "    if device != CPU:\n"
PROFILED = (
    '    return [ProfiledOperation(name="program", operator="Program", seconds=seconds, '
    "calls=count)]\n"
)

ON_ONNX = """
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, ProfiledOperation


class Session:
    def __init__(self, path):
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator(str(path))

    def run(self, placed):
        outputs = self.evaluator.run(None, dict(placed))
        return dict(zip(self.evaluator.output_names, outputs, strict=True))

    def close(self):
        self.evaluator = None


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="ONNX",
        runtime_modules=("onnx",),
        runtime_distributions=("onnx",),
        formats=("onnx",),
    )


@hookimpl
def lexer_create_session(exported):
    return Session(exported.path)


@hookimpl
def lexer_profile_calls(call, count):
    for _ in range(count):
        call.run()
    names = ("a node of another graph",)
    return [
        ProfiledOperation(name="k", operator="Gemm", seconds=1e-6, calls=count, nodes=names)
    ]
"""
"""An engine of ONNX files whose profile names a node that no file has."""

STATEFUL = (
    REFERENCE.replace(INIT, f"{INIT}        self.drift = 0\n").replace(
        RUN,
        "        from numpy import asarray\n\n"
        "        drift, self.drift = self.drift, self.drift + 1\n"
        "        outputs = self.compute(**placed)\n"
        "        return [asarray(each + each.dtype.type(drift)) for each in outputs]\n",
    )
    + """

@hookimpl
def lexer_reset_state(session):
    session.drift = 0
"""
)
"""The right engine, with state that each call adds to and a reset that puts it back."""


@attrs.frozen(kw_only=True)
class Mutant:
    """One wrong engine.

    Parameters
    ----------
    name
        What is wrong.
    check
        The check that finds it.
    old, new
        The passage of the source that is replaced, and what by.
    source
        What it is made of.
    entry
        The value of its entry point; default: its module.
    declared
        What its author says of it.
    needs
        Packages without which it cannot be told from the right one.
    """

    name: str
    check: str
    old: str = ""
    new: str = ""
    source: str = REFERENCE
    entry: str = ""
    declared: Mapping[str, object] = attrs.field(factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        assert self.source.count(self.old) == 1 or not self.old, f"{self.name}: where?"
        return self.source.replace(self.old, self.new) if self.old else self.source


def program(name: str, new: str) -> tuple[str, str]:
    """Find the line with one program, and make it another."""
    line = next(line for line in REFERENCE.splitlines() if line.strip().startswith(f'"{name}":'))
    return f"{line}\n", f'        "{name}": {new},\n'


def wrong_program(fault: str, name: str, new: str) -> Mutant:
    old, replaced = program(name, new)
    return Mutant(name=fault, check=f"outputs_{name}", old=old, new=replaced)


MUTANTS = (
    # -- discovery
    Mutant(name="entry_point_leads_nowhere", check="entry_point_resolves", entry="no_such_module"),
    Mutant(name="entry_point_is_a_class", check="entry_point_resolves", entry="builtins:int"),
    Mutant(
        name="raises_at_import",
        check="entry_point_resolves",
        old=SOUND,
        new="raise RuntimeError('the runtime is missing')\n",
    ),
    Mutant(
        name="implements_an_unknown_hook",
        check="hooks_are_sound",
        old=HEADER,
        new=f"@hookimpl\ndef lexer_predict_weather():\n    return 1\n\n\n{HEADER}",
    ),
    Mutant(
        name="forgets_a_mark",
        check="hooks_are_sound",
        old="@hookimpl\ndef lexer_fetch_outputs",
        new="def lexer_fetch_outputs",
    ),
    Mutant(
        name="lacks_a_required_hook",
        check="hooks_are_sound",
        old="@hookimpl\ndef lexer_create_session",
        new="def create_session",
    ),
    Mutant(
        name="names_a_runtime_that_it_does_not_use",
        check="engine_info_is_honest",
        old='runtime_modules=("numpy",)',
        new='runtime_modules=("numpy", "runtime_of_nobody")',
    ),
    Mutant(
        name="names_a_distribution_that_is_not_there",
        check="engine_info_is_honest",
        old='runtime_distributions=("numpy",)',
        new='runtime_distributions=("numpi",)',
    ),
    Mutant(
        name="says_something_else_each_time",
        check="engine_info_is_honest",
        old='        display_name="Right",\n',
        new='        display_name=f"Right {len(NAMES)} {NAMES.append(1)}",\n',
        source=REFERENCE.replace(HEADER, f"NAMES = []\n\n\n{HEADER}"),
    ),
    Mutant(
        name="imports_its_runtime_in_listing",
        check="listing_imports_no_runtime",
        old=SOUND,
        new="import numpy\n",
    ),
    Mutant(
        name="imports_its_runtime_in_engine_info",
        check="listing_imports_no_runtime",
        old="    return EngineInfo(\n",
        new="    import numpy\n\n    return EngineInfo(\n",
    ),
    Mutant(
        name="sets_variables_in_listing",
        check="listing_leaves_no_trace",
        old=SOUND,
        new="import os\n\nos.environ['RUNTIME_OF_MINE'] = '1'\n",
    ),
    Mutant(
        name="greets_in_listing",
        check="listing_leaves_no_trace",
        old=SOUND,
        new="print('Welcome!')\n",
    ),
    Mutant(
        name="declares_an_unknown_capability",
        check="declarations_are_sound",
        declared={"cannot": {"flot16": "there is no kernel"}},
    ),
    Mutant(
        name="declares_without_a_reason",
        check="declarations_are_sound",
        declared={"cannot": {"float16": " "}},
    ),
    Mutant(
        name="declares_an_option_that_it_has_not",
        check="declarations_are_sound",
        declared={"option_effects": {"lay_out": "nothing to see"}},
    ),
    Mutant(
        name="runs_what_it_is_declared_not_to",
        check="declared_limits_are_refused",
        declared={"cannot": {"float16": "it would be widened"}},
    ),
    Mutant(
        name="refuses_in_its_own_words",
        check="declared_limits_are_refused",
        old=INIT,
        new=f'        if facts["model"] == "float16":\n            raise ValueError("no")\n{INIT}',
        declared={"cannot": {"float16": "there is no kernel"}},
    ),
    # -- profiles
    Mutant(
        name="profiles_one_call_of_several",
        check="profiles_add_up",
        old=PROFILED,
        new=PROFILED.replace("seconds=seconds", "seconds=seconds / count"),
    ),
    Mutant(
        name="profiles_in_milliseconds",
        check="profiles_add_up",
        old=PROFILED,
        new=PROFILED.replace("seconds=seconds", "seconds=1e3 * seconds"),
    ),
    Mutant(
        name="profiles_negative_times",
        check="profiles_add_up",
        old=PROFILED,
        new=PROFILED.replace("seconds=seconds", "seconds=-seconds"),
    ),
    Mutant(
        name="profiles_an_operation_and_its_parts",
        check="profiles_add_up",
        old=PROFILED,
        new=PROFILED.replace("[", "2 * ["),
    ),
    Mutant(
        name="profiles_more_calls",
        check="profiles_add_up",
        old="    seconds = time.perf_counter() - start\n",
        new="    seconds = time.perf_counter() - start\n    call.run()\n",
    ),
    Mutant(
        name="profiles_nodes_of_another_graph",
        check="profiles_name_nodes_of_the_model",
        source=ON_ONNX,
        declared={"make_model": classmethod(lambda *_: None)},
        needs=("onnx",),
    ),
    Mutant(
        name="computes_otherwise_when_profiled",
        check="profiled_sessions_are_right",
        old=CREATE,
        new="    if config.profiling:\n"
        '        return Session(exported.path, config, "identity")\n' + CREATE,
        source=REFERENCE.replace(
            "    def __init__(self, path, config):\n",
            "    def __init__(self, path, config, other=None):\n",
        ).replace(INIT, '        self.compute = programs()[other or facts["model"]]\n'),
    ),
    # -- devices
    Mutant(
        name="lists_no_device",
        check="devices_are_listed",
        old="    return [CPU]\n",
        new="    return []\n",
    ),
    Mutant(
        name="lists_other_devices_each_time",
        check="devices_are_listed",
        old="    return [CPU]\n",
        new="    LISTED.append(1)\n    return [CPU, Device(kind='npu', index=len(LISTED))]\n",
        source=REFERENCE.replace(
            HEADER, f"from lexer_core.records import Device\n\nLISTED = []\n\n\n{HEADER}"
        ),
    ),
    Mutant(
        name="falls_back_to_another_device",
        check="absent_device_is_refused",
        old=REFUSE_DEVICE,
        new="    if False:\n",
    ),
    Mutant(
        name="refuses_a_device_in_its_own_words",
        check="absent_device_is_refused",
        old="        raise DeviceUnavailableError(",
        new="        raise ValueError(",
    ),
    Mutant(
        name="does_not_say_where_the_rest_ran",
        check="placement_is_consistent",
        old="Placement(share=1.0,",
        new="Placement(share=0.5,",
    ),
    Mutant(
        name="says_everything_ran_here_and_something_elsewhere",
        check="placement_is_consistent",
        old='method="nodes")',
        new='method="nodes", fallbacks=("Relu on cpu",))',
    ),
    Mutant(
        name="changes_the_session_when_asked_for_its_placement",
        check="placement_is_consistent",
        old="    return Placement(share",
        new="    session.compute = lambda x: [x @ x.T]\n    return Placement(share",
    ),
    # -- outputs
    Mutant(
        name="returns_zeros",
        check="outputs_one_input",
        old=RUN,
        new="        return [each * 0 for each in self.compute(**placed)]\n",
    ),
    Mutant(
        name="is_off_by_a_thousandth",
        check="outputs_one_input",
        old="        return [np.maximum(np.dot(x, weight) + bias, 0)]\n",
        new="        return [np.maximum(np.dot(x, weight) + bias, 0) * np.float32(1.001)]\n",
    ),
    Mutant(
        name="returns_nan",
        check="outputs_one_input",
        old=RUN,
        new="        return [each * float('nan') for each in self.compute(**placed)]\n",
    ),
    Mutant(
        name="returns_float64",
        check="outputs_one_input",
        old="name: array.copy() for name, array in",
        new="name: array.astype(float) for name, array in",
    ),
    Mutant(
        name="flattens_outputs",
        check="outputs_one_input",
        old="name: array.copy() for name, array in",
        new="name: array.ravel() for name, array in",
    ),
    Mutant(
        name="swaps_inputs",
        check="outputs_several_inputs",
        old=RUN,
        new="        return self.compute(*reversed(placed.values()))\n",
    ),
    Mutant(
        name="swaps_outputs",
        check="outputs_several_outputs",
        old="zip(session.outputs, outputs, strict=True)",
        new="zip(sorted(session.outputs), outputs, strict=True)",
    ),
    Mutant(
        name="numbers_outputs",
        check="outputs_several_outputs",
        old="zip(session.outputs, outputs, strict=True)",
        new="((f'output_{i}', each) for i, each in enumerate(outputs))",
    ),
    Mutant(
        name="keeps_the_first_output_alone",
        check="outputs_several_outputs",
        old="zip(session.outputs, outputs, strict=True)",
        new="list(zip(session.outputs, outputs, strict=True))[:1]",
    ),
    Mutant(
        name="takes_inputs_in_alphabetical_order",
        check="outputs_keyword_inputs",
        old=RUN,
        new="        return self.compute(*(placed[name] for name in sorted(placed)))\n",
    ),
    Mutant(
        name="needs_every_input",
        check="outputs_unused_input",
        old=PLACE,
        new=f"    if len(inputs.arrays) > len(session.inputs):\n"
        f"        raise ValueError('too many inputs')\n{PLACE}",
    ),
    wrong_program("loses_an_output_that_is_an_input", "identity", "lambda x: [None]"),
    wrong_program(
        "widens_float16",
        "float16",
        "lambda x: [x.astype(np.float32) * half_scale.astype(np.float32) + half_shift]",
    ),
    wrong_program(
        "computes_int64_in_float64",
        "int64",
        "lambda x: [(x + x.astype(float) + float(2**53 + 1)).astype(np.int64)]",
    ),
    wrong_program(
        "returns_masks_as_numbers",
        "bool",
        "lambda keep, drop: [(keep & ~drop).astype(np.uint8)]",
    ),
    wrong_program("gives_scalars_a_dimension", "scalar", "lambda x: [np.atleast_1d(x * 3 + one)]"),
    wrong_program("pads_what_is_empty", "zero_size", "lambda x: [np.zeros((1, 3), x.dtype)]"),
    Mutant(
        name="keeps_the_first_batch_size",
        check="outputs_dynamic_batch",
        old=PLACE,
        new="    import numpy as np\n\n"
        "    placed = {name: inputs.arrays[name].copy() for name in session.inputs}\n"
        "    session.batch = getattr(session, 'batch', len(inputs.arrays['x']))\n"
        "    placed['x'] = np.resize(placed['x'], (session.batch, *placed['x'].shape[1:]))\n"
        "    return placed\n",
    ),
    wrong_program("takes_one_branch_always", "control_flow", "lambda x: [x + x]"),
    wrong_program(
        "computes_int32_in_float32",
        "int32",
        "lambda x: [(np.float32(2) * x.astype('f4') + np.float32(2**24 + 1)).astype('i4')]",
    ),
    wrong_program("widens_bytes", "uint8", "lambda x: [x.transpose().astype(np.int32)]"),
    wrong_program(
        "computes_float64_in_float32",
        "float64",
        "lambda x: [(2 + 2 * x.astype('f4')).astype('f8')]",
    ),
    wrong_program(
        "returns_indices_as_float32", "indices", "lambda x: [np.argmax(x, 1).astype(np.float32)]"
    ),
    Mutant(
        name="lists_a_device_that_does_nothing",
        check="every_listed_device_works",
        old='    return Placement(share=1.0, method="nodes")\n',
        new='    return Placement(share=0.0, method="nodes", fallbacks=("Relu on another",))\n',
    ),
    # -- sessions
    Mutant(
        name="writes_to_its_placed_inputs",
        check="calls_repeat",
        old=RUN,
        new="        outputs = self.compute(**placed)\n"
        "        placed['x'] += 1\n"
        "        return outputs\n",
    ),
    Mutant(
        name="lets_state_leak_between_calls",
        check="calls_repeat",
        source=STATEFUL,
        old="    session.drift = 0\n",
        new="    session.drift += 0\n",
    ),
    Mutant(
        name="is_right_the_first_time_only",
        check="calls_repeat",
        old=RUN,
        new="        outputs = self.compute(**placed)\n"
        "        self.compute = lambda **_: [each * 0 for each in outputs]\n"
        "        return outputs\n",
    ),
    Mutant(
        name="returns_stale_outputs",
        check="calls_follow_their_inputs",
        old=RUN,
        new="        self.kept = getattr(self, 'kept', None) or self.compute(**placed)\n"
        "        return self.kept\n",
    ),
    Mutant(
        name="runs_the_inputs_that_were_placed_last",
        check="calls_follow_their_inputs",
        old=PLACE,
        new=PLACE.replace("return", "session.placed =") + "    return session.placed\n",
        source=REFERENCE.replace(RUN, "        return self.compute(**self.placed)\n"),
    ),
    Mutant(
        name="hands_out_its_buffers",
        check="fetched_outputs_stay",
        old=FETCH,
        new="    buffers = session.__dict__.setdefault('buffers', [each * 0 for each in outputs])\n"
        "    for buffer, output in zip(buffers, outputs):\n"
        "        buffer[...] = output\n"
        "    return dict(zip(session.outputs, buffers, strict=True))\n",
    ),
    Mutant(
        name="hands_out_what_cannot_be_written_to",
        check="fetched_outputs_stay",
        old=FETCH,
        new=FETCH.replace("return", "fetched =") + "    for array in fetched.values():\n"
        "        array.flags.writeable = False\n"
        "    return fetched\n",
    ),
    Mutant(
        name="damages_the_inputs_that_it_was_given",
        check="inputs_are_left_alone",
        old=PLACE,
        new="    return dict(inputs.arrays)\n",
        source=REFERENCE.replace(
            RUN,
            "        outputs = self.compute(**placed)\n"
            "        placed['x'] *= 0\n"
            "        return outputs\n",
        ),
    ),
    Mutant(
        name="reads_memory_as_if_it_were_contiguous",
        check="inputs_of_any_layout_are_read",
        old=PLACE,
        new="    arrays = inputs.arrays\n"
        "    return {\n"
        "        name: arrays[name].ravel(order='K').reshape(arrays[name].shape)\n"
        "        for name in session.inputs\n"
        "    }\n",
    ),
    Mutant(
        name="works_once_in_a_process",
        check="sessions_repeat",
        old=CREATE,
        new="    session = Session(exported.path, config)\n"
        "    LOADED.append(exported.path)\n"
        "    if len(LOADED) > 1:\n"
        "        session.compute = lambda x: [x @ x.T]\n"
        "    return session\n",
        source=REFERENCE.replace(HEADER, f"LOADED = []\n\n\n{HEADER}"),
    ),
    Mutant(
        name="keeps_the_model_in_the_module",
        check="two_sessions_at_once",
        old=RUN,
        new="        return CURRENT[-1](**placed)\n",
        source=REFERENCE.replace(HEADER, f"CURRENT = []\n\n\n{HEADER}").replace(
            INIT, f"{INIT}        CURRENT.append(self.compute)\n"
        ),
    ),
    Mutant(
        name="closes_what_others_use",
        check="closing_leaves_others_open",
        old="        self.compute = None\n",
        new="        SHARED.clear()\n",
        source=REFERENCE.replace(HEADER, f"SHARED = {{}}\n\n\n{HEADER}")
        .replace(
            INIT, f"{INIT}        self.key = str(path)\n        SHARED[self.key] = self.compute\n"
        )
        .replace(RUN, "        return SHARED[self.key](**placed)\n"),
    ),
    Mutant(
        name="cannot_be_closed_twice",
        check="close_may_be_called_twice",
        old="        self.compute = None\n",
        new="        del self.compute\n",
    ),
    Mutant(
        name="keeps_the_inputs_of_a_call_in_the_module",
        check="threads_with_own_sessions_are_apart",
        old=RUN,
        new="        global current\n        current = placed\n        time.sleep(0.002)\n"
        "        return self.compute(**current)\n",
    ),
    Mutant(
        name="keeps_the_inputs_of_a_call_in_the_session",
        check="threads_with_one_session_are_apart",
        old=RUN,
        new="        self.current = placed\n        time.sleep(0.002)\n"
        "        return self.compute(**self.current)\n",
    ),
    # -- timing
    Mutant(
        name="drops_a_sample",
        check="times_are_counted_and_positive",
        old=TIMED,
        new="    return Timings(host=seconds[1:])\n",
    ),
    Mutant(
        name="subtracts_an_overhead",
        check="times_are_counted_and_positive",
        old=TIMED,
        new="    return Timings(host=seconds - 1.0)\n",
    ),
    Mutant(
        name="returns_milliseconds",
        check="every_sample_is_reported",
        old=TIMED,
        new="    return Timings(host=seconds * 1e3)\n",
    ),
    Mutant(
        name="reports_the_minimum",
        check="every_sample_is_reported",
        old=TIMED,
        new="    return Timings(host=np.full(count, seconds.min()))\n",
    ),
    Mutant(
        name="reports_the_mean_of_the_block",
        check="every_sample_is_reported",
        old=TIMED,
        new="    return Timings(host=np.full(count, seconds.mean()))\n",
    ),
    Mutant(
        name="sorts_samples",
        check="every_sample_is_reported",
        old=TIMED,
        new="    return Timings(host=np.sort(seconds))\n",
    ),
    Mutant(
        name="trims_outliers",
        check="slow_call_is_seen",
        old=TIMED,
        new="    return Timings(host=np.minimum(seconds, 10 * np.median(seconds)))\n",
    ),
    Mutant(
        name="reads_a_clock_of_its_own",
        check="clock_is_the_one_given",
        old="    seconds = np.empty(count)\n",
        new="    import time\n\n    clock = time.perf_counter_ns\n    seconds = np.empty(count)\n",
    ),
    Mutant(
        name="warms_up_by_itself",
        check="calls_are_exactly_as_many",
        old="    seconds = np.empty(count)\n",
        new="    call.run()\n    seconds = np.empty(count)\n",
    ),
    Mutant(
        name="ignores_loops",
        check="calls_are_exactly_as_many",
        old="        for _ in range(loops):\n            call.run()\n",
        new="        call.run()\n",
    ),
    Mutant(
        name="does_not_divide_by_loops",
        check="loops_are_divided_by",
        old="/ 1e9 / loops",
        new="/ 1e9",
    ),
    Mutant(
        name="times_the_reset",
        check="resets_are_left_out",
        source=STATEFUL,
        old="            call.reset()\n        start = clock()\n",
        new="            start = clock()\n            call.reset()\n",
    ),
    Mutant(
        name="resets_once_in_a_block",
        check="resets_are_left_out",
        source=STATEFUL,
        old="        if call.reset is not None:\n",
        new="        if call.reset is not None and sample == 0:\n",
    ),
    Mutant(
        name="returns_before_its_work_is_done",
        check="completion_is_timed",
        old=RUN,
        # The sleep lets the call return, on a busy machine, too: a thread may compute before
        # ``start`` returns.
        new="        outputs = []\n"
        "        task = lambda: (time.sleep(0.03), outputs.extend(self.compute(**placed)))\n"
        "        self.work = threading.Thread(target=task)\n"
        "        self.work.start()\n"
        "        return outputs\n",
        source=REFERENCE.replace(SOUND, "import threading\nimport time\n").replace(
            FETCH, f"    session.work.join()\n{FETCH}"
        ),
    ),
    Mutant(
        name="leaves_time_out_of_its_samples",
        check="completion_is_timed",
        old=TIMED,
        new="    return Timings(host=seconds / 3)\n",
    ),
    # -- options
    Mutant(
        name="explains_no_option",
        check="options_are_explained",
        old='help="Rows at a time."',
        new='help=""',
    ),
    Mutant(
        name="ignores_values_that_mean_nothing",
        check="nonsense_is_refused",
        old='        self.tile = config.options["tile"]\n',
        new='        self.tile = max(8, config.options["tile"])\n',
        source=REFERENCE.replace('    if config.options["tile"] < 1:\n', "    if False:\n"),
    ),
    Mutant(
        name="offers_a_choice_that_it_has_not",
        check="choices_can_be_taken",
        old='        self.layout = config.options["layout"]\n',
        new='        self.layout = {"row": "row"}[config.options["layout"]]\n',
    ),
    Mutant(
        name="is_wrong_with_a_choice",
        check="choices_can_be_taken",
        old=RUN,
        new="        outputs = self.compute(**placed)\n"
        "        return outputs if self.layout == 'row' else [each + 1 for each in outputs]\n",
    ),
    Mutant(
        name="ignores_an_option",
        check="options_take_effect",
        old='        self.layout = config.options["layout"]\n',
        new='        self.layout = "row"\n',
    ),
    Mutant(
        name="ignores_the_precision",
        check="unknown_precision_is_refused",
        old=REFUSE_PRECISION,
        new="    if False:\n",
    ),
    Mutant(
        name="computes_in_another_precision_than_it_says",
        check="precisions_take_effect",
        old="            self.compute = rounded(self.compute)\n",
        new="",
    ),
    Mutant(
        name="declares_a_precision_that_it_refuses",
        check="declared_precisions_are_served",
        old='precisions=("float32", "float16"),',
        new='precisions=("float32", "float16", "bfloat16"),',
    ),
    Mutant(
        name="accepts_a_precision_that_it_does_not_declare",
        check="declared_precisions_are_served",
        old='precisions=("float32", "float16"),',
        new='precisions=("float32",),',
    ),
    Mutant(
        name="renames_outputs_when_it_converts",
        check="conversions_keep_the_model",
        old=CONVERTED,
        new="    (output,) = exported.outputs\n"
        '    output = attrs.evolve(output, name="half")\n'
        "    return attrs.evolve(exported, path=path, outputs=(output,))\n",
    ),
    Mutant(
        name="changes_a_type_when_it_converts",
        check="conversions_keep_the_model",
        old=CONVERTED,
        new="    (spec,) = exported.inputs\n"
        '    spec = attrs.evolve(spec, dtype="float16")\n'
        "    return attrs.evolve(exported, path=path, inputs=(spec,))\n",
    ),
    Mutant(
        name="converts_to_another_model",
        check="conversions_keep_the_model",
        old='{**facts, "half": True}',
        new='{**facts, "half": True, "model": "many_rows", "outputs": ["z"]}',
    ),
    Mutant(
        name="converts_over_the_export",
        check="conversions_keep_the_model",
        old=CONVERTED,
        new="    exported.path.write_bytes(path.read_bytes())\n" + CONVERTED,
    ),
    Mutant(
        name="converts_outside_its_folder",
        check="conversions_keep_the_model",
        old='    path = workdir / "converted.json"\n',
        new='    path = exported.path.with_name("converted.json")\n',
    ),
    # -- errors
    Mutant(
        name="takes_a_broken_file_for_a_model",
        check="broken_model_is_refused",
        old='        facts = json.loads(path.read_text(encoding="utf-8"))\n',
        new="        try:\n"
        '            facts = json.loads(path.read_text(encoding="utf-8"))\n'
        "        except ValueError:\n"
        '            facts = {"model": "one_input", "inputs": ["x"], "outputs": ["y"]}\n',
    ),
    Mutant(
        name="fills_in_what_is_missing",
        check="wrong_inputs_are_refused",
        old=PLACE,
        new="    import numpy as np\n\n"
        "    zeros = np.zeros((2, 3), np.float32)\n"
        "    return {name: inputs.arrays.get(name, zeros).copy() for name in session.inputs}\n",
    ),
    Mutant(
        name="cuts_inputs_to_size",
        check="wrong_inputs_are_refused",
        old=PLACE,
        new="    import numpy as np\n\n"
        "    arrays = inputs.arrays\n"
        "    return {name: np.resize(arrays[name], (2, 3)) for name in session.inputs}\n",
    ),
    Mutant(
        name="blames_another_engine",
        check="errors_name_the_engine",
        old='        raise DeviceUnavailableError(f"numpy has no device {device}")\n',
        new='        raise DeviceUnavailableError("no device", engine="torch")\n',
    ),
    Mutant(
        name="does_not_recover_from_an_error",
        check="errors_leave_nothing_behind",
        old=REFUSE_DEVICE,
        new=f"{REFUSE_DEVICE}        FAILED.append(device)\n",
        source=REFERENCE.replace(HEADER, f"FAILED = []\n\n\n{HEADER}").replace(
            RUN, "        return [each * (not FAILED) for each in self.compute(**placed)]\n"
        ),
    ),
    # -- export
    Mutant(
        name="exports_to_whatever_is_asked_for",
        check="other_formats_are_left_to_others",
        old='    if format != "zoo":\n        return None\n',
        new="",
        source=REFERENCE.replace('        format="zoo",\n', "        format=format,\n"),
        needs=("onnx",),
    ),
    Mutant(
        name="raises_for_a_format_that_it_does_not_make",
        check="other_formats_are_left_to_others",
        old='    if format != "zoo":\n        return None\n',
        new='    if format != "zoo":\n        raise ValueError(format)\n',
        needs=("onnx",),
    ),
    Mutant(
        name="renames_outputs_in_export",
        check="exports_are_as_asked_for",
        old="    outputs = list(source.output_names)\n",
        new="    outputs = sorted(source.output_names)\n",
        needs=("onnx",),
    ),
    Mutant(
        name="exports_beside_its_folder",
        check="exports_are_as_asked_for",
        old='    path = workdir / f"{name}.json"\n',
        new='    path = workdir.parent / f"{name}-elsewhere.json"\n',
        needs=("onnx",),
    ),
    Mutant(
        name="exports_another_model",
        check="exports_run_right",
        old='    name = source.model_name.removeprefix("conformance_")\n',
        new='    name = "identity"\n',
        needs=("onnx",),
    ),
    Mutant(
        name="leaves_a_module_in_another_mode",
        check="exports_leave_the_model_alone",
        old='    name = source.model_name.removeprefix("conformance_")\n',
        new='    name = source.model_name.removeprefix("conformance_")\n'
        "    if source.module is not None:\n"
        "        source.module.train()\n",
        needs=("torch",),
    ),
    # -- resources
    Mutant(
        name="starts_threads_in_calls",
        check="calls_keep_no_threads",
        old=RUN,
        new="        self.calls = getattr(self, 'calls', 0) + 1\n"
        "        if self.calls % 100 == 0:\n"
        "            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\n" + RUN,
        source=REFERENCE.replace(SOUND, "import threading\n"),
    ),
    Mutant(
        name="opens_files_in_calls",
        check="calls_keep_no_files",
        old=RUN,
        new="        self.calls = getattr(self, 'calls', 0) + 1\n"
        "        if self.calls % 100 == 0:\n"
        "            KEPT.append(os.open(os.devnull, os.O_RDONLY))\n" + RUN,
        source=REFERENCE.replace(SOUND, "import os\n\nKEPT = []\n"),
    ),
    Mutant(
        name="keeps_its_outputs",
        check="calls_keep_no_memory",
        old=RUN,
        new="        self.kept = getattr(self, 'kept', [])\n"
        "        self.kept.append(self.compute(**placed))\n"
        "        return self.kept[-1]\n",
    ),
    Mutant(
        name="keeps_its_sessions",
        check="closed_sessions_are_released",
        old=INIT,
        new=f"{INIT}        SESSIONS.append(self)\n",
        source=REFERENCE.replace(HEADER, f"SESSIONS = []\n\n\n{HEADER}"),
    ),
    Mutant(
        name="leaves_files_open_in_close",
        check="closed_sessions_are_released",
        old=INIT,
        new=f"{INIT}        KEPT.append(os.open(path, os.O_RDONLY))\n",
        source=REFERENCE.replace(SOUND, "import os\n\nKEPT = []\n"),
    ),
)


class ModelZooEngine(EngineUnderTest):
    """What the author of the right engine says of it."""

    option_effects = {  # noqa: RUF012 - as an author writes it
        "layout": lambda session: session.layout,
        "tile": lambda session: session.tile,
    }

    @classmethod
    def make_model(cls, case, folder: Path) -> ExportedModel:
        taken = [spec for spec in case.inputs if spec.name not in case.unused]
        facts = {
            "model": case.name,
            "inputs": [spec.name for spec in taken],
            "outputs": [spec.name for spec in case.outputs],
        }
        path = folder / f"{case.name}.json"
        path.write_text(json.dumps(facts), encoding="utf-8")
        return ExportedModel(
            format="zoo",
            path=path,
            inputs=tuple(taken),
            outputs=case.outputs,
            size_bytes=path.stat().st_size,
            exporter="the tests",
        )
