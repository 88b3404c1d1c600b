"""Does the parent accept exactly what the methods of hosted objects declare?"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from lexer_core.benchmark.case_records import Block, FinalFacts
from lexer_core.benchmark.case_session import CaseSession
from lexer_core.benchmark.outcome import PreparedModel
from lexer_core.benchmark.preparation import BuiltModel, OnnxPreparation, TorchPreparation
from lexer_core.benchmark.reference_workload_session import ReferenceWorkloadSession
from lexer_core.engines.probe import DeviceLister
from lexer_core.machine.system_counters import SystemCounters
from lexer_core.model.caller_state import CallerState
from lexer_core.records import (
    UNKNOWN_PLACEMENT,
    CallInputs,
    CallStructure,
    Device,
    DeviceUsage,
    ExportedModel,
    TensorRef,
    TensorSpec,
)
from lexer_core.testing.fresh_listing import FreshListing, ListingFacts
from lexer_core.testing.hosted import HostedChecks
from lexer_core.validated_data import InvalidDataError
from lexer_core.worker.plain_data import decode, encode
from lexer_core.worker.reply_types import read_reply

HOSTED = [
    CaseSession,
    DeviceLister,
    FreshListing,
    HostedChecks,
    OnnxPreparation,
    ReferenceWorkloadSession,
    TorchPreparation,
]

COUNTERS = SystemCounters(steal_ticks=1, total_ticks=2, major_faults=3)


def methods_of(hosted):
    return [
        name for name, _ in inspect.getmembers(hosted, inspect.isfunction) if name[0] not in "_"
    ]


def sent(value):
    """Return a value as plain data, as it arrives in the parent."""
    data, buffers = encode(value)
    return decode(bytearray(data), [bytearray(each) for each in buffers])


def block(**fields):
    return Block(
        **{
            "samples": np.array([1.0, 2.0]),
            "device_samples": None,
            "loops": 3,
            "elapsed": 9.0,
            "before": COUNTERS,
            "after": COUNTERS,
        }
        | fields
    )


@pytest.mark.parametrize("hosted", HOSTED)
def test_every_method_of_a_hosted_object_declares_a_type_that_can_be_read(hosted):
    assert methods_of(hosted)
    for method in methods_of(hosted):
        with pytest.raises(InvalidDataError):
            read_reply(hosted, method, object())


def test_a_block_arrives_as_it_was_sent():
    arrived = read_reply(CaseSession, "block", sent(block()))

    assert isinstance(arrived, Block)
    np.testing.assert_array_equal(arrived.samples, [1.0, 2.0])
    assert (arrived.loops, arrived.elapsed, arrived.device_samples) == (3, 9.0, None)
    assert arrived.before == arrived.after == COUNTERS


def test_an_export_arrives_as_it_was_sent():
    exported = ExportedModel(
        format="onnx",
        path=Path("/somewhere/model.onnx"),
        inputs=(TensorSpec(name="x", dtype="float32", shape=(1, "batch")),),
        outputs=(),
        size_bytes=12,
        exporter="e",
        notes=("a note",),
    )
    prepared = PreparedModel(exported=exported, seconds=1.5, cached=True)

    arrived = read_reply(TorchPreparation, "export", sent(prepared))

    assert arrived.exported.path == exported.path
    assert (arrived.exported.inputs, arrived.exported.outputs) == (exported.inputs, ())
    assert (arrived.exported.notes, arrived.exported.size_bytes) == (("a note",), 12)
    assert (arrived.seconds, arrived.cached) == (1.5, True)


def test_sets_and_pairs_arrive_as_they_were_sent():
    facts = ListingFacts(imported=frozenset({"numpy"}), changes=("sys.path changed",))
    devices = ((Device(kind="cuda", index=1, identifier="one"),), "")

    assert read_reply(FreshListing, "list_engine", sent(facts)) == facts
    arrived, reason = read_reply(DeviceLister, "list_devices", sent(devices))
    assert (arrived, reason) == devices
    assert arrived[0].identifier == "one"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"samples": [1.0, 2.0]}, "samples: expected an array of float64"),
        ({"samples": np.ones(2, np.float32)}, "samples: expected an array of float64"),
        ({"device_samples": "fast"}, "device_samples: expected an array of float64"),
        ({"loops": "3"}, "loops: expected a whole number"),
        ({"loops": True}, "loops: expected a whole number"),
        ({"elapsed": np.ones(1)}, "elapsed: expected a number"),
        ({"before": None}, "before: expected a mapping"),
        ({"after": {"steal_ticks": 1.5}}, "after.steal_ticks: expected a whole number"),
    ],
)
def test_a_field_of_another_type_is_refused_with_its_name(fields, reason):
    with pytest.raises(InvalidDataError, match=reason):
        read_reply(CaseSession, "block", sent(block(**fields)))


def test_a_live_object_never_arrives():
    exported = {"format": "torch", "model": 1, "inputs": [], "outputs": [], "size_bytes": 1}

    with pytest.raises(InvalidDataError, match=r"exported\.model: expected nothing, got 1"):
        read_reply(TorchPreparation, "export", {"exported": {**exported, "exporter": "e"}})


def test_outputs_may_be_of_any_number_type():
    facts = FinalFacts(
        outputs={"y": np.ones(2, np.float16), "z": np.ones((), bool)},
        placement=UNKNOWN_PLACEMENT,
        threads={"python": 1},
        inputs_changed=False,
        usage=DeviceUsage(),
    )

    arrived = read_reply(CaseSession, "finish", sent(facts))

    assert [array.dtype.name for array in arrived.outputs.values()] == ["float16", "bool"]
    assert arrived.placement == UNKNOWN_PLACEMENT


def test_the_parent_passes_on_the_structure_of_a_call_without_reading_it():
    class Unreadable:
        def __reduce__(self):
            return print, ("unpickled in the parent",)

    structure = CallStructure(args=(TensorRef("x"), Unreadable()))
    built = BuiltModel(
        inputs=CallInputs(arrays={"x": np.ones(3)}, structure=structure),
        notes=(),
        sys_path=("/somewhere",),
        caller_state=CallerState(torch_settings={"default_dtype": "float32", "both": (True, 1)}),
    )

    arrived = read_reply(TorchPreparation, "build", sent(built))

    np.testing.assert_array_equal(arrived.inputs.arrays["x"], np.ones(3))
    assert isinstance(arrived.inputs.structure, CallStructure)
    assert arrived.inputs.structure.args == ()
    assert arrived.caller_state == built.caller_state
