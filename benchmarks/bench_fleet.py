"""What does a fleet of 50 machines cost the one that asks?

The machines are Dask workers in one other process, with TLS, that measure nothing: each
writes a run of 50 cases of random samples. All else is real: the description of the
machine, the code, the run in parts, and one merged file. Printed are the time, the memory
and the bytes per machine, of the client alone; then the same for reading and showing the
merged file. Gates keep 1,000 machines within an hour of the client's time and 16 GiB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import Figure, arguments, print_figures, print_header

MACHINES = 50
CASES = 50
SAMPLES = 1000

MOST_SECONDS = 3.6
"""Of the client for each machine: an hour for 1,000."""

MOST_MIB = 16.0
"""Of the client for each machine: 16 GiB for 1,000."""

PLAN = """
code = "."
[[runs]]
name = "simulated"
targets = ["model.onnx"]
"""


def main() -> None:
    """Run the client against the machines, and print a table."""
    read = arguments("Measure a fleet's client.", machines=(MACHINES, 100, "machines"))
    print_header(f"A fleet of {read.machines} simulated machines, {CASES} cases each")
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as name:
        folder = Path(name)
        (folder / "code").mkdir()
        (folder / "code" / "plan.toml").write_text(PLAN)
        (folder / "code" / "model.onnx").write_bytes(b"not read by machines that measure nothing")
        environment = {**os.environ, "LEXER_CACHE_DIR": str(folder / "cache")}
        script = [sys.executable, __file__]
        with subprocess.Popen(
            [*script, "--as-machines", name, str(read.machines)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as machines:
            assert machines.stdout is not None
            machines.stdout.readline()  # all are connected
            client = figures_of([*script, "--as-client", name], environment)
            machines.terminate()
        shown = figures_of([*script, "--as-reader", name], environment)
        size = (folder / "fleet.lexer").stat().st_size
    count = read.machines
    print_figures(
        [
            Figure(
                "client: time per machine",
                client["seconds"] / count,
                f"{client['seconds'] / count:.3f} s",
                limit=MOST_SECONDS,
                unit=" s",
                remark=f"{client['seconds']:.1f} s in all, {client['merge']:.1f} s of it to merge",
            ),
            Figure("client: CPU time per machine", shown=f"{client['cpu'] / count * 1000:.0f} ms"),
            Figure(
                "client: memory per machine",
                client["mib"] / count,
                f"{client['mib'] / count:.2f} MiB",
                limit=MOST_MIB,
                unit=" MiB",
                remark=f"{client['mib']:.0f} MiB in all, above the {client['base']:.0f} MiB of the "
                "program",
            ),
            Figure(
                "all connections: bytes per machine",
                shown=f"{client['bytes'] / count / 2**20:.2f} MiB",
                remark=f"of a run of {size / count / 2**20:.2f} MiB, which passes the scheduler",
            ),
            Figure(
                "lexer show fleet.lexer: time per machine",
                shown=f"{shown['seconds'] / count * 1000:.0f} ms",
                remark=f"{shown['seconds']:.1f} s in all, CPU {shown['cpu']:.1f} s",
            ),
            Figure(
                "lexer show fleet.lexer: memory per machine",
                shown=f"{shown['mib'] / count:.2f} MiB",
                remark=f"{shown['mib']:.0f} MiB in all",
            ),
        ]
    )


def figures_of(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run one side in a process of its own, and return what it measured of itself."""
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mib() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def as_client(folder: Path) -> None:
    """Measure the plan on all machines, and print what it cost this process."""
    from lexer_core.fleet import read_plan
    from lexer_core.fleet.addresses import SchedulerAddress, TlsFiles
    from lexer_core.fleet.dask_executor import DaskExecutor
    from lexer_core.fleet.run import execute_fleet

    url = (folder / "address").read_text()
    cert, key = folder / "cert.pem", folder / "key.pem"
    address = SchedulerAddress(url=url, tls=TlsFiles(ca_file=cert, cert=cert, key=key))
    executor = DaskExecutor(address)
    with executor:
        pass  # Dask is imported now
    base, cpu = peak_mib(), time.process_time()
    sent = loopback_bytes()
    start = time.perf_counter()
    last = [start]
    plan = read_plan(folder / "code" / "plan.toml")
    outcome = execute_fleet(
        plan,
        executor,
        folder / "fleet.lexer",
        notify=lambda _: last.__setitem__(0, time.perf_counter()),
    )
    end = time.perf_counter()
    assert not outcome.failed, outcome.failed[0]
    figures = {
        "seconds": end - start,
        "merge": end - last[0],
        "cpu": time.process_time() - cpu,
        "mib": peak_mib() - base,
        "base": base,
        "bytes": loopback_bytes() - sent,
    }
    print(json.dumps(figures))


def loopback_bytes() -> int:
    """Return how much the loopback has received since the start of the machine."""
    return int(psutil.net_io_counters(pernic=True)["lo"].bytes_recv)


def as_reader(folder: Path) -> None:
    """Read the merged file and lay out its tables, and print what it cost this process."""
    import lexer_core
    from lexer_core.merged import MergedRuns

    base, cpu, start = peak_mib(), time.process_time(), time.perf_counter()
    merged = lexer_core.load(folder / "fleet.lexer")
    assert isinstance(merged, MergedRuns)
    merged.to_text(width=100)
    seconds = time.perf_counter() - start
    print(
        json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu, "mib": peak_mib() - base})
    )


def as_machines(folder: Path, count: int) -> None:
    """Run the scheduler and all machines until standard input is closed."""
    from distributed import LocalCluster, Security

    from lexer_core.fleet import machine
    from lexer_core.fleet.local import write_certificate
    from lexer_core.fleet.records import MeasuredFile

    def write_run(link: Any, content: bytes, *, order: str, key: str, **rest: Any) -> MeasuredFile:
        a_run(int(key[:8], 16)).save(folder / "cache/fleet/results" / f"{order}-{key}.lexer")
        measured = real_measure(link, content, order=order, key=key, **rest)
        assert isinstance(measured, MeasuredFile)
        return measured

    actions: dict[str, Any] = machine._ACTIONS  # type: ignore[assignment]
    real_measure = actions["measure"]
    actions["measure"] = write_run
    tls = write_certificate(folder)
    files = {"tls_ca_file": str(tls.ca_file)}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": str(tls.cert), f"tls_{role}_key": str(tls.key)}
    security = Security(**files, require_encryption=True)  # type: ignore[no-untyped-call]
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=0, processes=False, protocol="tls://", security=security, dashboard_address=None
    ) as cluster:
        cluster.scale(0)
        cluster.worker_spec = {
            f"m{number}": {
                **cluster.new_spec,
                "options": {
                    **cluster.new_spec["options"],
                    "nthreads": 1,
                    "resources": {"machine": 1},
                    "memory_limit": 0,
                },
            }
            for number in range(count)
        }
        cluster.sync(cluster._correct_state)
        while len(cluster.scheduler.workers) < count:
            time.sleep(0.1)
        (folder / "address").write_text(cluster.scheduler_address)
        print("ready", flush=True)
        sys.stdin.read()


def a_run(seed: int) -> Any:
    """Return a report of random samples."""
    from lexer_core.machine.environment import read_environment
    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

    random = np.random.default_rng(seed)
    rows = []
    for case in range(CASES):
        samples = random.lognormal(-6.0 + case / 50, 0.05, SAMPLES)
        rows.append(
            BenchmarkResult(
                label=f"case-{case}",
                engine_name="simulated",
                engine="Simulated",
                device="CPU",
                status="ok",
                num_samples=SAMPLES,
                batch_size=1,
                p50_ms=float(np.median(samples)) * 1000,
                throughput_per_sec=float(1 / samples.mean()),
                rank=case + 1,
                samples=samples,
                sample_rounds=np.repeat(np.arange(SAMPLES // 20), 20),
                sample_launches=np.zeros(SAMPLES, dtype=np.int64),
            )
        )
    return BenchmarkReport(
        results=rows,
        environment=read_environment(),
        model_name="simulated",
        created_at="2026-01-02T03:04:05+00:00",
        model_fingerprint={"file": "0" * 32},
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-machines"]:
        as_machines(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--as-client"]:
        as_client(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--as-reader"]:
        as_reader(Path(sys.argv[2]))
    else:
        main()
