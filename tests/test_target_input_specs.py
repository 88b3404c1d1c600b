"""``--input`` and ``--inputs``."""

from __future__ import annotations

import zipfile

import ml_dtypes
import numpy as np
import pytest

from lexer_core.errors import InputError
from lexer_core.target.example_inputs import read_request
from lexer_core.target.input_specs import (
    Constant,
    InputSpec,
    ValueRange,
    generate_inputs,
    load_npz,
    parse_input_spec,
    with_batch_size,
)


def _made(text, seed=0):
    (value,) = generate_inputs([parse_input_spec(text)], seed).values()
    return value


# --- What a text means. ---


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (
            "image=float32[1,3,224,224]",
            InputSpec(name="image", dtype="float32", shape=(1, 3, 224, 224)),
        ),
        (
            "ids=int64[1,128]:0..30000",
            InputSpec(name="ids", dtype="int64", shape=(1, 128), fill=ValueRange(0, 30000)),
        ),
        ("mask=int64[1,128]:1", InputSpec(name="mask", dtype="int64", shape=(1, 128), fill=1)),
        ("flag=bool[1,4]:true", InputSpec(name="flag", dtype="bool", shape=(1, 4), fill=True)),
        (
            "x=float32[8]:-1..1",
            InputSpec(name="x", dtype="float32", shape=(8,), fill=ValueRange(-1, 1)),
        ),
        ("scale=float32[]", InputSpec(name="scale", dtype="float32", shape=())),
        ("float16[2, 3]", InputSpec(name="", dtype="float16", shape=(2, 3))),
        ("empty=int8[0,4]", InputSpec(name="empty", dtype="int8", shape=(0, 4))),
        (
            "all=int8[4]:-128..128",
            InputSpec(name="all", dtype="int8", shape=(4,), fill=ValueRange(-128, 128)),
        ),
        ("use_cache:=false", Constant(name="use_cache", value=False)),
        ("depth:=3", Constant(name="depth", value=3)),
        ("mode:=nearest", Constant(name="mode", value="nearest")),
        ("past:=None", Constant(name="past", value=None)),
    ],
)
def test_a_description_is_understood(text, spec):
    assert parse_input_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("image=float32[1, 3]", "image=float32[1,3]"),
        ("ids=int64[1,128]:0..30000", "ids=int64[1,128]:0..30000"),
        ("x=float32[8]:-1..0.1", "x=float32[8]:-1..0.1"),
        ("x=float16[]:0.333", "x=float16[]:0.333"),
        ("flag=bool[4]:TRUE", "flag=bool[4]:true"),
        ("int64[2]:1", "int64[2]:1"),
        ("use_cache:=False", "use_cache:=false"),
        ("mode:=nearest", 'mode:="nearest"'),
        ('sizes:=[1, "3"]', 'sizes:=[1, "3"]'),
        ("past:=None", "past:=null"),
    ],
)
def test_a_description_as_text_means_the_same(text, canonical):
    spec = parse_input_spec(text)

    assert str(spec) == canonical
    assert parse_input_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("image=float32[1,3,22a,224]", "22a", "dimension 2 is '22a', not a whole number"),
        ("image=float32[1,,2]", "", "dimension 1 is missing"),
        ("image=float32[-1,2]", "-1", "dimension 0 is '-1'"),
        ("image=flot32[1]", "flot32", "'flot32' is not an element type"),
        ("image=float32", "", "the shape after 'float32' is missing"),
        ("=float32[1]", "=", "the name before '=' is missing"),
        ("x=float32[2]foo", "foo", "expected ':VALUE', ':LOW..HIGH'"),
        ("ids=int64[2]:0..1.5", "1.5", "'1.5' is not a whole number"),
        ("ids=int64[2]:0..", "", "'' is not a whole number"),
        ("ids=int64[2]:5..5", "5..5", "5 is not below 5"),
        ("ids=int8[2]:0..200", "200", "out of range for int8"),
        ("ids=uint8[2]:-1", "-1", "out of range for uint8"),
        ("x=float16[2]:1e6", "1e6", "out of range for float16"),
        ("x=float32[2]:nan", "nan", "out of range for float32"),
        ("b=bool[2]:maybe", "maybe", "a bool must be true or false"),
        ("", "", "the element type is missing"),
    ],
)
def test_a_mistake_is_pointed_at(text, place, said):
    with pytest.raises(InputError) as caught:
        parse_input_spec(text)

    assert said in caught.value.message
    shown, marks, *_ = caught.value.hint.splitlines()
    assert shown == text
    start = marks.index("^")
    if place:
        assert shown[start : start + marks.count("^")] == place


def test_an_error_shows_how_it_is_written_or_the_nearest_type():
    with pytest.raises(InputError, match="such as image="):
        parse_input_spec("image=float32")
    with pytest.raises(InputError, match="Did you mean 'float32'"):
        parse_input_spec("image=flot32[1]")


# --- What is made. ---


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "int64", "uint8", "uint64", "bool"],
)
def test_every_type_of_numpy_is_made(dtype):
    assert _made(f"x={dtype}[2,3]").dtype == np.dtype(dtype)
    assert _made(f"x={dtype}[2,3]").shape == (2, 3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_the_types_of_ml_dtypes_are_made(dtype):
    assert _made(f"x={dtype}[4]").dtype == np.dtype(getattr(ml_dtypes, dtype))


def test_floats_are_standard_normal_unless_said_otherwise():
    values = _made("x=float32[100000]")

    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02


def test_whole_numbers_are_zero_unless_said_otherwise():
    assert not _made("x=int64[100]").any()


def test_booleans_are_random_unless_said_otherwise():
    assert set(_made("x=bool[100]").tolist()) == {True, False}
    assert _made("x=bool[100]:true").all()


def test_a_range_includes_its_low_end_and_not_its_high_end():
    values = _made("ids=int64[1000]:3..6")

    assert set(values.tolist()) == {3, 4, 5}
    uniform = _made("x=float64[1000]:-1..1")
    assert -1 <= uniform.min() < -0.9
    assert 0.9 < uniform.max() < 1


def test_a_range_may_span_a_whole_type():
    assert set(_made("x=uint8[100000]:0..256").tolist()) == set(range(256))


def test_an_input_depends_on_the_seed_and_on_no_other_input():
    specs = [parse_input_spec(text) for text in ("a=float32[4]", "b=float32[4]")]

    together, alone = generate_inputs(specs, 1), generate_inputs(specs[1:], 1)

    assert np.array_equal(together["b"], alone["b"])
    assert not np.array_equal(together["a"], together["b"])
    assert not np.array_equal(alone["b"], generate_inputs(specs[1:], 2)["b"])


def test_inputs_without_names_are_positional():
    made = generate_inputs([parse_input_spec("float32[2]"), parse_input_spec("int64[]")], 0)

    assert isinstance(made, tuple)
    assert [array.shape for array in made] == [(2,), ()]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a=float32[1]", "float32[1]"], "some inputs are named"),
        (["a=float32[1]", "a=int64[1]"], "'a' is described twice"),
        (["a=float32[9000000000000,9000000]"], "cannot be generated"),
    ],
)
def test_inputs_that_cannot_be_are_refused(texts, said):
    with pytest.raises(InputError, match=said):
        generate_inputs([parse_input_spec(text) for text in texts], 0)


def test_a_batch_size_is_dimension_0_of_every_tensor_that_has_one():
    texts = ("a=float32[1,3]", "b=float32[]", "c:=1")

    a, b, c = with_batch_size([parse_input_spec(text) for text in texts], 8)

    assert (a.shape, b.shape, c.value) == ((8, 3), (), 1)


# --- Real inputs. ---


def test_real_inputs_are_read_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.ones((1, 3)), ids=np.arange(4))

    arrays = load_npz(tmp_path / "x.npz")

    assert list(arrays) == ["image", "ids"]
    assert arrays["image"].shape == (1, 3)


def _missing(folder):
    return folder / "missing.npz"


def _folder(folder):
    return folder


def _text(folder):
    (folder / "x.npz").write_text("these are no arrays")
    return folder / "x.npz"


def _empty(folder):
    (folder / "x.npz").touch()
    return folder / "x.npz"


def _no_arrays(folder):
    np.savez(folder / "x.npz")
    return folder / "x.npz"


def _one_array(folder):
    np.save(folder / "x.npy", np.ones(3))
    return folder / "x.npy"


def _pickled(folder):
    np.savez(folder / "x.npz", image=np.array([{}, None], dtype=object))
    return folder / "x.npz"


def _words(folder):
    np.savez(folder / "x.npz", image=np.array(["a", "b"]))
    return folder / "x.npz"


def _other_members(folder):
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    return folder / "x.npz"


def _truncated(folder):
    np.savez_compressed(folder / "x.npz", image=np.arange(10000))
    data = (folder / "x.npz").read_bytes()
    (folder / "x.npz").write_bytes(data[: len(data) // 2])
    return folder / "x.npz"


def _damaged(folder):
    np.savez(folder / "x.npz", image=np.arange(10000))
    data = bytearray((folder / "x.npz").read_bytes())
    data[5000] ^= 0xFF
    (folder / "x.npz").write_bytes(data)
    return folder / "x.npz"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_missing, "does not exist"),
        (_folder, "is a folder"),
        (_text, "not an .npz file"),
        (_empty, "cannot be read"),
        (_no_arrays, "contains no arrays"),
        (_one_array, "a single unnamed array"),
        (_pickled, "does not load pickled objects"),
        (_words, "'image'"),
        (_other_members, "'readme.txt'"),
        (_truncated, "cannot be read"),
        (_damaged, "'image'"),
    ],
)
def test_a_file_that_holds_no_inputs_is_refused(tmp_path, make, said):
    path = make(tmp_path)

    with pytest.raises(InputError) as caught:
        load_npz(path)

    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_a_pickle_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "x.npz", image=np.array([Trap()], dtype=object))
    (tmp_path / "sprung").unlink(missing_ok=True)

    with pytest.raises(InputError):
        load_npz(tmp_path / "x.npz")

    assert not (tmp_path / "sprung").exists()


def test_a_batch_size_does_not_change_real_inputs(tmp_path):
    np.savez(tmp_path / "x.npz", audio=np.ones(16000))

    request = read_request([], str(tmp_path / "x.npz"), 1, 0)

    assert request.arrays["audio"].shape == (16000,)


def test_inputs_are_either_described_or_read():
    with pytest.raises(InputError, match="exclude each other"):
        read_request(["a=float32[1]"], "x.npz", None, 0)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fp16", "float16"),
        ("half", "float16"),
        ("bf16", "bfloat16"),
        ("float", "float32"),
        ("double", "float64"),
        ("long", "int64"),
        ("int", "int32"),
    ],
)
def test_other_names_of_types_are_understood(typed, meant):
    assert str(parse_input_spec(f"x={typed}[2]:1")) == f"x={meant}[2]:1"
