"""Does a saved report load unchanged, and can people read the file?"""

from __future__ import annotations

import csv
import gc
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from artifact_samples import (
    WEIGHTS,
    a_whole_report,
    entries_of,
    kept_model,
    nanoseconds,
    packed,
    with_samples,
)
from fake_engines import FakeSite
from hypothesis import given
from hypothesis import strategies as st
from report_samples import AGREES, a_failed_row, a_full_report, a_report, a_row
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.artifact import contents, load, save, write
from lexer_core.artifact.samples import array_kind
from lexer_core.errors import ArtifactError, ModelError, OutputFileError, UsageError
from lexer_core.report import BenchmarkReport
from lexer_core.results import BenchmarkResult
from lexer_core.results.attrs_fields import is_raw
from lexer_core.results.result_records import ReferenceWorkloadTimes

if TYPE_CHECKING:
    from pathlib import Path


def raw_of(record: Any) -> dict[str, Any]:
    """Return what equality ignores, so that it can be compared, too."""
    found = {}
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        if array_kind(field) and value is not None:
            found[field.name] = (value.dtype, value.tobytes())
    return found


def assert_same(one: BenchmarkReport, other: BenchmarkReport) -> None:
    assert one == other
    for row, same in zip(one, other, strict=True):
        assert raw_of(row) == raw_of(same)
        assert row.log == same.log
    if one.canary is not None:
        assert raw_of(one.canary) == raw_of(other.canary)
    assert len(one.models) == len(other.models)
    for model, copy in zip(one.models, other.models, strict=True):
        for name in ("format", "labels", "inputs", "outputs", "exporter"):
            assert getattr(model, name) == getattr(copy, name)
        assert [file.read_bytes() for file in model.files] == [
            file.read_bytes() for file in copy.files
        ]


@pytest.fixture
def report(tmp_path: Path) -> BenchmarkReport:
    return a_whole_report(tmp_path / "model")


@pytest.fixture
def saved(report: BenchmarkReport, tmp_path: Path) -> Path:
    return save(report, tmp_path / "run.lexer")


# --- What is read back. ---


def test_a_saved_report_loads_bit_for_bit(report, saved):
    assert_same(load(saved), report)


def test_a_loaded_report_can_be_saved_over_its_own_file(report, saved):
    save(load(saved), saved)

    assert_same(load(saved), report)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(BenchmarkReport(), id="nothing at all"),
        pytest.param(a_report(a_failed_row()), id="only a failure"),
        pytest.param(
            a_report(a_row(), a_failed_row("tpu", status="unsupported")), id="an unsupported row"
        ),
        pytest.param(BenchmarkReport.from_dict(a_full_report().to_dict()), id="without samples"),
        pytest.param(
            a_report(
                a_row(
                    parity=attrs.evolve(AGREES, max_abs_error=math.nan, rmse=math.inf),
                    diagnosis={"drift": -math.inf},
                )
            ),
            id="numbers that are not finite",
        ),
        pytest.param(
            a_report(a_row(label='=cmd|"\n\t…\x00\x7f/../..\\x'), a_row(label="")),
            id="labels of any kind",
        ),
        pytest.param(
            a_report(a_row(), created_at="yesterday", seed=2**62, settings={"x": [None, {"": []}]}),
            id="facts of any kind",
        ),
        pytest.param(a_report(a_row(), created_at="0001-01-01T00:00:00+23:00"), id="long ago"),
    ],
)
def test_every_kind_of_report_loads(report, tmp_path):
    report = with_samples(report) if report.results else report

    assert_same(load(save(report, tmp_path / "run.lexer")), report)


AWKWARD = {
    "whole nanoseconds": np.array([1000, 2_000_000_000, 7]) / 1e9,
    "means of calls": np.array([1000, 2000, 7]) / (1e9 * 3),
    "no whole nanoseconds": np.array([0.1, 1 / 3, math.pi]),
    "one that is not": np.array([1e-3, 1e-3, 1e-3 + 1e-13]),
    "not finite": np.array([math.nan, math.inf, -math.inf]),
    "signs and extremes": np.array([-0.0, 0.0, -1e-3, 5e-324, 1.7e308]),
    "longer than a float counts": np.array([2.0**53, 1e-9]),
    "none": np.array([]),
    "single precision": np.array([0.1, 0.2], dtype=np.float32),
    "the other byte order": np.array([0.1, 0.2]).astype(">f8"),
    "a view": np.arange(20.0)[::2] / 1e9,
}


@pytest.mark.parametrize("samples", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("loops", [1, 3])
def test_samples_load_bit_for_bit(samples, loops, tmp_path):
    report = a_report(a_row(samples=samples, loops=loops))

    read = load(save(report, tmp_path / "run.lexer"))[0].samples

    assert read.tobytes() == samples.astype(samples.dtype.newbyteorder("=")).tobytes()


@given(st.lists(st.floats(), max_size=20), st.integers(-2, 10**12))
def test_any_samples_load_bit_for_bit(tmp_path_factory, samples, loops):
    samples = np.array(samples, dtype=np.float64)
    path = tmp_path_factory.mktemp("any") / "run.lexer"

    read = load(save(a_report(a_row(samples=samples, loops=loops)), path))[0].samples

    assert read.tobytes() == samples.tobytes()


@given(st.text(), st.text(st.characters(codec="utf-8")))
def test_any_text_loads(tmp_path_factory, label, printed):
    path = tmp_path_factory.mktemp("any") / "run.lexer"
    report = a_report(a_row(label=label, log=printed), notes=[label], model_name=label)

    assert_same(load(save(report, path)), report)


def test_a_million_samples_take_less_than_ten_megabytes(tmp_path):
    count = 1_000_000
    rounds = np.repeat(np.arange(1000, dtype=np.int16), 1000)
    exact = a_row(
        samples=nanoseconds(count) / 1e9,
        sample_rounds=rounds,
        sample_launches=np.zeros(count, np.int8),
    )
    # The same with a clock that knows more than nanoseconds.
    inexact = attrs.evolve(exact, samples=exact.samples * (1 + 1e-12))

    for row, largest in ((exact, 4_000_000), (inexact, 10_000_000)):
        path = save(a_report(row), tmp_path / "run.lexer")
        assert path.stat().st_size < largest
        assert load(path).results[0].samples.tobytes() == row.samples.tobytes()


def test_samples_that_compress_like_a_zip_bomb_load(tmp_path, monkeypatch):
    monkeypatch.setattr("lexer_core.artifact.archive._FREE_BYTES", 100_000)
    report = a_report(a_row(samples=np.full(200_000, 1e-3)))

    path = save(report, tmp_path / "run.lexer")

    assert load(path).results[0].samples.tobytes() == report.results[0].samples.tobytes()


def test_every_raw_field_is_stored():
    """A raw field that is not an array needs its own code in write.py and read.py.

    The saver and the live model exist only in the program that measured.
    """
    for record, others in (
        (BenchmarkResult, {"log", "saver"}),
        (BenchmarkReport, {"models", "live_model"}),
        (ReferenceWorkloadTimes, ()),
    ):
        raw = [field for field in attrs.fields(record) if is_raw(field)]
        assert {field.name for field in raw if array_kind(field) is None} == set(others)


@pytest.mark.parametrize(
    "facts",
    [
        {"samples": np.array(["a", "b"])},
        {"samples": np.array([object()])},
        {"samples": np.ones((2, 2))},
        {"samples": np.array([1, 2])},
        {"sample_rounds": np.array([0.5])},
        {"samples": np.ones(3), "sample_rounds": np.zeros(2, int)},
        {"warm_up_samples": np.ones(3), "warm_up_launches": np.zeros(2, int)},
    ],
)
def test_invalid_arrays_are_not_saved(facts, tmp_path):
    with pytest.raises(ArtifactError, match=r"results\.0"):
        save(a_report(a_row(**facts)), tmp_path / "run.lexer")

    assert list(tmp_path.iterdir()) == []


# --- What people do with it. ---


def test_the_file_is_a_zip_with_files_named_after_it(saved):
    assert list(entries_of(saved)) == [
        "run.toml",
        "run.csv",
        "report.json",
        "logs/1-torch.txt",
        "logs/2-onnxruntime.txt",
        "logs/3-int8.txt",
        "logs/4-tvm.txt",
        "samples.npz",
        "run.onnx",
        "weights.bin",
    ]


def test_the_title_may_differ_from_the_file_name(report, tmp_path):
    path = save(report, tmp_path / "run.lexer", name="Größe 1/2: EfficientNet")
    names = list(entries_of(path))

    assert names[0] == "Größe-1-2-EfficientNet.toml"
    assert tomllib.loads(entries_of(path)[names[0]].decode())["title"] == "Größe 1/2: EfficientNet"


def test_the_toml_says_what_was_measured_when_and_where(report, tmp_path):
    settings_ = {"num_iterations": 1000, "threads": None, "exporter": "dynamo", "of_old": "x"}
    report = attrs.evolve(
        report,
        settings=settings_,
        environment=attrs.evolve(
            report.environment,
            os="Debian GNU/Linux 12 (bookworm) (Linux 6.1.0-rt)",
            python="3.11.9 (CPython)",
            lexer_version="0.1.0",
            packages={"torch": "2.13.0"},
        ),
    )
    before = datetime.now(UTC).replace(microsecond=0)

    document = tomllib.loads(entries_of(save(report, tmp_path / "x.lexer"))["x.toml"].decode())

    assert document["schema_version"] == 1
    assert document["title"] == "x"
    assert document["created_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert before <= document["updated_at"] <= datetime.now(UTC)
    assert document["environment"]["lexer_sdk_version"] == "0.1.0"
    assert document["environment"]["python_version"] == "3.11.9"
    assert document["environment"]["system"] == "Linux"
    assert document["environment"]["release"] == "6.1.0-rt"
    assert document["benchmark"]["config"] == {"num_iterations": 1000}
    assert document["export"]["config"] == {"exporter": "dynamo"}
    assert document["other"]["config"] == {"of_old": "x"}
    assert document["versions"] == {"engines": {"Torch": "2.13.0"}, "packages": {"torch": "2.13.0"}}
    assert document["verdicts"] == list(report.sentences)
    assert [row["label"] for row in document["results"]] == [row.label for row in report.results]
    assert document["results"][1]["p50_ms"] == 9.912
    assert document["results"][1]["log"] == "logs/2-onnxruntime.txt"
    assert document["results"][3]["error"] == "the worker died of SIGSEGV"
    assert document["models"][0]["files"] == ["x.onnx", "weights.bin"]
    assert document["models"][0]["rows"] == [1, 2]


def test_the_csv_is_that_of_the_report_and_opens_in_a_spreadsheet(report, tmp_path):
    row = attrs.evolve(report.results[0], label="=HYPERLINK(1)", engine="@SUM", variance=-0.5)
    report = attrs.evolve(report, results=(row, *report.results[1:]))

    text = entries_of(save(report, tmp_path / "run.lexer"))["run.csv"].decode()

    assert text == report.to_csv()
    first = next(csv.DictReader(io.StringIO(text)))
    assert (first["label"], first["engine"], first["variance"]) == (
        "'=HYPERLINK(1)",
        "'@SUM",
        "-0.5",
    )


def test_the_report_in_it_is_the_json_of_the_report(report, saved):
    assert json.loads(entries_of(saved)["report.json"]) == report.to_dict()


def test_the_samples_can_be_read_with_numpy_alone(report, saved):
    arrays = np.load(io.BytesIO(entries_of(saved)["samples.npz"]), allow_pickle=False)

    ticks, per_second = (
        arrays[f"results.0.samples.{name}"] for name in ("ticks", "ticks_per_second")
    )
    assert np.array_equal(ticks / per_second[0], report.results[0].samples)
    assert np.array_equal(arrays["results.0.sample_rounds"], report.results[0].sample_rounds)
    assert np.array_equal(arrays["results.0.sample_launches"], report.results[0].sample_launches)


def test_the_same_report_gives_the_same_bytes(report, tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 3, tzinfo=tz)

    monkeypatch.setattr(write, "datetime", Clock)

    one = save(report, tmp_path / "a.lexer", name="x").read_bytes()

    assert save(load(tmp_path / "a.lexer"), tmp_path / "b.lexer", name="x").read_bytes() == one


def test_contents_lists_every_file_and_says_what_it_is(saved):
    listed = contents(saved)

    assert [content.name for content in listed] == list(entries_of(saved))
    assert all(content.what for content in listed)
    assert {content.name: content.size_bytes for content in listed}["weights.bin"] == len(WEIGHTS)


def test_a_file_that_was_unzipped_and_zipped_again_loads(report, saved):
    entries = entries_of(saved) | {"__MACOSX/._run.toml": b"\0\5", "notes/mine.txt": b"mine"}
    saved.write_bytes(packed(entries))

    assert_same(load(saved), report)


# --- Models. ---


def test_models_are_left_out_on_request(report, tmp_path):
    path = save(report, tmp_path / "run.lexer", include_model=False)

    assert not {"run.onnx", "weights.bin"} & set(entries_of(path))
    assert load(path).models == ()


def test_the_csv_is_left_out_on_request(report, tmp_path):
    path = save(report, tmp_path / "run.lexer", include_csv=False)

    assert "run.csv" not in entries_of(path)
    assert_same(load(path), report)


def test_a_models_files_are_removed_with_the_last_reference_to_the_report(saved):
    report = load(saved)
    model, data = report.models[0].files
    assert data.read_bytes() == WEIGHTS
    assert data.parent == model.parent

    gc.collect()
    gc.disable()  # the files go with the last reference, not with a later collection
    try:
        del report
        assert not model.exists()
        assert not model.parent.exists()
    finally:
        gc.enable()


def test_models_are_unpacked_on_first_use(saved):
    report = load(saved)
    saved.unlink()

    assert report.models[0].labels == ("onnxruntime", "int8")
    assert len(report.models[0].files) == 2
    with pytest.raises(ArtifactError, match="does not exist"):
        _ = report.models[0].files[0]


def test_models_of_a_file_that_was_replaced_are_not_mixed_up(report, saved):
    read = load(saved)
    save(a_report(a_row()), saved)

    with pytest.raises(ArtifactError, match="changed after it was loaded"):
        _ = read.models[0].files[0]


def test_several_models_keep_their_data_apart(report, tmp_path):
    models = (
        attrs.evolve(
            kept_model(tmp_path / "b", "torch", name="model.pt2", extra=b"3"), format="torch_export"
        ),
        kept_model(tmp_path / "a", "torch", **{"weights/w.bin": b"1"}),
        kept_model(tmp_path / "c", "int8", **{"weights/w.bin": b"2"}),
        # Such names are for the artifact's own files.
        kept_model(tmp_path / "d", "int8", **{"run.toml": b"4", "logs/x": b"5"}),
    )
    report = attrs.evolve(report, models=models)

    path = save(report, tmp_path / "run.lexer")

    assert {"run.onnx", "weights/w.bin", "models/3/weights/w.bin"} <= set(entries_of(path))
    assert_same(load(path), report)


@pytest.mark.parametrize("trouble", ["gone", "changed"])
def test_a_missing_or_changed_model_is_left_out_with_a_warning(report, tmp_path, trouble):
    file = tmp_path / "model" / "weights.bin"
    if trouble == "gone":
        file.unlink()
    else:
        file.write_bytes(b"others")
    warnings = []

    path = save(report, tmp_path / "run.lexer", warn=warnings.append)

    assert len(warnings) == 1
    assert "the model of onnxruntime, int8 is not included" in warnings[0]
    toml = tomllib.loads(entries_of(path)["run.toml"].decode())
    assert toml["models_left_out"] == warnings
    assert load(path).models == ()
    with pytest.warns(UserWarning, match="is not included"):
        save(report, tmp_path / "again.lexer")


def test_a_large_model_causes_a_warning_before_it_is_written(report, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "LARGE_MODEL_BYTES", 1000)
    path = tmp_path / "run.lexer"
    warnings = []

    def warn(text):
        warnings.append((text, path.exists()))

    save(report, path, warn=warn)
    save(report, path, include_model=False, warn=warn)

    ((text, there),) = warnings
    assert "--no-model" in text
    assert not there


# --- All or nothing. ---


@pytest.fixture
def full_disk(tmp_path):
    """A process in which a file can have at most 2000 bytes."""
    resource = pytest.importorskip("resource")
    code = """
import resource, sys
from pathlib import Path
from artifact_samples import a_whole_report
from lexer_core.artifact import save
report = a_whole_report(Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
save(report, sys.argv[1])
"""
    del resource

    def run(path):
        return subprocess.run(
            [sys.executable, "-c", code, str(path), str(tmp_path / "m")],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("old", [None, b"the old file"])
def test_a_full_disk_leaves_the_old_file_or_none(full_disk, tmp_path, old):
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "run.lexer"
    if old is not None:
        path.write_bytes(old)

    done = full_disk(path)

    assert "OutputFileError: cannot write" in done.stderr
    assert [file.name for file in folder.iterdir()] == ([] if old is None else ["run.lexer"])
    assert old is None or path.read_bytes() == old


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_kill_leaves_the_old_file(saved, tmp_path):
    old = saved.read_bytes()
    # Reading the model waits for ever: the kill comes in the midst of writing.
    os.mkfifo(tmp_path / "net.onnx")
    code = """
import sys
from pathlib import Path
from report_samples import a_report, a_row
from lexer_core.artifact import save
from lexer_core.results.saved_model import SavedModel
model = SavedModel(format="onnx", files=(Path(sys.argv[2]),), labels=("torch",))
save(a_report(a_row(), models=(model,)), sys.argv[1])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(saved), str(tmp_path / "net.onnx")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while not list(tmp_path.glob(".lexer-*")):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert saved.read_bytes() == old


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(OutputFileError, match="nowhere"):
        save(a_report(a_row()), tmp_path / "nowhere" / "run.lexer")


# --- flush, and what a run puts into its report. ---

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    return write_toy_model(folder)


def measured(context, model, *engines, **settings):
    # In this process, which takes the least time; the next test has workers.
    settings = {"isolation": "none", "canary": False, "threads": 1, **settings}
    settings = {"num_iterations": 40, "warm_up_seconds": 0.05, **settings}
    return context.benchmark(model, INPUT, engines=list(engines) or ["toy"], **settings)


def test_flush_writes_the_last_benchmark_and_may_be_called_twice(toys, model, tmp_path):
    context = LexerContext()
    talker = EngineChoice("toy", {"fault": "chatter_in_load"}, label="talker")
    report = measured(
        context, model, "toy", talker, EngineChoice("toy", {"fault": "exit_in_load"}, label="dead"),
        launches=2, isolation="process", canary=True,
    )  # fmt: skip

    first = context.flush(name="amazing", target_directory=tmp_path)
    second = context.flush(name="amazing.lexer", target_directory=tmp_path)

    assert first == second == tmp_path / "amazing.lexer"
    read = load(first)
    assert_same(read, report)
    assert read["dead"].status == "failed"
    assert read["toy"].warm_up_samples.size == read["toy"].warm_up_launches.size
    assert set(read["toy"].warm_up_launches.tolist()) == {0, 1}
    assert read["toy"].warm_up_samples.min() >= 200e-6
    assert read["talker"].log.count("--- launch ") == 2
    assert "yyy" in read["talker"].log
    assert len(read["talker"].log) < 2**19
    assert read.models[0].labels == ("toy", "talker", "dead")
    assert read.models[0].files[0].read_bytes() == model.read_bytes()


def test_settings_decide_what_is_left_out(toys, model, tmp_path):
    context = LexerContext(include_model=False, include_csv=False)
    measured(context, model)

    entries = entries_of(context.flush("run", tmp_path))

    assert {"run.onnx", "run.csv"}.isdisjoint(entries)


def test_flush_before_a_benchmark_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="not measured anything") as caught:
        LexerContext().flush("run", tmp_path)

    assert "benchmark()" in str(caught.value)


def test_flush_after_a_benchmark_that_failed_does_not_write_an_earlier_one(toys, model, tmp_path):
    context = LexerContext()
    measured(context, model)
    with pytest.raises((UsageError, ModelError)):
        measured(context, tmp_path / "nowhere.onnx")

    with pytest.raises(UsageError, match="its last benchmark failed"):
        context.flush("run", tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/etc/x", "../x", "x\0", ".lexer"])
def test_a_name_that_leads_to_another_folder_is_refused(name):
    with pytest.raises(UsageError, match="is not a valid file name"):
        write.artifact_path(name)


def test_a_model_that_changes_after_measuring_is_not_saved_as_the_measured_one(toys, model):
    report = measured(LexerContext(), model)
    model.write_bytes(b"other bytes, of another length")

    with pytest.raises(ArtifactError, match="changed after it was measured"):
        _ = report.models[0].files[0]


def test_an_exported_model_can_be_saved_after_the_original_is_deleted(toys, model, tmp_path):
    context = LexerContext()
    measured(context, model)
    content = model.read_bytes()
    model.unlink()

    report = load(context.flush("run", tmp_path))

    assert report.models[0].files[0].read_bytes() == content
