"""On which models is an engine checked, and what are their correct outputs?

Each small model has one feature that engines get wrong. All weights, inputs,
intermediate values and results have few binary digits and are exact in float16, in
TF32 and in any order of summation, so that no engine fails due to rounding.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from lexer_core.records import CallInputs, CallStructure, TensorRef, TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.testing.outcomes import Level

__all__ = ["CAPABILITIES", "MODELS", "MODEL_ZOO", "SLOW_PRODUCTS", "Arrays", "ModelCase"]

Arrays = Mapping[str, Any]
"""Numpy arrays by name."""

_LARGEST = 8
_BEYOND_FLOAT64 = 2**53 + 1
_BEYOND_FLOAT32 = 2**24 + 1
_FLOAT64_STEP = 2.0**-40

SLOW_PRODUCTS = 8
"""Number of matrix products in the model ``slow``."""


def _no_trials(_: ModelCase) -> tuple[Arrays, ...]:
    return ()


@frozen(kw_only=True, eq=False)
class ModelCase:
    """A model: its inputs, its outputs, and the feature that it checks.

    Parameters
    ----------
    name
        A stable name.
    protects
        What a user can rely on if its outputs are correct; one sentence.
    inputs, outputs
        Specifications in the order of ``forward``. A name in a shape is an axis
        of any size.
    reference
        Computes the output arrays by name from the input arrays, in numpy.
    weights
        Constants that ``reference`` uses.
    keywords
        Inputs that ``forward`` takes by keyword.
    unused
        Inputs that no output depends on.
    needs
        The capability that it needs; empty if every engine must run it.
    level
        The lowest level at which its outputs are checked.
    special_trials
        Creates inputs, if random ones do not suit.
    """

    name: str
    protects: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    reference: Callable[[Arrays], dict[str, npt.NDArray[Any]]]
    weights: Mapping[str, npt.NDArray[Any]] = field(factory=dict)
    keywords: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    needs: str = ""
    level: Level = "full"
    special_trials: Callable[[ModelCase], tuple[Arrays, ...]] = _no_trials

    @property
    def structure(self) -> CallStructure:
        """The arguments of ``forward``."""
        names = [spec.name for spec in self.inputs]
        return CallStructure(
            args=tuple(TensorRef(name) for name in names if name not in self.keywords),
            kwargs={name: TensorRef(name) for name in self.keywords},
        )

    def trials(self) -> tuple[Arrays, ...]:
        """Return different inputs for several calls, the same in every process."""
        return self.special_trials(self) or tuple(self.random_inputs(seed) for seed in range(3))

    def random_inputs(self, seed: int = 0, **axes: int) -> Arrays:
        """Return random inputs of the specified types and shapes.

        Parameters
        ----------
        seed
            Each seed has other inputs.
        axes
            Sizes of named axes. Default: 2.
        """
        generator = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        return {
            spec.name: _random(
                generator,
                np.dtype(spec.dtype),
                tuple(axes.get(n, 2) if isinstance(n, str) else n for n in spec.shape),
            )
            for spec in self.inputs
        }

    def call_inputs(self, arrays: Arrays) -> CallInputs:
        """Return the inputs for ``lexer_place_inputs``: read-only copies of the arrays."""
        copies = {name: np.array(array) for name, array in arrays.items()}
        for copy in copies.values():
            copy.flags.writeable = False
        return CallInputs(arrays=copies, structure=self.structure)


def _random(
    generator: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(bool)
    if dtype.kind == "u":
        return generator.integers(0, 1 + np.iinfo(dtype).max, shape).astype(dtype)
    numbers = np.asarray(generator.integers(1 - 4 * _LARGEST, 4 * _LARGEST, shape))
    # np.asarray: arithmetic on an array without dimensions returns a scalar.
    return np.asarray(numbers if dtype.kind == "i" else numbers / 4, dtype=dtype)


def _floats(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=shape)


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def _layer_weights() -> dict[str, npt.NDArray[Any]]:
    """Return the weights of a 3→4 layer with distinct columns."""
    weight = (np.arange(12, dtype=np.float32).reshape(3, 4) - 5) / 4
    return {
        "weight": _frozen(weight),
        "bias": _frozen(np.array([0.5, -1, 2, 0.25], dtype=np.float32)),
    }


_LAYER = _layer_weights()
_HALF_SCALE = _frozen(np.array([0.5, -2, 1.5], dtype=np.float16))
_HALF_SHIFT = _frozen(np.array([1, 0.25, -3], dtype=np.float16))


def _layer(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {"y": np.maximum(arrays["x"] @ _LAYER["weight"] + _LAYER["bias"], np.float32(0))}


def _permutation(size: int) -> npt.NDArray[Any]:
    """Return a matrix that shifts columns by one, whose products are exact."""
    return _frozen(np.roll(np.eye(size, dtype=np.float32), 1, axis=1))


_SLOW_SIZE = 256
_SHIFT = _permutation(_SLOW_SIZE)


def _branch(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    x = arrays["x"]
    return {"y": x * np.float32(2) if x.sum() > 0 else x - np.float32(1)}


def _both_branches(case: ModelCase) -> tuple[Arrays, ...]:
    del case
    rising = np.array([1, 2.5, -0.5], dtype=np.float32)
    return {"x": rising}, {"x": -rising}, {"x": rising + np.float32(1)}


def _several_batches(case: ModelCase) -> tuple[Arrays, ...]:
    return tuple(case.random_inputs(size, batch=size) for size in (2, 5, 1, 2, 301, 64))


def _full_range(case: ModelCase) -> tuple[Arrays, ...]:
    """Return values that a smaller element type does not have, which are exact if doubled."""
    random = case.random_inputs()["x"] + np.float32(1)  # a few are zero, which is welcome
    infinity = np.float32(np.inf)
    special = np.array([[np.nan, infinity, -infinity], [0, -0.0, 1]], np.float32)
    steps = 1 + np.arange(6, dtype=np.float32).reshape(2, 3) * 1001 * np.finfo(np.float32).eps
    return (
        {"x": special},
        {"x": random * np.float32(2.0**100)},
        {"x": random * np.float32(2.0**-100)},
        {"x": steps},
    )


def _large_values(case: ModelCase) -> tuple[Arrays, ...]:
    return tuple({"x": case.random_inputs(seed)["x"] * np.float32(2**14)} for seed in range(3))


def _beyond_float32(case: ModelCase) -> tuple[Arrays, ...]:
    """Return values of which only digits that float32 lacks are left in the result."""
    return tuple({"x": case.random_inputs(seed)["x"] * _FLOAT64_STEP - 1.0} for seed in range(3))


def _without_ties(case: ModelCase) -> tuple[Arrays, ...]:
    del case
    numbers = np.array([[1, -2.5, 3], [0.5, 0.25, -1]], dtype=np.float32)
    return {"x": numbers}, {"x": -numbers}, {"x": numbers[::-1].copy()}


MODEL_ZOO: tuple[ModelCase, ...] = (
    ModelCase(
        name="one_input",
        protects="A linear layer with ReLU has the correct outputs.",
        inputs=(_floats("x", 2, 3),),
        outputs=(_floats("y", 2, 4),),
        reference=_layer,
        weights=_LAYER,
        level="basic",
    ),
    ModelCase(
        name="several_inputs",
        protects="Inputs of the same type and shape are not confused.",
        inputs=(_floats("left", 2, 3), _floats("right", 2, 3)),
        outputs=(_floats("y", 2, 3),),
        reference=lambda arrays: {"y": arrays["left"] - arrays["right"] * np.float32(2)},
        needs="several_inputs",
        level="basic",
    ),
    ModelCase(
        name="several_outputs",
        protects="Outputs of the same type and shape have the right names.",
        inputs=(_floats("x", 2, 3),),
        # Not in alphabetical order.
        outputs=(_floats("second", 2, 3), _floats("third", 2, 3), _floats("first", 2, 3)),
        reference=lambda arrays: {
            "second": arrays["x"] + np.float32(1),
            "third": arrays["x"] * np.float32(2),
            "first": arrays["x"] - np.float32(3),
        },
        needs="several_outputs",
        level="basic",
    ),
    ModelCase(
        name="keyword_inputs",
        protects="Inputs are matched by name, whatever their order in the exported model.",
        inputs=(_floats("x", 2, 3), _floats("scale", 2, 3), _floats("shift", 2, 3)),
        outputs=(_floats("y", 2, 3),),
        reference=lambda arrays: {"y": arrays["x"] * arrays["scale"] + arrays["shift"]},
        keywords=("scale", "shift"),
        needs="keyword_inputs",
        level="basic",
    ),
    ModelCase(
        name="unused_input",
        protects="An input that the exported model does not have is ignored.",
        inputs=(_floats("unused", 2, 3), _floats("x", 2, 3)),
        outputs=(_floats("y", 2, 3),),
        reference=lambda arrays: {"y": arrays["x"] * np.float32(3)},
        unused=("unused",),
        needs="unused_input",
    ),
    ModelCase(
        name="identity",
        protects="An input that is returned unchanged is a valid output.",
        inputs=(_floats("x", 2, 3),),
        outputs=(_floats("y", 2, 3),),
        reference=lambda arrays: {"y": arrays["x"].copy()},
        needs="identity",
    ),
    ModelCase(
        name="float16",
        protects="float16 inputs and outputs stay float16.",
        inputs=(TensorSpec(name="x", dtype="float16", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="float16", shape=(2, 3)),),
        reference=lambda arrays: {"y": arrays["x"] * _HALF_SCALE + _HALF_SHIFT},
        weights={"scale": _HALF_SCALE, "shift": _HALF_SHIFT},
        needs="float16",
    ),
    ModelCase(
        name="int64",
        protects="Integers keep all of their 64 bits, which float64 cannot represent.",
        inputs=(TensorSpec(name="x", dtype="int64", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="int64", shape=(2, 3)),),
        reference=lambda arrays: {"y": arrays["x"] * 2 + _BEYOND_FLOAT64},
        weights={"shift": _frozen(np.array(_BEYOND_FLOAT64, dtype=np.int64))},
        needs="int64",
    ),
    ModelCase(
        name="small_int64",
        protects="Integers stay int64 even if their values are small.",
        inputs=(TensorSpec(name="x", dtype="int64", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="int64", shape=(2, 3)),),
        reference=lambda arrays: {"y": arrays["x"] * 2},
        needs="indices",
    ),
    ModelCase(
        name="int32",
        protects="int32 integers keep all of their bits, which float32 cannot represent.",
        inputs=(TensorSpec(name="x", dtype="int32", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="int32", shape=(2, 3)),),
        reference=lambda arrays: {"y": arrays["x"] * np.int32(2) + np.int32(_BEYOND_FLOAT32)},
        weights={"shift": _frozen(np.array(_BEYOND_FLOAT32, dtype=np.int32))},
        needs="int32",
    ),
    ModelCase(
        name="uint8",
        protects="Bytes, such as those of images, stay uint8.",
        inputs=(TensorSpec(name="x", dtype="uint8", shape=(4, 5)),),
        outputs=(TensorSpec(name="y", dtype="uint8", shape=(5, 4)),),
        reference=lambda arrays: {"y": arrays["x"].T.copy()},
        needs="uint8",
    ),
    ModelCase(
        name="float64",
        protects="float64 values are computed in float64.",
        inputs=(TensorSpec(name="x", dtype="float64", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="float64", shape=(2, 3)),),
        reference=lambda arrays: {"y": arrays["x"] * 2.0 + 2.0},
        weights={"scale": _frozen(np.array(2.0)), "shift": _frozen(np.array(2.0))},
        needs="float64",
        special_trials=_beyond_float32,
    ),
    ModelCase(
        name="indices",
        protects="Indices of an argmax are int64, as the export says.",
        inputs=(_floats("x", 2, 3),),
        outputs=(TensorSpec(name="y", dtype="int64", shape=(2,)),),
        reference=lambda arrays: {"y": arrays["x"].argmax(axis=1).astype(np.int64)},
        needs="indices",
        special_trials=_without_ties,
    ),
    ModelCase(
        name="full_range",
        protects="float32 values keep range, digits, infinity and NaN: nothing is narrowed.",
        inputs=(_floats("x", 2, 3),),
        outputs=(_floats("y", 2, 3),),
        reference=lambda arrays: {"y": arrays["x"] * np.float32(2)},
        needs="full_range",
        special_trials=_full_range,
    ),
    ModelCase(
        name="large_values",
        protects="Matrix products beyond the range of float16 neither overflow nor are clipped.",
        inputs=(_floats("x", 2, 3),),
        outputs=(_floats("y", 2, 4),),
        reference=_layer,
        weights=_LAYER,
        needs="full_range",
        special_trials=_large_values,
    ),
    ModelCase(
        name="many_rows",
        protects="Rows beyond the first hundreds are computed like the first.",
        inputs=(_floats("x", 4099, 3),),
        outputs=(_floats("y", 4099, 4),),
        reference=_layer,
        weights=_LAYER,
    ),
    ModelCase(
        name="bool",
        protects="bool inputs and outputs stay bool.",
        inputs=(
            TensorSpec(name="keep", dtype="bool", shape=(4, 5)),
            TensorSpec(name="drop", dtype="bool", shape=(4, 5)),
        ),
        outputs=(TensorSpec(name="y", dtype="bool", shape=(4, 5)),),
        reference=lambda arrays: {"y": arrays["keep"] & ~arrays["drop"]},
        needs="bool",
    ),
    ModelCase(
        name="scalar",
        protects="A tensor without dimensions keeps its shape.",
        inputs=(_floats("x"),),
        outputs=(_floats("y"),),
        reference=lambda arrays: {"y": np.asarray(arrays["x"] * np.float32(3) + np.float32(1))},
        needs="scalar",
    ),
    ModelCase(
        name="zero_size",
        protects="A tensor without elements works.",
        inputs=(_floats("x", 0, 3),),
        outputs=(_floats("y", 0, 3),),
        reference=lambda arrays: {"y": arrays["x"] * np.float32(2)},
        needs="zero_size",
    ),
    ModelCase(
        name="dynamic_batch",
        protects="One session accepts batches of several sizes if an axis is dynamic.",
        inputs=(_floats("x", "batch", 3),),
        outputs=(_floats("y", "batch", 4),),
        reference=_layer,
        weights=_LAYER,
        needs="dynamic_batch",
        special_trials=_several_batches,
    ),
    ModelCase(
        name="control_flow",
        protects="A branch that depends on the data is chosen correctly.",
        inputs=(_floats("x", 3),),
        outputs=(_floats("y", 3),),
        reference=_branch,
        needs="control_flow",
        special_trials=_both_branches,
    ),
)
"""The models whose outputs are checked, from the simplest on."""

_TOOLS: tuple[ModelCase, ...] = (
    ModelCase(
        name="wide",
        protects="Tensors are large enough for leaks to be noticed.",
        inputs=(_floats("x", 128, 128),),
        outputs=(_floats("y", 128, 128),),
        reference=lambda arrays: {"y": arrays["x"] * np.float32(2)},
    ),
    *(
        ModelCase(
            name=f"twin_{letter}",
            protects="A model is not mistaken for one with the same name and size.",
            inputs=(_floats("x", 2, 3),),
            outputs=(_floats("y", 2, 3),),
            reference=reference,
        )
        for letter, reference in (
            ("a", lambda arrays: {"y": arrays["x"] * np.float32(2)}),
            ("b", lambda arrays: {"y": arrays["x"] * np.float32(4)}),
        )
    ),
    ModelCase(
        name="slow",
        protects="Work takes long enough for missing synchronization to be noticed.",
        inputs=(_floats("x", _SLOW_SIZE, _SLOW_SIZE),),
        outputs=(_floats("y", _SLOW_SIZE, _SLOW_SIZE),),
        reference=lambda arrays: {"y": np.roll(arrays["x"], SLOW_PRODUCTS, axis=1)},
        weights={"matrix": _SHIFT},
    ),
    ModelCase(
        name="slow_pair",
        protects="Work for several inputs and outputs is done in the call, too.",
        inputs=(
            _floats("left", _SLOW_SIZE, _SLOW_SIZE),
            _floats("right", _SLOW_SIZE, _SLOW_SIZE),
        ),
        outputs=(
            _floats("first", _SLOW_SIZE, _SLOW_SIZE),
            _floats("second", _SLOW_SIZE, _SLOW_SIZE),
        ),
        reference=lambda arrays: {
            "first": np.roll(arrays["right"], SLOW_PRODUCTS, axis=1),
            "second": np.roll(arrays["left"], SLOW_PRODUCTS, axis=1),
        },
        weights={"matrix": _SHIFT},
    ),
)

MODELS: Mapping[str, ModelCase] = {case.name: case for case in (*MODEL_ZOO, *_TOOLS)}
"""Every model that ``make_model`` gets, by name."""

CAPABILITIES: Mapping[str, str] = {
    "several_inputs": "models with more than one input",
    "several_outputs": "models with more than one output",
    "keyword_inputs": "inputs that `forward` takes by keyword",
    "unused_input": "models with an input that no output depends on",
    "identity": "models that return an input unchanged",
    "float16": "inputs and outputs of type float16",
    "int64": "integers of type int64 that need more than 32 bits",
    "int32": "inputs and outputs of type int32",
    "uint8": "inputs and outputs of type uint8",
    "float64": "inputs and outputs of type float64, computed in float64",
    "indices": "inputs and outputs of type int64 with small values, such as token ids",
    "full_range": "the whole range of float32, with infinity and NaN",
    "bool": "inputs and outputs of type bool",
    "scalar": "tensors without dimensions",
    "zero_size": "tensors without elements",
    "dynamic_batch": "axes whose size is not fixed by the export",
    "control_flow": "branches that depend on the data",
    "two_sessions": "two open sessions in one process",
}
"""The capabilities that an engine may declare in ``EngineUnderTest.cannot``."""
