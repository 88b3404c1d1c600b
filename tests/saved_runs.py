"""Saved runs of which the truth is known, without anything having been measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from report_samples import a_row

from lexer_core.records import TensorSpec
from lexer_core.report import BenchmarkReport
from lexer_core.results import BenchmarkResult, Environment, ReferenceWorkloadTimes

if TYPE_CHECKING:
    from collections.abc import Mapping

CANARY_SECONDS = 0.0002
MADE_WITH = "numpy 2.0.0, openblas 0.3"

A_MACHINE = {
    "cpu_model": "AMD EPYC 7763",
    "machine": "x86_64",
    "cores_usable": 2.0,
    "virtualised": "QEMU",
    "python": "3.11.7 (CPython)",
    "engines": {"Torch": "2.13.0"},
    "packages": {"numpy": "2.0.0"},
}


def a_run(
    rng: np.random.Generator | None = None,
    *,
    seconds: Mapping[str, float] | None = None,
    host: float = 1.0,
    launches: int = 5,
    rounds: int = 4,
    launch_sd: float = 0.003,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
    environment: Mapping[str, Any] | None = None,
    canary: Mapping[str, Any] | bool | None = True,
    **facts: Any,
) -> BenchmarkReport:
    """Make a run of cases with true latencies, on a machine that is ``host`` times slower.

    Every launch draws a shift of its own for each case, every round one that all
    share with the canary, every sample some noise and now and then a stall.
    """
    rng = rng or np.random.default_rng(0)
    shared = np.exp(rng.normal(0.0, 0.02, size=(launches, rounds)))
    results = [
        _row(label, rng, true * host, shared, launch_sd, (rows or {}).get(label, {}))
        for label, true in (seconds or {"torch": 0.02}).items()
    ]
    measured = None
    if canary is not None and canary is not False:
        samples, numbers, lives = _samples(rng, CANARY_SECONDS * host, shared, 0.001)
        values: dict[str, Any] = {
            "version": 1,
            "made_with": MADE_WITH,
            "launch_medians": [float(np.median(samples[lives == at])) for at in range(launches)],
            "samples": samples,
            "sample_rounds": numbers,
            "sample_launches": lives,
        }
        measured = ReferenceWorkloadTimes(**values | (dict(canary) if canary is not True else {}))
    values = {
        "model_name": "AmazingNet",
        "input_specs": [TensorSpec(name="image", dtype="float32", shape=(1, 3, 224, 224))],
        "created_at": "2026-01-02T03:04:05+00:00",
        "settings": {"margin": 0.01, "launches": launches, "seed": 7},
        "model_fingerprint": {"weights": "a" * 32, "graph": "b" * 32, "modules": "c" * 32},
    }
    return BenchmarkReport(
        results=results,
        environment=Environment(**A_MACHINE | dict(environment or {})),
        canary=measured,
        **values | facts,
    )


def _row(
    label: str,
    rng: np.random.Generator,
    true: float,
    shared: np.ndarray,
    launch_sd: float,
    facts: Mapping[str, Any],
) -> BenchmarkResult:
    samples, numbers, lives = _samples(rng, true, shared, launch_sd)
    values: dict[str, Any] = {
        "samples": samples,
        "sample_rounds": numbers,
        "sample_launches": lives,
        "launches": len(shared),
        "precision": "",
        "dtype": "float32",
    }
    return a_row(label, label.capitalize(), float(np.median(samples)) * 1000, **values | facts)


def _samples(
    rng: np.random.Generator, true: float, shared: np.ndarray, launch_sd: float, calls: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples with round and launch of each."""
    launches, rounds = shared.shape
    own = np.exp(rng.normal(0.0, launch_sd, size=(launches, 1, 1)))
    noise = np.exp(rng.normal(0.0, 0.01, size=(launches, rounds, calls)))
    stalls = 1.0 + (rng.random((launches, rounds, calls)) < 0.02) * rng.exponential(
        1.0, (launches, rounds, calls)
    )
    samples = (true * shared[:, :, None] * own * noise * stalls).ravel()
    numbers = np.repeat(np.arange(launches * rounds), calls)
    return samples, numbers, numbers // rounds
