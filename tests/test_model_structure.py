from __future__ import annotations

import pickle
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import attrs
import ml_dtypes
import numpy as np
import pytest

from lexer_core.errors import InputError
from lexer_core.model.naming import name_inputs, name_outputs, read_forward
from lexer_core.model.structure import (
    constants_of,
    flatten_call,
    flatten_outputs,
    is_tensor,
    rebuild,
)
from lexer_core.model.tensors import dtype_name, numpy_dtype, tensor_specs, to_numpy

Pair = namedtuple("Pair", "left right")


class Checked(namedtuple("Checked", "values length")):
    """Like torch's PackedSequence: __new__ uses its arguments."""

    def __new__(cls, values, length):
        assert values.dtype == np.float64
        return super().__new__(cls, values, length)


@dataclass(frozen=True)
class Picture:
    pixels: Any
    size: int = 3

    def __post_init__(self):
        assert isinstance(self.pixels, np.ndarray), "a dataclass may check its fields"


@attrs.frozen
class Sound:
    wave: Any
    rate: int


class Cache:
    """No container: what is in it cannot be seen."""

    def __init__(self):
        self.keys = np.ones(3)


def arrays(count):
    return [np.full(2, number, dtype=np.float32) for number in range(count)]


# -- a call, apart and together ------------------------------------------------


def test_tensors_are_named_by_their_path_in_the_call():
    a, b, c, d, e = arrays(5)

    flat = flatten_call(
        (a, {"ids": b, "rest": [c, None]}), {"pair": Pair(d, 2), "last": e}, ["x", "batch"]
    )

    assert list(flat.leaves) == ["x", "batch.ids", "batch.rest.0", "pair.left", "last"]


@pytest.mark.parametrize(
    "value",
    [
        np.ones(2),
        (np.ones(2), 1, "text", None, True),
        [np.ones(2), [np.zeros(1)]],
        {"a": np.ones(2), 3: {"b": np.zeros(1)}},
        OrderedDict(b=np.ones(2), a=2.5),
        Pair(left=np.ones(2), right=None),
        Checked(np.ones(2), 2),
        Picture(pixels=np.ones(2)),
        Sound(wave=np.ones(2), rate=8000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_rebuilt_call_equals_the_original(value):
    flat = flatten_call((value, 7), {"key": value}, ["value", "number"])

    args, kwargs = rebuild(flat.structure, flat.leaves)

    assert type(args[0]) is type(value)
    assert repr((args, kwargs)) == repr(((value, 7), {"key": value}))


def test_the_structure_of_a_named_tuple_that_checks_its_fields_can_be_sent():
    flat = flatten_call((Checked(np.ones(2), 2),), {}, ["packed"])

    structure = pickle.loads(pickle.dumps(flat.structure))

    (again,), _ = rebuild(structure, flat.leaves)
    assert type(again) is Checked
    assert again.values is flat.leaves["packed.values"]


def test_each_call_gets_its_own_lists_and_dicts():
    flat = flatten_call(([np.ones(2)], {"options": [1, 2]}), {}, ["many", "settings"])
    first, _ = rebuild(flat.structure, flat.leaves)
    first[0].clear()
    first[1]["options"].append(3)

    second, _ = rebuild(flat.structure, flat.leaves)

    assert len(second[0]) == 1
    assert second[1] == {"options": [1, 2]}


def test_leaves_are_converted_in_a_rebuilt_call():
    flat = flatten_call(([np.ones(2), 5],), {}, ["x"])

    args, _ = rebuild(flat.structure, flat.leaves, convert=lambda leaf: leaf.tolist())

    assert args == ([[1.0, 1.0], 5],)


def test_tensors_with_the_same_path_get_different_names():
    a, b = arrays(2)

    flat = flatten_call(({"a.b": a, "a": {"b": b}},), {}, ["x"])

    assert list(flat.leaves) == ["x.a.b", "x.a.b_1"]
    assert rebuild(flat.structure, flat.leaves)[0][0]["a"]["b"] is b


def test_objects_that_are_not_containers_stay_in_the_structure_and_are_listed():
    cache = Cache()

    flat = flatten_call((np.ones(1), 3), {"past": {"cache": cache}, "name": "n"}, ["x", "k"])

    assert list(flat.leaves) == ["x"]
    assert list(constants_of(flat.structure)) == [("past.cache", cache)]


def test_arrays_of_text_and_of_objects_are_not_tensors():
    assert is_tensor(np.ones(2, dtype=ml_dtypes.bfloat16))
    assert not is_tensor(np.array(["a"]))
    assert not is_tensor(np.array([None]))
    assert not is_tensor(np.zeros(2, dtype=[("a", "f4")]))


def test_looking_for_tensors_does_not_import_torch():
    import subprocess

    code = (
        "import sys, numpy as np\n"
        "from lexer_core.model.structure import flatten_call\n"
        "import lexer_core.model.adapt, lexer_core.model.reference, lexer_core.model.wrapper\n"
        "flatten_call((np.ones(2), object()), {}, ['a', 'b'])\n"
        "sys.exit('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False)

    assert done.returncode == 0


# -- outputs -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (np.ones(1), ["output"]),
        ((np.ones(1),), ["output_0"]),
        ([np.ones(1), None, np.ones(2)], ["output_0", "output_2"]),
        ((np.ones(1), (np.ones(1), [np.ones(1)])), ["output_0", "output_1.0", "output_1.1.0"]),
        ({"logits": np.ones(1), "past": ((np.ones(1),),)}, ["logits", "past.0.0"]),
        (Pair(left=np.ones(1), right={"x": np.ones(1)}), ["left", "right.x"]),
        (Picture(pixels=np.ones(1), size=None), ["pixels"]),
    ],
)
def test_outputs_are_named_by_key_field_or_index(outputs, names):
    flat = flatten_outputs(outputs)

    assert list(flat.tensors) == names
    assert flat.notes == ()


def test_outputs_that_are_not_tensors_are_ignored_with_a_note():
    flat = flatten_outputs({"logits": np.ones(1), "cache": Cache(), "loss": 0.5})

    assert list(flat.tensors) == ["logits"]
    assert flat.notes == (
        "output 'cache' is not a tensor but a Cache: ignored",
        "output 'loss' is not a tensor but a float: ignored",
    )


@pytest.mark.parametrize("outputs", [None, (), {}, "text"])
def test_a_model_that_returns_no_tensor_has_no_outputs(outputs):
    assert flatten_outputs(outputs).tensors == {}


def test_declared_output_names_replace_the_models_own_in_order():
    assert name_outputs(["output_0", "output_1"], ["boxes", "scores"], model_name="Net") == (
        "boxes",
        "scores",
    )


def test_too_many_output_names_name_the_model_and_its_outputs():
    with pytest.raises(InputError) as error:
        name_outputs(["logits"], ["a", "b"], model_name="AmazingNet")

    assert "2 output names for AmazingNet, which returns 1 tensor: logits." in str(error.value)


def test_an_output_with_the_name_of_an_input_is_renamed():
    names = name_outputs(["image", "y"], None, model_name="Net", input_names=["image"])

    assert names == ("image_output", "y")


def test_an_output_may_not_be_declared_under_an_inputs_name():
    with pytest.raises(InputError, match="'image' names both an input and an output of Net"):
        name_outputs(["output"], ["image"], model_name="Net", input_names=["image"])


@pytest.mark.parametrize("declared", [["a", "a"], ["", "b"], "ab", [1, 2]])
def test_output_names_are_distinct_strings(declared):
    with pytest.raises(InputError):
        name_outputs(["x", "y"], declared, model_name="Net")


# -- inputs against forward ----------------------------------------------------


class TwoInputs:
    def forward(self, pixels, mask): ...


class Optional:
    def forward(self, ids, types=None, mask=None): ...


class Anything:
    def forward(self, *args, **kwargs): ...


class PositionalOnly:
    def forward(self, x, /, scale): ...


def named(module, input, declared=None):
    return name_inputs(read_forward(module, "AmazingNet"), input, declared)


def test_names_come_from_forward_if_none_are_declared():
    a, b = arrays(2)

    assert list(named(TwoInputs(), (a, b)).leaves) == ["pixels", "mask"]
    assert list(named(TwoInputs(), (a, {"x": b})).leaves) == ["pixels", "mask.x"]
    assert list(named(Anything(), (a, b)).leaves) == ["args.0", "args.1"]
    assert list(named(Anything(), {"u": a, "v": b}).leaves) == ["u", "v"]


def test_keyword_inputs_are_put_in_the_order_of_forward():
    a, b = arrays(2)

    flat = named(TwoInputs(), {"mask": b, "pixels": a})

    assert list(flat.leaves) == ["pixels", "mask"]
    assert list(flat.structure.kwargs) == ["pixels", "mask"]


def test_positional_only_parameters_can_be_given_by_name():
    a, b = arrays(2)

    flat = named(PositionalOnly(), {"scale": b, "x": a})

    args, kwargs = rebuild(flat.structure, flat.leaves)
    assert args[0] is a
    assert kwargs["scale"] is b


def test_a_list_and_a_named_tuple_are_one_argument_each():
    a, b = arrays(2)

    assert list(named(Optional(), [a, b]).leaves) == ["ids.0", "ids.1"]
    assert list(named(Optional(), Pair(a, b)).leaves) == ["ids.left", "ids.right"]


def test_declared_names_replace_those_of_forward_in_order():
    a, b = arrays(2)

    flat = named(TwoInputs(), (a, b), ["image", "where"])

    assert list(flat.leaves) == ["image", "where"]
    assert rebuild(flat.structure, flat.leaves)[0][1] is b


def test_declared_names_are_also_keys_of_keyword_inputs():
    a, b = arrays(2)

    flat = named(Optional(), {"mask": b, "tokens": a}, ["tokens", "mask"])

    _, kwargs = rebuild(flat.structure, flat.leaves)
    assert list(flat.leaves) == ["tokens", "mask"]
    assert kwargs["ids"] is a
    assert kwargs["mask"] is b


def test_declared_names_of_all_parameters_work_for_a_call_with_fewer():
    a, b = arrays(2)

    flat = named(Optional(), {"ids": a, "mask": b}, ["tokens", "kinds", "where"])

    assert list(flat.leaves) == ["tokens", "where"]


def test_too_few_declared_names_show_both_sides():
    a, b = arrays(2)

    with pytest.raises(InputError) as error:
        named(TwoInputs(), (a, b), ["image"])

    assert str(error.value) == (
        "input 'image' does not match AmazingNet.forward(pixels, mask).\n"
        '  @Lexer(input_names=["image"]) names 1 input; forward takes 2: pixels, mask.\n'
        '  Name them in order: @Lexer(input_names=["pixels", "mask"], ...)'
    )


def test_too_few_declared_names_are_reported_before_missing_arguments():
    with pytest.raises(InputError, match="input 'image' does not match"):
        named(TwoInputs(), np.ones(1), ["image"])


def test_names_in_another_order_than_forwards_are_refused():
    a, b = arrays(2)

    with pytest.raises(InputError, match="input_names has 'mask' at the position of 'pixels'"):
        named(TwoInputs(), (a, b), ["mask", "pixels"])


def test_a_missing_argument_names_the_signature():
    with pytest.raises(InputError) as error:
        named(TwoInputs(), np.ones(1))

    assert "AmazingNet.forward(pixels, mask)" in str(error.value)
    assert "'mask'" in str(error.value)


def test_too_many_arguments_name_the_signature():
    with pytest.raises(InputError, match=r"AmazingNet.forward\(pixels, mask\): too many"):
        named(TwoInputs(), tuple(arrays(3)))


def test_an_unknown_keyword_names_the_nearest_parameter():
    with pytest.raises(InputError) as error:
        named(TwoInputs(), {"pixel": np.ones(1), "mask": np.ones(1)})

    assert "input 'pixel' does not match AmazingNet.forward(pixels, mask)" in str(error.value)
    assert "Did you mean 'pixels'?" in str(error.value)
    assert "wrap it in a tuple" in str(error.value)


def test_an_input_without_a_tensor_is_refused():
    with pytest.raises(InputError, match="contains no tensor"):
        named(Optional(), 3)


# -- arrays --------------------------------------------------------------------


def test_an_array_is_copied_contiguous_and_in_native_order():
    backwards = np.arange(6, dtype=">f4").reshape(2, 3)[:, ::-1]

    copy = to_numpy(backwards)

    assert copy.flags.c_contiguous
    assert copy.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(copy, backwards)
    assert not np.shares_memory(copy, backwards)


def test_a_scalar_stays_a_scalar():
    assert to_numpy(np.array(3.0)).shape == ()


@pytest.mark.parametrize(
    "name", ["float64", "float16", "bool", "int64", "uint8", "bfloat16", "float8_e4m3fn"]
)
def test_element_types_are_found_by_their_names(name):
    assert dtype_name(numpy_dtype(name)) == name
    assert str(tensor_specs({"x": np.zeros((1, 2), numpy_dtype(name))})[0]) == f"x: {name}[1, 2]"
