"""Does an engine that loads ONNX handle the details that users notice?

Tests that go beyond the contract: error messages, element types, memory. Derive a
class from :class:`OnnxEngineTests` in the tests of a plugin. Like ``pytest_class``,
this module imports pytest.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.engines.choice import resolve_options
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import (
    DeviceUnavailableError,
    EngineError,
    InputError,
    LexerError,
    UnsupportedError,
)
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    Device,
    ExportedModel,
    SessionConfig,
    TensorRef,
    TensorSpec,
)
from lexer_core.testing.onnx_models import write_onnx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.engines.engine import Engine
    from lexer_core.records import Session

__all__ = ["OnnxEngineTests", "tensor"]

_OTHER_DEVICES = ("cuda", "gpu", "npu", "nosuch")

_CALL_IN_A_NEW_PROCESS = """
import sys
from pathlib import Path

import numpy

from lexer_core.engines.registry import EngineRegistry
from lexer_core.records import *

name, path, *forbidden = sys.argv[1:]
inputs, outputs = (TensorSpec(name=n, dtype="float32", shape=("n", 3)) for n in "xy")
exported = ExportedModel(
    format="onnx", path=Path(path), inputs=(inputs,), outputs=(outputs,), size_bytes=1, exporter=""
)
engine = EngineRegistry().get(name)
session = engine.create_session(exported, CPU, SessionConfig(threads=1))
arrays = {"x": numpy.ones((1, 3), numpy.float32)}
placed = engine.place_inputs(session, CallInputs(arrays=arrays, structure=CallStructure()), CPU)
assert engine.fetch_outputs(session, session.run(placed))["y"][0, 0] == 2
found = set(forbidden) & set(sys.modules)
assert not found, found
"""


def tensor(name: str, *shape: int | str, dtype: str = "float32") -> TensorSpec:
    """Return the specification of a tensor."""
    return TensorSpec(name=name, dtype=dtype, shape=shape)


class OnnxEngineTests:
    """Tests for an engine that loads ``.onnx`` files on the CPU.

    Attributes
    ----------
    engine_name
        The engine's name on the command line.
    element_types
        Element types that pass through an identity unchanged.
    never_devices
        Kinds of devices of the runtime that the engine does not list.
    forbidden_imports
        Modules that a measured call must not import.
    refusable_options
        Options that may refuse a choice, depending on the machine.
    """

    engine_name: ClassVar[str] = ""
    element_types: ClassVar[tuple[str, ...]] = ("float32",)
    never_devices: ClassVar[tuple[str, ...]] = ()
    forbidden_imports: ClassVar[tuple[str, ...]] = ("onnx", "torch")
    refusable_options: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def engine(self) -> Engine:
        """Return the engine."""
        return EngineRegistry().get(self.engine_name)

    @pytest.fixture
    def doubling(self, tmp_path: Path) -> ExportedModel:
        """Return a model with a dynamic axis that doubles its input."""
        x, y = tensor("x", "n", 3), tensor("y", "n", 3)
        return write_onnx(tmp_path / "doubling.onnx", [_node("Add", "x", "x", to="y")], [x], [y])

    @pytest.fixture
    def session(self, engine: Engine, doubling: ExportedModel) -> Iterator[Session]:
        """Open a session on the doubling model."""
        session = engine.create_session(doubling, CPU, self.config(engine))
        yield session
        session.close()

    def config(self, engine: Engine, *, threads: int = 1, **options: object) -> SessionConfig:
        """Return a session's settings, with the defaults of the other options."""
        return SessionConfig(threads=threads, options=resolve_options(engine, options))

    # -- calls ---------------------------------------------------------------------

    def test_each_placement_keeps_its_own_outputs(self, engine: Engine, session: Session) -> None:
        """Fetch the outputs of two placements after both have run."""
        first = _place(engine, session, x=_ones(2, 3))
        second = _place(engine, session, x=5 * _ones(4, 3))

        ran_first, ran_second = session.run(first), session.run(second)

        doubled = engine.fetch_outputs(session, ran_first)["y"]
        np.testing.assert_array_equal(doubled, 2 * _ones(2, 3))
        assert engine.fetch_outputs(session, ran_second)["y"].shape == (4, 3)

    def test_placed_inputs_share_no_memory_with_the_callers_arrays(
        self, engine: Engine, session: Session
    ) -> None:
        """Overwrite an array after placing it."""
        array = _ones(2, 3)
        placed = _place(engine, session, x=array)

        array[:] = 100

        doubled = engine.fetch_outputs(session, session.run(placed))["y"]
        np.testing.assert_array_equal(doubled, 2 * _ones(2, 3))

    def test_outputs_own_their_memory(self, engine: Engine, session: Session) -> None:
        """Fetch outputs and look at the arrays."""
        outputs = _run(engine, session, x=_ones(2, 3))

        assert outputs["y"].flags.owndata
        assert outputs["y"].flags.writeable

    def test_a_dynamic_axis_takes_any_length(self, engine: Engine, session: Session) -> None:
        """Call one session with several sizes, including zero."""
        for size in (2, 5, 0):
            assert _run(engine, session, x=_ones(size, 3))["y"].shape == (size, 3)

    def test_outputs_that_are_inputs_constants_or_each_other_are_told_apart(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        """Run a graph whose outputs are aliases."""
        exported = write_onnx(
            tmp_path / "same.onnx",
            [
                _node("Neg", "x", to="y"),
                _node("Identity", "y", to="z"),
                _node("Identity", "w", to="c"),
            ],
            [tensor("x", 2), tensor("unused", 1)],
            [tensor(name, 2) for name in ("z", "x", "c", "y")],
            weights={"w": np.array([7, 8], np.float32)},
        )
        session = engine.create_session(exported, CPU, self.config(engine))

        outputs = _run(engine, session, x=np.array([1, 2], np.float32), unused=_ones(1))

        assert {name: array.tolist() for name, array in outputs.items()} == {
            "z": [-1, -2],
            "x": [1, 2],
            "c": [7, 8],
            "y": [-1, -2],
        }

    def test_an_output_whose_shape_depends_on_the_data_is_fetched(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        """Run an operator whose number of results is not known before."""
        exported = write_onnx(
            tmp_path / "nonzero.onnx",
            [_node("NonZero", "x", to="y")],
            [tensor("x", 3)],
            [tensor("y", 1, "found", dtype="int64")],
        )
        session = engine.create_session(exported, CPU, self.config(engine))

        outputs = _run(engine, session, x=np.array([0, 1, 2], np.float32))

        np.testing.assert_array_equal(outputs["y"], [[1, 2]])

    @pytest.mark.parametrize("shape", [(), (0, 3), (2, 0)])
    def test_scalars_and_empty_tensors_keep_their_shape(
        self, engine: Engine, tmp_path: Path, shape: tuple[int, ...]
    ) -> None:
        """Run a model on tensors without dimensions or elements."""
        exported = _unary(tmp_path, "Neg", "float32", shape)
        session = engine.create_session(exported, CPU, self.config(engine))

        outputs = _run(engine, session, x=np.full(shape, 7, np.float32))

        np.testing.assert_array_equal(outputs["y"], np.full(shape, -7, np.float32))

    def test_every_element_type_is_passed_through_unchanged(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        """Run an identity on each element type."""
        for name in self.element_types:
            exported = _unary(tmp_path, "Identity", name, (3,), opset=19)
            session = engine.create_session(exported, CPU, self.config(engine))
            array = np.array([0, 1, 1]).astype(numpy_dtype(name))

            output = _run(engine, session, x=array)["y"]

            assert output.dtype == array.dtype
            np.testing.assert_array_equal(output.astype(np.float64), array.astype(np.float64))
            session.close()

    def test_a_closed_session_refuses_calls_and_inputs(
        self, engine: Engine, session: Session
    ) -> None:
        """Use a session after closing it twice."""
        placed = _place(engine, session, x=_ones(1, 3))
        session.close()
        session.close()

        with pytest.raises(EngineError, match="closed"):
            session.run(placed)
        with pytest.raises(EngineError, match="closed"):
            _place(engine, session, x=_ones(1, 3))

    # -- errors --------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("array", "given"),
        [
            (np.ones((2, 3)), "float64[2, 3]"),
            (np.ones((2, 4), np.float32), "float32[2, 4]"),
            (np.ones(3, np.float32), "float32[3]"),
        ],
    )
    def test_an_input_of_another_type_or_shape_is_an_error_that_names_both(
        self, engine: Engine, session: Session, array: Any, given: str
    ) -> None:
        """Place inputs that do not match the model."""
        with pytest.raises(InputError, match="input 'x'") as raised:
            _place(engine, session, x=array)

        assert given in raised.value.message
        assert any(f"float32[{name}, 3]" in raised.value.message for name in ("n", "?"))

    def test_a_missing_input_is_named(self, engine: Engine, session: Session) -> None:
        """Leave out the input."""
        with pytest.raises(InputError, match="needs input 'x'"):
            _place(engine, session, y=_ones(1, 3))

    def test_an_unknown_operator_is_unsupported_and_named_in_one_line(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        """Load a model with a custom operator."""
        from onnx import helper

        exported = write_onnx(
            tmp_path / "custom.onnx",
            [helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")],
            [tensor("x", 2)],
            [tensor("y", 2)],
            domains=["com.example"],
        )

        with pytest.raises(UnsupportedError, match=r"com\.example") as raised:
            engine.create_session(exported, CPU, self.config(engine))

        assert "\n" not in raised.value.message

    def test_a_damaged_file_is_an_error_of_one_line(
        self, engine: Engine, doubling: ExportedModel
    ) -> None:
        """Load a file that was overwritten after the export."""
        assert doubling.path is not None
        doubling.path.write_bytes(b"this is not a model")

        with pytest.raises(EngineError, match=r"doubling\.onnx") as raised:
            engine.create_session(doubling, CPU, self.config(engine))

        assert not isinstance(raised.value, UnsupportedError)
        assert "\n" not in raised.value.message

    def test_a_device_that_is_not_available_is_an_error_that_names_the_others(
        self, engine: Engine, doubling: ExportedModel
    ) -> None:
        """Request devices of several kinds."""
        listed = {device.kind for device in engine.list_devices()}

        assert not listed & set(self.never_devices)
        for kind in {*_OTHER_DEVICES, *self.never_devices} - listed:
            with pytest.raises(DeviceUnavailableError, match=kind) as raised:
                engine.create_session(doubling, Device(kind=kind), self.config(engine))
            assert "cpu" in raised.value.hint

    # -- options, placement, imports -----------------------------------------------

    def test_every_choice_of_an_option_is_accepted_unless_the_machine_lacks_it(
        self, engine: Engine, doubling: ExportedModel
    ) -> None:
        """Open a session with each choice."""
        for option in engine.info.options:
            choices = option.choices or ((True, False) if option.type is bool else ())
            refused: dict[object, LexerError] = {}
            for value in choices:
                config = self.config(engine, threads=2, **{option.name: value})
                try:
                    engine.create_session(doubling, CPU, config).close()
                except UnsupportedError as error:
                    refused[value] = error
            assert not refused or option.name in self.refusable_options, refused
            assert len(refused) < len(choices) or not choices, refused

    def test_a_session_on_the_cpu_has_all_its_nodes_there(
        self, engine: Engine, session: Session
    ) -> None:
        """Ask for the placement."""
        placement = engine.describe_placement(session)

        assert (placement.share, placement.method, tuple(placement.fallbacks)) == (1.0, "nodes", ())

    def test_a_measured_call_imports_no_other_framework(self, doubling: ExportedModel) -> None:
        """Make a call in a new process and look at the imported modules."""
        subprocess.run(  # noqa: S603 - this interpreter, on a script of this file
            [
                sys.executable,
                "-c",
                _CALL_IN_A_NEW_PROCESS,
                self.engine_name,
                str(doubling.path),
                *self.forbidden_imports,
            ],
            check=True,
            timeout=120,
        )


def _ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def _node(operator: str, *inputs: str, to: str) -> Any:
    from onnx import helper  # the kit's only optional dependency here

    return helper.make_node(operator, list(inputs), [to])


def _unary(
    folder: Path, operator: str, dtype: str, shape: tuple[int, ...], *, opset: int = 18
) -> ExportedModel:
    x, y = (tensor(name, *shape, dtype=dtype) for name in "xy")
    path = folder / f"{operator}_{dtype}.onnx"
    return write_onnx(path, [_node(operator, "x", to="y")], [x], [y], opset=opset)


def _place(engine: Engine, session: Session, **arrays: Any) -> Any:
    structure = CallStructure(args=tuple(TensorRef(name) for name in arrays))
    inputs = CallInputs(arrays=arrays, structure=structure)
    return engine.place_inputs(session, inputs, CPU)


def _run(engine: Engine, session: Session, **arrays: Any) -> dict[str, Any]:
    placed = _place(engine, session, **arrays)
    return dict(engine.fetch_outputs(session, session.run(placed)))
