"""A fleet of Dask workers on the loopback, with TLS, and what happens to it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import attrs
import pytest
from fake_engines import FakeSite
from fleet_samples import TARGET, write_project
from toy_engine import TOY_ENGINE

import lexer_core
from lexer_core import fleet
from lexer_core.cli import main as command
from lexer_core.errors import FleetError
from lexer_core.fleet.addresses import SchedulerAddress
from lexer_core.fleet.dask_executor import DaskExecutor
from lexer_core.fleet.run import execute_fleet

pytestmark = pytest.mark.extras
pytest.importorskip("distributed")
pytest.importorskip("cryptography")

from lexer_core.fleet.local import LocalFleet  # noqa: E402

OTHER_VERSION = """
import lexer_core
lexer_core.__version__ = "9.9"
"""
SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
"""
"""Files cannot grow beyond 3000 bytes, as if the disk were full."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    return site


@pytest.fixture(scope="module")
def local(site, tmp_path_factory):
    """A scheduler with the machines "a" and "b"; tests may add more."""
    cache = str(tmp_path_factory.mktemp("cache"))
    with LocalFleet(0) as local:
        local.environment = {"PYTHONPATH": site.environment()["PYTHONPATH"]}
        local.cache = Path(cache)
        local.environment["LEXER_CACHE_DIR"] = cache
        local.start_worker("a", labels=["small"], environment=local.environment)
        local.start_worker("b", labels=["big"], environment=local.environment)
        yield local


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@contextlib.contextmanager
def added(local, name, **options):
    """One more machine, with a label that is its name."""
    environment = {**local.environment, **options.pop("environment", {})}
    process = local.start_worker(name, labels=[name], environment=environment, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def kinds(*labels):
    return "\n".join(f'[[machines]]\nlabels = ["{label}"]' for label in labels)


def measure(local, here, *, notify=None, runs="", output="fleet.lexer", labels=("small",)):
    plan = fleet.read_plan(write_project(here, more=kinds(*labels), runs=runs))
    executor = DaskExecutor(local.address)
    return execute_fleet(plan, executor, here / output, notify=notify)


def test_two_machines_of_different_kinds_measure_a_plan(local, here, capsys):
    write_project(here, more=kinds("small", "big"))
    tls = local.address.tls
    files = [f"--tls-ca-file={tls.ca_file}", f"--tls-cert={tls.cert}", f"--tls-key={tls.key}"]

    arguments = ["plan.toml", "--scheduler", local.address.url, "-o", "fleet.lexer", *files]
    status = command.run(["fleet", "run", *arguments])

    said = capsys.readouterr()
    assert status == 0, said.err
    assert {run.machine for run in lexer_core.load("fleet.lexer")} == {"a", "b"}
    assert "lexer: a: measured toy run" in said.err
    assert not list((local.cache / "fleet" / "results").iterdir())


def test_a_worker_that_is_killed_while_it_measures_costs_its_runs(local, here):
    with added(local, "dies") as worker:

        def kill(event):
            if event.machine == "dies" and event.state == "measuring" and event.text:
                worker.send_signal(signal.SIGKILL)

        more = kinds("small", "dies") + "\nsettings = {num_iterations = 100000}\n"
        plan = fleet.read_plan(write_project(here, more=more))
        outcome = execute_fleet(plan, DaskExecutor(local.address), here / "f.lexer", notify=kill)

    assert [run.machine for run in outcome.merged] == ["a"]
    (failed,) = outcome.failed
    assert failed.machine == "dies"
    assert "its worker was killed or lost its connection" in failed.reason


def test_what_is_wrong_with_a_machine_costs_its_own_runs_and_is_named(local, here, tmp_path):
    for name, text in (("version", OTHER_VERSION), ("disk", SMALL_FILES)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sitecustomize.py").write_text(text)
    paths = local.environment["PYTHONPATH"]
    environments = {
        name: {"PYTHONPATH": f"{tmp_path / name}{os.pathsep}{paths}"}
        for name in ("version", "disk")
    }
    with (
        added(local, "version", environment=environments["version"]),
        added(local, "disk", environment=environments["disk"]),
        added(local, "nanny", options=["--nanny"]),
        added(local, "engineless", environment={"PYTHONPATH": ""}),
        added(local, "a") as second,
    ):
        outcome = measure(local, here, labels=["version", "disk", "nanny", "engineless", "small"])

    reasons = {each.machine: each.reason for each in outcome.failed}
    assert "pip install lexer-core==" in reasons.pop("version")
    assert "File too large" in reasons.pop("disk")
    assert "OMP_NUM_THREADS" in reasons["nanny"]
    assert "--no-nanny" in reasons.pop("nanny")
    assert not reasons
    assert second.returncode != 0
    assert "name taken" in (local.folder / "a.log").read_text()
    rows = {run.machine: run.report["toy"] for run in outcome.merged}
    assert rows["a"].status == "ok"
    assert "not installed on this machine" in rows["engineless"].error.reason


def test_a_path_that_a_machine_lacks_is_named_with_what_to_do(local, here):
    plan = write_project(here, code="", more=kinds("small"))

    (failed,) = execute_fleet(
        fleet.read_plan(plan), DaskExecutor(local.address), here / "fleet.lexer"
    ).failed

    assert failed.reason.startswith("file 'toy.onnx' does not exist.")
    assert 'write code = "FOLDER" in the plan' in failed.reason


def test_a_client_that_is_gone_and_back_fetches_what_was_finished_meanwhile(local, here):
    def leave(event):
        if event.state == "measuring" and event.text:
            raise KeyboardInterrupt

    first = measure(local, here, notify=leave)
    deadline = time.monotonic() + 60
    while not list((local.cache / "fleet" / "results").glob("*.lexer")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    texts = []
    second = measure(local, here, notify=lambda event: texts.append(event.text))

    assert first.is_interrupted
    assert first.merged is None
    assert [run.machine for run in second.merged] == ["a"]
    assert "fetching what it finished before" in texts


def test_a_scheduler_that_is_gone_ends_the_command_and_keeps_what_was_fetched(
    local, here, tmp_path
):
    with LocalFleet(0) as other:
        environment = {**local.environment, "LEXER_CACHE_DIR": str(tmp_path / "cache")}
        other.start_worker("a", labels=["small"], environment=environment)

        def end(event):
            if event.run == "two" and event.state == "measuring" and event.text:
                other.scheduler.terminate()

        runs = f'[[runs]]\nname = "one"\n{TARGET}[[runs]]\nname = "two"\n{TARGET}'
        runs += "settings = {tie = 0.3, num_iterations = 2000}\n"
        outcome = measure(other, here, notify=end, runs=runs)
    again = measure(local, here, runs=runs)  # where another worker has the same name

    assert [run.name for run in outcome.merged] == ["a one"]
    assert "connection to the scheduler was lost" in outcome.failed[0].reason
    assert [run.name for run in again.merged] == ["a one", "a two"]
    assert not again.merged.failed


def test_a_scheduler_that_is_not_there_is_an_error(local):
    address = attrs.evolve(local.address, url="tls://127.0.0.1:9")

    with pytest.raises(FleetError, match="cannot connect to the scheduler"):
        DaskExecutor(address, timeout=1).__enter__()


def test_a_client_without_the_certificate_is_refused(local):
    address = SchedulerAddress(url=local.address.url.replace("tls://", "tcp://"))

    with pytest.raises(FleetError, match="cannot connect to the scheduler"):
        DaskExecutor(address, timeout=2).__enter__()
