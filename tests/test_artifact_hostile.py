"""Is an untrusted file harmless, and does the error say what is wrong with it?"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import stat
import struct
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from artifact_samples import a_whole_report, changed, entries_of, packed
from hypothesis import given
from hypothesis import strategies as st
from page_samples import a_profiled_report
from report_samples import a_load_report, a_tuned_report, a_tuning_without_numbers

from lexer_core.artifact import archive, contents, load, save
from lexer_core.errors import ArtifactError, LexerError
from lexer_core.reporting.terminal_table import report_to_text


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    return save(a_whole_report(folder / "model"), folder / "run.lexer").read_bytes()


@pytest.fixture
def saved(original, tmp_path):
    path = tmp_path / "run.lexer"
    path.write_bytes(original)
    return path


def load_all(path):
    """Load everything, including the files of the models."""
    contents(path)
    report = load(path)
    for model in report.models:
        for file in model.files:
            file.read_bytes()
    return report


def refused(path, said):
    with pytest.raises(ArtifactError) as caught:
        load_all(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def edited_toml(path, edit):
    def change(content):
        data = tomllib.loads(content.decode())
        edit(data)
        return tomli_w.dumps(data).encode()

    return changed(path, "run.toml", change)


def edited_json(path, edit):
    def change(content):
        data = json.loads(content)
        edit(data)
        return json.dumps(data).encode()

    return changed(path, "report.json", change)


# --- Not a benchmark at all. ---


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nowhere.lexer", "does not exist")


def test_a_folder_is_not_read(tmp_path):
    refused(tmp_path, "is not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    refused(tmp_path / "pipe", "is not a file")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(18), b"PK\x03\x04"])
def test_other_content_is_refused(tmp_path, content):
    path = tmp_path / "run.lexer"
    path.write_bytes(content)

    with pytest.raises(ArtifactError):
        load(path)


def test_another_zip_is_refused(tmp_path):
    path = tmp_path / "run.lexer"
    path.write_bytes(packed({"a/pyproject.toml": b"", "setup.py": b"raise SystemExit"}))

    refused(path, "is not a Lexer run: it has")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, part):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * part)])

    refused(saved, "is damaged")


@pytest.mark.parametrize("name", ["report.json", "samples.npz", "logs/1-torch.txt", "weights.bin"])
def test_a_missing_part_is_named(saved, name):
    entries = entries_of(saved)
    del entries[name]
    saved.write_bytes(packed(entries))

    refused(saved, name)


@pytest.mark.parametrize("name", ["run.toml", "report.json", "logs/1-torch.txt"])
def test_text_that_is_not_utf_8_is_refused(saved, name):
    changed(saved, name, lambda content: content + b"\xff\xfe")

    refused(saved, "is not valid UTF-8")


def test_changed_bytes_are_detected(saved):
    content = bytearray(saved.read_bytes())
    at = content.rindex(bytes(range(256)))  # in weights.bin, which is stored as it is
    content[at + 7] ^= 1
    saved.write_bytes(content)

    refused(saved, "weights.bin")


# --- Another version, other types. ---


def test_a_newer_schema_is_refused_with_a_hint(saved):
    edited_toml(saved, lambda data: data.update(schema_version=2))

    refused(saved, "schema version 2")
    refused(saved, "Install a newer lexer-core")


def test_a_newer_schema_of_the_report_is_refused_with_a_hint(saved):
    edited_json(saved, lambda data: data.update(schema_version=99))

    refused(saved, "schema version 99")
    refused(saved, "Install a newer lexer-core")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data.pop("schema_version"), "schema_version"),
        (lambda data: data.update(schema_version=True), "schema_version"),
        (lambda data: data.pop("files"), "files"),
        (lambda data: data["files"].update(report=["report.json"]), "report"),
        (lambda data: data["files"].update(report="no.json"), "no.json"),
        (lambda data: data["files"].update(samples="run.csv"), "run.csv"),
        (lambda data: data.update(results=7), "results"),
        (lambda data: data["results"][0].update(log=7), "log"),
        (lambda data: data["results"].extend([{"log": "run.csv"}] * 9), "row 4"),
        (lambda data: data["models"][0].update(rows=[-1]), "rows"),
        (lambda data: data["models"][0].update(rows=[9]), "rows"),
        (lambda data: data["models"][0].update(files=[]), "no files"),
        (lambda data: data["models"][0].update(files=[1]), "files"),
        (lambda data: data["models"][0].update(files=["../../etc/passwd"]), "etc/passwd"),
        (lambda data: data["models"][0].update(files=["logs/1-torch.txt", "run.csv"]), "run.csv"),
        (lambda data: data["models"][0].update(files=["run.onnx", "run.onnx"]), "run.onnx"),
        (lambda data: data["models"][0].update(inputs=[{"name": "x", "dtype": "int64"}]), "shape"),
        (lambda data: data["models"][0]["inputs"][0].update(shape=[1.5]), "shape"),
        (lambda data: data.update(models=[3]), "models"),
    ],
)
def test_an_invalid_table_of_contents_is_refused_with_the_place(saved, edit, said):
    refused(edited_toml(saved, edit), said)


def test_a_table_of_contents_that_is_not_toml_is_refused(saved):
    refused(changed(saved, "run.toml", b"[[["), "is not valid TOML")
    refused(changed(saved, "run.toml", b"a = " + b"[" * 100_000), "is not valid TOML")


def test_an_invalid_report_is_refused_with_the_place(saved):
    refused(edited_json(saved, lambda data: data["results"][0].update(loops="1")), "results[0]")
    refused(changed(saved, "report.json", b"{"), "not valid JSON")
    refused(changed(saved, "report.json", b"[" * 100_000), "report.json")


# --- Names that lead elsewhere. ---

ELSEWHERE = [
    "../outside",
    "/outside",
    "a/../../outside",
    "..",
    "a//b",
    "./a",
    "C:/outside",
    "C:outside",
    "..\\outside",
    "\\\\server\\share",
    "a\x00b",
    "a\nb",
    "trailing. ",
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_outside_the_folder_is_refused(saved, tmp_path, name):
    # As bytes, since zipfile itself does not write all of these.
    entries = entries_of(saved)
    stand_in = "?" * len(name.encode())
    content = packed(entries | {stand_in: b"owned"})
    saved.write_bytes(content.replace(stand_in.encode(), name.encode()))
    before = sorted(tmp_path.parent.iterdir())

    refused(saved, "outside the folder")

    assert sorted(tmp_path.parent.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.lexer"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(saved, kind):
    file = io.BytesIO(saved.read_bytes())
    with zipfile.ZipFile(file, "a") as target:
        entry = zipfile.ZipInfo("link")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    saved.write_bytes(file.getvalue())

    refused(saved, "is a link or special file")


def test_a_duplicate_name_is_refused(saved):
    file = io.BytesIO(saved.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as target:
        target.writestr("report.json", "{}")
    saved.write_bytes(file.getvalue())

    refused(saved, "twice")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_methods_are_refused(saved, method):
    entries = entries_of(saved)
    with zipfile.ZipFile(saved, "w", method) as target:
        for name, content in entries.items():
            target.writestr(name, content)

    refused(saved, "unsupported compression method")


def test_an_encrypted_entry_is_refused(saved):
    content = saved.read_bytes()
    with zipfile.ZipFile(saved) as source:
        flags = source.getinfo("report.json").header_offset + 6
    changed_content = bytearray(content)
    changed_content[flags] |= 1
    central = content.rindex(b"report.json", 0, content.rindex(b"PK\x05\x06")) - 46 + 8
    changed_content[central] |= 1
    saved.write_bytes(changed_content)

    refused(saved, "is encrypted.")


def test_unpacking_does_not_overwrite_existing_files(saved, tmp_path):
    """A file in place of a folder, and vice versa."""
    edited_toml(saved, lambda data: data["models"][0].update(files=["m/a", "m/a/b"]))
    changed(saved, "m/a", b"file")
    changed(saved, "m/a/b", b"below a file")

    refused(saved, "cannot be unpacked")


# --- Bombs. ---


@pytest.fixture
def small_budget(monkeypatch):
    """A small budget, so that a test does not need much memory."""
    monkeypatch.setattr(archive, "_FREE_BYTES", 4 * 2**20)


@pytest.mark.parametrize("name", ["run.toml", "report.json", "samples.npz", "logs/1-torch.txt"])
def test_a_bomb_is_refused_before_it_is_unpacked(saved, small_budget, name):
    refused(changed(saved, name, bytes(40 * 2**20)), "MiB" if "npz" in name else name)


def test_a_bomb_among_the_samples_is_refused(saved, small_budget):
    inner = io.BytesIO()
    np.savez_compressed(inner, **{"results.0.samples": np.zeros(5 * 2**20)})

    refused(changed(saved, "samples.npz", inner.getvalue()), "zip bomb")


def test_a_bomb_in_place_of_a_model_is_not_unpacked(saved, small_budget):
    refused(changed(saved, "weights.bin", bytes(40 * 2**20)), "zip bomb")


def test_many_small_bombs_are_refused_together(saved, small_budget):
    for number, label in enumerate(("torch", "onnxruntime", "int8", "tvm"), start=1):
        changed(saved, f"logs/{number}-{label}.txt", b" " * (3 * 2**20))

    refused(saved, "zip bomb")


@pytest.mark.parametrize("said_bytes", [10, 3 * 2**20])
def test_a_wrong_declared_size_is_detected(saved, small_budget, said_bytes):
    """The declared and the real size differ, in either direction."""
    changed(saved, "logs/1-torch.txt", b" " * (2**20))
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as source:
        start = source.getinfo("logs/1-torch.txt").header_offset
    central = content.rindex(b"logs/1-torch.txt") - 46
    struct.pack_into("<L", content, start + 22, said_bytes)
    struct.pack_into("<L", content, central + 24, said_bytes)
    saved.write_bytes(content)

    refused(saved, "logs/1-torch.txt")


# --- Arrays. ---


def with_npz(saved, **members):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as target:
        for name, content in members.items():
            target.writestr(f"{name}.npy", content)
    return changed(saved, "samples.npz", inner.getvalue())


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


class Weapon:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickled_arrays_are_refused_and_not_run(saved, tmp_path):
    trace = tmp_path / "was-here"
    array = np.array([Weapon(trace)], dtype=object)

    refused(with_npz(saved, **{"results.0.samples": npy(array, allow_pickle=True)}), "objects")
    refused(with_npz(saved, anything=npy(array, allow_pickle=True)), "objects")
    refused(changed(saved, "samples.npz", pickle.dumps(array)), "damaged")

    assert not trace.exists()


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (npy(np.array(["a"])), "expected one dimension of numbers"),
        (npy(np.ones((2, 2))), "expected one dimension of numbers"),
        (npy(np.ones(())), "expected one dimension of numbers"),
        (npy(np.array([True])), "expected one dimension of numbers"),
        (npy(np.array([1j])), "expected one dimension of numbers"),
        (npy(np.zeros(2, [("a", "f8")])), "expected one dimension of numbers"),
        (npy(np.ones(60))[:-8], "but the data does not match"),
        (npy(np.ones(60)) + b"more", "but the data does not match"),
        (npy(np.ones(59)), "differ in length"),
        (npy(np.ones(60, int)), "one-dimensional array of floats"),
        (npy(np.ones(60)).replace(b"(60,)", b"(-1,)"), "samples"),
        (npy(np.ones(60)).replace(b"(60,)", b"(9**9,)"), "damaged"),
        (npy(np.ones(60)).replace(b"NUMPY\x01", b"NUMPY\x03"), "damaged"),
        (b"", "damaged"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "damaged"),
    ],
)
def test_invalid_arrays_are_refused(saved, member, said):
    rounds = npy(np.zeros(60, np.int8))

    path = with_npz(saved, **{"results.0.samples": member, "results.0.sample_rounds": rounds})

    refused(path, said)


@pytest.mark.parametrize(
    "per_second", [None, np.array([0]), np.array([-1]), np.array([1, 2]), np.array([np.nan])]
)
def test_ticks_without_their_length_are_refused(saved, per_second):
    members = {"results.0.samples.ticks": npy(np.ones(60, int))}
    if per_second is not None:
        members["results.0.samples.ticks_per_second"] = npy(per_second)

    refused(with_npz(saved, **members), "ticks_per_second")


def test_arrays_of_unknown_fields_are_ignored(saved):
    """A later version may add some."""
    report = load(with_npz(saved, **{"results.0.energy": npy(np.ones(3)), "": npy(np.ones(3))}))

    assert report.results[0].samples is None


# --- Anything at all. ---

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["report.json", "run.onnx", "ok", "torch", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def read_or_refuse(content, folder):
    """Load and print it; only a LexerError may be raised."""
    path = folder / "run.lexer"
    path.write_bytes(content)
    before = sorted(folder.parent.iterdir())
    with contextlib.suppress(LexerError):
        report_to_text(load_all(path))
    assert [file.name for file in folder.iterdir()] == ["run.lexer"]
    assert sorted(folder.parent.iterdir()) == before


def damaged_bytes(data, content):
    """Change, drop, repeat or add bytes, in a few places."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), at + data.draw(st.integers(0, 40)))
        what = data.draw(st.sampled_from(["flip", "drop", "insert", "repeat", "cut"]))
        if what == "flip" and content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "drop":
            del content[at:end]
        elif what == "insert":
            content[at:at] = data.draw(st.binary(max_size=12))
        elif what == "repeat":
            content[at:at] = content[at:end]
        elif what == "cut" and data.draw(st.booleans()):
            del content[at:]
    return bytes(content)


@given(data=st.data())
def test_a_file_with_damaged_bytes_is_read_or_refused(original, tmp_path, data):
    read_or_refuse(damaged_bytes(data, original), tmp_path)


@given(data=st.data())
def test_a_file_with_a_damaged_directory_is_read_or_refused(original, tmp_path, data):
    start = original.index(b"PK\x01\x02")

    read_or_refuse(original[:start] + damaged_bytes(data, original[start:]), tmp_path)


@given(data=st.data())
def test_a_file_with_damaged_entries_is_read_or_refused(original, tmp_path, data):
    """With valid checksums, so that the damage reaches the readers of the entries."""
    with zipfile.ZipFile(io.BytesIO(original)) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    name = data.draw(st.sampled_from(sorted(entries)))
    if name == "samples.npz" and data.draw(st.booleans()):
        with zipfile.ZipFile(io.BytesIO(entries[name])) as source:
            inner = {each: source.read(each) for each in source.namelist()}
        member = data.draw(st.sampled_from(sorted(inner)))
        inner[member] = damaged_bytes(data, inner[member])
        entries[name] = packed(inner)
    else:
        entries[name] = damaged_bytes(data, entries[name])

    read_or_refuse(packed(entries), tmp_path)


def with_another_value(data, value):
    """Replace one part of a tree by anything."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        if not data.draw(st.integers(0, 5)):
            return {name: item for name, item in value.items() if name != key}
        return value | {key: with_another_value(data, value[key])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], with_another_value(data, value[at]), *value[at + 1 :]]
    return data.draw(VALUES)


@pytest.fixture(scope="module")
def reports(original, tmp_path_factory):
    """The entries of a file for each kind of report."""
    folder = tmp_path_factory.mktemp("reports")
    kinds = {
        "profile": a_profiled_report,
        "tuning": a_tuned_report,
        "tuning of failures": a_tuning_without_numbers,
        "load test": a_load_report,
    }
    (folder / "benchmark").write_bytes(original)
    for name, make in kinds.items():
        save(make(), folder / name)
    return {path.name: entries_of(path) for path in sorted(folder.iterdir())}


@given(data=st.data())
def test_a_report_with_other_values_is_read_or_refused(reports, tmp_path, data):
    entries = dict(reports[data.draw(st.sampled_from(sorted(reports)))])
    report = with_another_value(data, json.loads(entries["report.json"]))
    entries["report.json"] = json.dumps(report).encode("utf-8", "replace")

    read_or_refuse(packed(entries), tmp_path)


def without_nothing(value):
    """Remove None, which TOML cannot represent."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nothing(item) for item in value if item is not None]
    return value


@given(data=st.data())
def test_a_table_of_contents_with_other_values_is_read_or_refused(original, tmp_path, data):
    with zipfile.ZipFile(io.BytesIO(original)) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    toml = with_another_value(data, tomllib.loads(entries["run.toml"].decode()))
    if not isinstance(toml, dict):
        toml = {"anything": toml}
    entries["run.toml"] = tomli_w.dumps(without_nothing(toml)).encode("utf-8", "replace")

    read_or_refuse(packed(entries), tmp_path)
