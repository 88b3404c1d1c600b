"""Reports with everything that an artifact contains, which were not measured."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from report_samples import a_full_report

from lexer_core.records import TensorSpec
from lexer_core.results.result_records import ReferenceWorkloadTimes
from lexer_core.results.saved_model import SavedFiles, SavedModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

WEIGHTS = bytes(range(256)) * 8


def nanoseconds(count: int, typical: int = 10_000_000, seed: int = 0) -> Any:
    """Whole nanoseconds, as noisy as those of a busy machine."""
    rng = np.random.default_rng(seed)
    spikes = np.where(rng.random(count) < 0.01, rng.exponential(3 * typical, count), 0)
    return np.rint(rng.lognormal(np.log(typical), 0.08, count) + spikes)


def with_samples(report: BenchmarkReport, count: int = 60) -> BenchmarkReport:
    """Add samples to every row with numbers, and a log to every row."""
    rows = []
    for number, row in enumerate(report.results):
        facts: dict[str, Any] = {"log": f"worker of {row.label}\nzweite Zeile: größer\r\n"}
        if row.status == "ok":
            facts |= {
                "num_samples": count,
                "samples": nanoseconds(count, seed=number) / 1e9,
                "sample_rounds": np.repeat(np.arange(count // 10, dtype=np.int16), 10),
                "sample_launches": np.repeat(np.arange(2, dtype=np.int8), count // 2),
                "warm_up_samples": nanoseconds(13, seed=number) / 7e9,
                "warm_up_launches": np.zeros(13, np.int8),
            }
        rows.append(attrs.evolve(row, **facts))
    canary = ReferenceWorkloadTimes(
        launch_medians=(0.001, 0.0011),
        samples=nanoseconds(20, 1_000_000) / 1e9,
        sample_rounds=np.repeat(np.arange(2, dtype=np.int8), 10),
        sample_launches=np.repeat(np.arange(2, dtype=np.int8), 10),
    )
    return attrs.evolve(report, results=tuple(rows), canary=canary)


def kept_model(folder: Path, *labels: str, name: str = "net.onnx", **files: bytes) -> SavedModel:
    """Write a model and its external data."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for part, content in {name: b"the graph", **files}.items():
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return SavedModel(
        format="onnx",
        files=SavedFiles(paths),
        labels=labels,
        inputs=(TensorSpec(name="image", dtype="float32", shape=("batch", 3)),),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=("batch", 10)),),
        exporter="torch.onnx (dynamo) 2.13.0",
    )


def a_whole_report(folder: Path) -> BenchmarkReport:
    """A report with samples, logs, reference workload, and a model with external data."""
    model = kept_model(folder, "onnxruntime", "int8", **{"weights.bin": WEIGHTS})
    return attrs.evolve(with_samples(a_full_report()), models=(model,))


def entries_of(path: Path) -> dict[str, bytes]:
    """Unpack an artifact into memory."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(entries: dict[str, bytes]) -> bytes:
    """Zip it again, with valid checksums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def changed(path: Path, name: str, change: Callable[[bytes], bytes] | bytes) -> Path:
    """Change one entry of an artifact, or add it."""
    entries = entries_of(path)
    entries[name] = change if isinstance(change, bytes) else change(entries[name])
    path.write_bytes(packed(entries))
    return path
