"""Plans of fleets, measured on this machine without a network."""

from __future__ import annotations

import itertools
import json
import os
import sys
import zipfile
from pathlib import Path

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from fleet_samples import TARGET, write_project
from saved_runs import a_run
from toy_engine import TOY_ENGINE

import lexer_core
from lexer_core import fleet
from lexer_core.cli import main as command
from lexer_core.errors import LexerError, UsageError
from lexer_core.fleet.addresses import check_address
from lexer_core.fleet.code import pack_code, unpack_code
from lexer_core.fleet.executor import Reply
from lexer_core.fleet.machine import perform
from lexer_core.fleet.measuring import measure_in_own_process
from lexer_core.fleet.progress import FleetDisplay
from lexer_core.fleet.records import ConnectedMachine, plan_digest
from lexer_core.fleet.run import execute_fleet
from lexer_core.machine.environment import read_environment


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    return site


@pytest.fixture
def here(toys, tmp_path, monkeypatch):
    """A project folder in which the toy engine is installed, with a cache of its own."""
    monkeypatch.setenv("PYTHONPATH", toys.environment()["PYTHONPATH"])
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def run(capsys, *arguments):
    status = command.run(list(map(str, arguments)))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def machine_folder():
    return Path(os.environ["LEXER_CACHE_DIR"]) / "fleet" / "results"


def results_on_machine():
    return sorted(machine_folder().iterdir())


seeds = itertools.count()


class Machines:
    """An executor with machines that this process plays: they have measured before."""

    is_under_nanny = False

    def __init__(self, *machines, fails=None):
        self._machines = [
            each if isinstance(each, ConnectedMachine) else ConnectedMachine(name=each)
            for each in machines
        ]
        self._came = []
        self.asked = []
        self.fails = fails or (lambda machine, action: None)
        self.facts = attrs.asdict(read_environment())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def machines(self):
        return self._machines

    def start(self, machine, action, arguments, content):
        self.asked.append((machine, action))
        failure = self.fails(machine, action)
        where = json.loads(arguments)
        result = machine_folder() / f"{where.get('order')}-{where.get('key')}.lexer"
        if action == "measure" and not failure and not result.exists():
            random = np.random.default_rng(next(seeds))
            report = a_run(random, launches=1, rounds=2, environment=self.facts)
            attrs.evolve(report, settings=where["plan"]["settings"]).save(result)
        answer = b"" if failure else perform(action, arguments, content, self)
        self._came.append(failure or Reply(machine=machine, answer=answer))

    def wait(self, seconds):
        came, self._came = self._came, []
        return came

    def tell(self, text):
        pass

    def is_stopping(self):
        return False


# --- The plan. ---


def plan_of(folder, text):
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return fleet.read_plan(path)


TWO_RUNS = f'[[runs]]\n{TARGET}\n[[runs]]\nname = "two"\n{TARGET}settings = {{tie = 0.3}}\n'
RUN = '[[runs]]\ntargets = ["a.py:A"]\n'


def test_the_example_is_a_valid_plan(here, capsys):
    status, text, _ = run(capsys, "fleet", "plan", "--example")
    (here / "plan.toml").write_text(text)

    assert status == 0
    assert run(capsys, "fleet", "plan", "plan.toml")[1].splitlines() == [
        "any machine: all that are connected",
        "  measure net batch 1",
        "  measure net batch 8",
    ]


def test_the_commented_parts_of_the_example_are_valid_as_well(here, capsys):
    text = run(capsys, "fleet", "plan", "--example")[1]
    head, marks = text.split("\n[settings]")[0], text.split("\n[settings]")[1]
    uncommented = "\n".join(
        line.removeprefix("# ")
        if line.startswith(("# [[", "# "))
        and ("=" in line or "[[" in line)
        and not line.endswith(".")
        else line
        for line in marks.splitlines()
    )

    plan = plan_of(here, f"{head}\n[settings]{uncommented}\n")

    assert [kind.name for kind in plan.machines] == ["cpu", "gpu"]
    assert [each.title for each in plan.runs] == ["net batch 1", "net batch 8", "tuned"]


def test_settings_of_a_machine_come_before_those_of_a_run_and_of_the_plan(here):
    plan = plan_of(
        here,
        "settings = {threads = 1, seed = 1, tie = 0.1}\n"
        f"{RUN}settings = {{threads = 2, seed = 2}}\n"
        '[[machines]]\nname = "a"\nsettings = {threads = 3}\n',
    )

    (planned,) = plan.runs_of(plan.machines[0])

    assert (planned.settings["threads"], planned.settings["seed"]) == (3, 2)
    assert planned.settings["tie"] == 0.1
    assert planned.settings["include_model"] is False


def test_a_plan_in_json_is_the_same(here):
    toml = plan_of(here, f'{RUN}batch_size = 2\n[[machines]]\nlabels = "gpu"\ncount = 2\n')
    (here / "plan.json").write_text(
        json.dumps(
            {
                "runs": [{"targets": ["a.py:A"], "batch_size": 2}],
                "machines": [{"labels": ["gpu"], "count": 2}],
            }
        )
    )

    assert fleet.read_plan(here / "plan.json") == toml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the plan has no [[runs]]"),
        ("[[runs]]\n", "line 1: the run has no 'targets'"),
        (f"{RUN}\n{RUN}", "two of the runs are called 'a.py:A'"),
        (f"{RUN}target = 'b'\n", "line 3: unknown key 'target' in [[runs]]"),
        (f"{RUN}\n[[runs]]\ntargets = 3\n", "line 5: 'targets': expected a string or a list"),
        (f"{RUN}inputs = ['x=float32[a]']\n", "line 3: --input 'x=float32[a]'"),
        (f"{RUN}inputs = ['x=float32[1]']\ninputs_file = 'x.npz'\n", "exclude each other"),
        (f"{RUN}settings = {{threads = 0}}\n", "setting 'threads' in plan.toml, line 3 is 0"),
        (f"{RUN}[runs.settings]\nthread = 1\n", "unknown setting 'thread' in plan.toml, line 4"),
        (f"settings = 1\n{RUN}", "line 1: 'settings': expected a mapping"),
        (f"{RUN}vary = {{threads = [0]}}\n", "line 3: '0' in the axis threads"),
        (f"{RUN}vary = {{threads = [1]}}\nlimits = 'p99'\n", "line 4: "),
        (f"{RUN}maximize = 'throughput'\n", "goals and limits need 'vary'"),
        ("[[runs]]\ntargets = ['a', 'b']\nvary = {batch = 1}\n", "line 2: a run with 'vary'"),
        (f"{RUN}[[machines]]\nlabels = ['a b']\n", "line 4: 'a b' cannot be a label"),
        (f"{RUN}[[machines]]\nlabels = ['machine']\n", "'machine' cannot be a label"),
        (f"{RUN}[[machines]]\ncount = 0\n", "line 4: the count is 0"),
        (f"{RUN}[[machines]]\nprice = 'cheap'\n", "line 4: 'cheap' is not a price"),
        (f"{RUN}[[machines]]\n[[machines]]\n", "two of the machines are called 'any machine'"),
        (f"code = 'absent'\n{RUN}", "line 1: the code 'absent' does not exist"),
        ("runs = [", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_plan_names_file_line_and_key(here, text, said):
    with pytest.raises(UsageError) as raised:
        plan_of(here, text)

    assert str(raised.value).startswith(("plan.toml", "setting", "unknown setting", str(here)))
    assert said in raised.value.message.replace(f"{here}/", "")


def test_a_plan_that_is_not_there_is_an_error(here, capsys):
    status, _, error = run(capsys, "fleet", "plan", "absent.toml")

    assert status == 2
    assert "lexer fleet plan --example" in error


def test_the_digest_of_a_run_is_of_what_it_measures():
    one = fleet.RunPlan(targets=["a.py:A"], name="a")

    assert plan_digest(one) == plan_digest(attrs.evolve(one, name="b"))
    assert plan_digest(one) != plan_digest(attrs.evolve(one, settings={"threads": 1}))


# --- The code. ---


def test_a_folder_is_packed_without_what_a_machine_does_not_need(tmp_path):
    for name in (
        "net.py",
        "pkg/part.py",
        ".lexer_config.toml",
        ".git/x",
        "env/pyvenv.cfg",
        "__pycache__/net.pyc",
        "old.lexer",
        "fleet.lexer.parts/1.json",
        ".secret",
    ):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    packed = pack_code(tmp_path / "code")
    unpack_code(packed.content, tmp_path / "there")

    found = {
        path.relative_to(tmp_path / "there").as_posix()
        for path in (tmp_path / "there").rglob("*")
        if path.is_file()
    }
    assert found == {"net.py", "pkg/part.py", ".lexer_config.toml"}
    assert pack_code(tmp_path / "code").digest == packed.digest


def test_a_wheel_is_sent_as_it_is(tmp_path):
    with zipfile.ZipFile(tmp_path / "net-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("net.py", "x = 1")

    packed = pack_code(tmp_path / "net-1.0-py3-none-any.whl")
    unpack_code(packed.content, tmp_path / "there")

    assert (tmp_path / "there" / "net.py").read_text() == "x = 1"


def test_code_that_is_neither_a_folder_nor_a_wheel_is_refused(tmp_path):
    (tmp_path / "net.py").write_text("")

    with pytest.raises(UsageError, match="neither a folder nor a wheel"):
        pack_code(tmp_path / "net.py")


# --- On this machine. ---


def test_a_plan_is_measured_on_this_machine(here, capsys):
    write_project(here)

    arguments = ("fleet", "run", "plan.toml", "--scheduler", "this-machine", "-o", "fleet.lexer")
    status, shown, said = run(capsys, *arguments)

    (merged,) = lexer_core.load("fleet.lexer")
    assert status == 0, said
    assert (merged.machine, merged.name) == ("this-machine", "this-machine toy run")
    assert merged.report["toy"].status == "ok"
    assert merged.report.settings["engines"] == ["toy"]
    assert "this-machine" in shown
    assert "lexer: this-machine: measured toy run" in said
    assert not (here / "fleet.lexer.parts").exists()
    assert not results_on_machine()


def test_an_engine_that_a_machine_lacks_costs_its_own_row(here):
    write_project(here, more='[[machines]]\nsettings = {engines = ["toy", "absent"]}')

    outcome = fleet.run("plan.toml", "fleet.lexer")

    (merged,) = outcome.merged
    assert merged.report["toy"].status == "ok"
    assert "not installed on this machine" in merged.report["absent"].error.reason
    assert not outcome.failed


def test_a_tuning_is_measured_as_well(here):
    runs = (
        f'[[runs]]\n{TARGET}vary = {{"toy.work" = [1, 4]}}\n'
        "settings = {max_seconds = 2, num_iterations = 40}"
    )
    write_project(here, runs=runs)

    (merged,) = fleet.run("plan.toml", "fleet.lexer").merged

    assert merged.report.tuning.space_size == 2
    assert merged.report.best.label == "toy[work=1]"


def test_a_process_that_an_unexpected_error_ends_shows_the_error(here, tmp_path):
    with pytest.raises(LexerError, match="ended with exit code 1") as raised:
        measure_in_own_process(
            {}, tmp_path / "a.lexer", folder=tmp_path / "absent", link=Machines()
        )

    assert raised.value.hint.splitlines()[-1].startswith("FileNotFoundError: ")


def test_a_target_that_is_not_there_costs_its_own_run(here, capsys):
    runs = f'[[runs]]\n{TARGET}[[runs]]\ntargets = ["absent.onnx"]\n'
    write_project(here, runs=runs)

    arguments = ("fleet", "run", "plan.toml", "--scheduler", "this-machine", "-o", "fleet.lexer")
    status, shown, _ = run(capsys, *arguments)

    assert status == 3
    assert "this-machine did not measure absent.onnx: file 'absent.onnx' does not exist" in shown
    assert "relative to the folder 'code'" in shown
    assert "absent.onnx" in run(capsys, "show", "fleet.lexer")[1]
    (failed,) = lexer_core.load("fleet.lexer").failed
    assert (failed.machine, failed.run) == ("this-machine", "absent.onnx")


def test_a_plan_that_measures_nothing_writes_nothing(here, capsys):
    write_project(here, runs='[[runs]]\ntargets = ["absent.onnx"]\n', code="")

    arguments = ("fleet", "run", "plan.toml", "--scheduler", "this-machine", "-o", "fleet.lexer")
    status, _, said = run(capsys, *arguments)

    assert status == 4
    assert 'write code = "FOLDER" in the plan' in said
    assert sorted(path.name for path in here.iterdir()) == ["plan.toml", "toy.onnx"]


def test_a_crash_while_measuring_costs_the_run(here):
    (here / "crash.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    write_project(here, runs='[[runs]]\ntargets = ["crash.py:Net"]\ninputs = ["float32[1]"]\n')

    (failed,) = fleet.run("plan.toml", "fleet.lexer").failed

    assert "was killed by SIGKILL" in failed.reason


# --- Several machines. ---


def test_what_was_measured_is_not_measured_again(here):
    plan = fleet.read_plan(write_project(here))
    execute_fleet(plan, Machines("a"), here / "fleet.lexer")
    again = Machines("a", "b")

    outcome = execute_fleet(plan, again, here / "fleet.lexer")

    assert [asked for asked in again.asked if asked[1] == "measure"] == [("b", "measure")]
    assert [each.machine for each in outcome.merged] == ["a", "b"]


def test_a_machine_that_is_lost_costs_its_runs_and_is_measured_next_time(here):
    plan = fleet.read_plan(write_project(here))

    def dies(machine, action):
        if (machine, action) == ("b", "measure"):
            return Reply(machine=machine, lost="its power was cut.")
        return None

    first = execute_fleet(plan, Machines("a", "b", fails=dies), here / "fleet.lexer")
    second = execute_fleet(plan, Machines("a", "b"), here / "fleet.lexer")

    assert [(each.machine, each.reason) for each in first.failed] == [("b", "its power was cut.")]
    assert "b did not measure toy run: its power was cut." in first.merged.to_text(width=100)
    assert [each.machine for each in second.merged] == ["a", "b"]
    assert not second.merged.failed


def test_a_result_that_was_not_fetched_is_fetched_next_time(here):
    plan = fleet.read_plan(write_project(here))

    def breaks(machine, action):
        lost = action == "hand_over"
        return Reply(machine=machine, lost="the cable was cut.") if lost else None

    execute_fleet(plan, Machines("a", fails=breaks), here / "fleet.lexer")
    (result,) = results_on_machine()
    finished = lexer_core.load(result)
    outcome = execute_fleet(plan, Machines("a"), here / "fleet.lexer")

    assert outcome.merged["a toy run"].report == finished
    assert not results_on_machine()


def test_an_interrupted_fleet_keeps_what_was_fetched_and_goes_on(here):
    plan = fleet.read_plan(write_project(here, runs=TWO_RUNS))

    def interrupts(machine, action):
        if action == "measure" and machines.asked.count((machine, action)) == 2:
            raise KeyboardInterrupt

    machines = Machines("a", fails=interrupts)
    first = execute_fleet(plan, machines, here / "fleet.lexer")
    second = execute_fleet(plan, Machines("a"), here / "fleet.lexer")

    assert first.is_interrupted
    assert [each.name for each in first.merged] == ["a toy.onnx"]
    assert [each.name for each in second.merged] == ["a toy.onnx", "a two"]


def test_runs_that_were_fetched_before_a_crash_are_merged_next_time(here):
    plan = fleet.read_plan(write_project(here, runs=TWO_RUNS))

    def crashes(machine, action):
        if action == "measure" and machines.asked.count((machine, action)) == 2:
            raise MemoryError

    machines = Machines("a", fails=crashes)
    with pytest.raises(MemoryError):
        execute_fleet(plan, machines, here / "fleet.lexer")
    assert not (here / "fleet.lexer").exists()
    again = Machines("a")
    outcome = execute_fleet(plan, again, here / "fleet.lexer")

    assert again.asked.count(("a", "measure")) == 1
    assert [each.name for each in outcome.merged] == ["a toy.onnx", "a two"]
    assert not (here / "fleet.lexer.parts").exists()


def test_a_file_with_runs_of_another_plan_is_not_added_to(here):
    execute_fleet(fleet.read_plan(write_project(here)), Machines("a"), here / "fleet.lexer")
    other = fleet.read_plan(write_project(here, more="[[machines]]\nsettings = {tie = 0.5}"))

    with pytest.raises(UsageError, match="has runs of another plan: a toy run"):
        execute_fleet(other, Machines("a"), here / "fleet.lexer")


def test_a_machine_of_the_same_name_and_other_hardware_is_measured(here, monkeypatch):
    plan = fleet.read_plan(write_project(here))
    execute_fleet(plan, Machines("a"), here / "fleet.lexer")

    class Other(Machines):
        def start(self, machine, action, arguments, content):
            super().start(machine, action, arguments, content)
            if action == "describe":
                answer = json.loads(self._came[-1].answer[1:])
                answer["environment"]["cpu_model"] = "Neoverse-N1"
                text = b"a" + json.dumps(answer).encode()
                self._came[-1] = Reply(machine=machine, answer=text)

    other = Other("a")
    execute_fleet(plan, other, here / "fleet.lexer")

    assert ("a", "measure") in other.asked


def test_kinds_of_machines_have_labels_counts_and_prices(here):
    write_project(
        here,
        more='[[machines]]\nlabels = ["big"]\ncount = 1\nprice = "$2/h"\nsettings = {tie = 0.3}\n'
        '[[machines]]\nlabels = ["small"]\n',
    )
    machines = Machines(
        ConnectedMachine(name="a", labels=["big"]),
        ConnectedMachine(name="b", labels=["big"]),
        ConnectedMachine(name="c", labels=["small", "other"]),
        ConnectedMachine(name="d"),
    )

    merged = execute_fleet(fleet.read_plan("plan.toml"), machines, here / "fleet.lexer").merged

    assert [(each.machine, each.report.settings.get("tie")) for each in merged] == [
        ("a", 0.3),
        ("c", None),
    ]
    assert [machine.price and machine.price.text for machine in merged.machines] == ["$2/h", None]


@pytest.mark.parametrize(
    ("machines", "more", "said"),
    [
        ((), "", "no machine connected within 0 s"),
        (
            (ConnectedMachine(name="a", labels=["gpus"]),),
            '[[machines]]\nlabels = ["gpu"]',
            "no machine has the label 'gpu', which 'gpu' needs.\n  Labels: gpus.   Did you",
        ),
        (("a",), "[[machines]]\nname = 'x'\ncount = 2", "'x' needs 2 machines"),
    ],
)
def test_machines_that_do_not_come_are_an_error_that_names_what_is_there(
    here, machines, more, said
):
    plan = fleet.read_plan(write_project(here, more=more))

    with pytest.raises(UsageError) as raised:
        execute_fleet(plan, Machines(*machines), here / "fleet.lexer", wait=0)

    assert said in str(raised.value)


def test_a_machine_that_comes_late_is_waited_for(here):
    plan = fleet.read_plan(write_project(here))
    machines = Machines()
    events = []

    def notify(event):
        events.append(event.state)
        if event.state == "waiting":
            machines._machines.append(ConnectedMachine(name="late"))

    outcome = execute_fleet(plan, machines, here / "fleet.lexer", wait=60, notify=notify)

    assert [each.machine for each in outcome.merged] == ["late"]
    assert events == ["waiting", "checking", "measuring", "fetching", "done", "finished"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "something else than expected"),
        (b"a[1]", "something else than expected"),
        (b'e{"message": "the disk is full", "hint": "Free it."}', "the disk is full\nFree it."),
        (b'a{"size_bytes": 3, "sha256": "00"}', "something else than expected"),
    ],
)
def test_an_answer_that_makes_no_sense_costs_the_run(here, answer, said):
    plan = fleet.read_plan(write_project(here))
    machines = Machines(
        "a",
        fails=lambda machine, action: (
            Reply(machine=machine, answer=answer) if action == "describe" else None
        ),
    )

    (failed,) = execute_fleet(plan, machines, here / "fleet.lexer").failed

    assert said in failed.reason


@pytest.mark.parametrize("content", [b"p", b"pgarbage", b'e{"message": "gone"}'])
def test_a_result_that_is_not_what_was_promised_is_refused(here, content):
    plan = fleet.read_plan(write_project(here))
    machines = Machines(
        "a",
        fails=lambda machine, action: (
            Reply(machine=machine, answer=content) if action == "hand_over" else None
        ),
    )

    (failed,) = execute_fleet(plan, machines, here / "fleet.lexer").failed

    assert failed.run == "toy run"
    assert not (here / "fleet.lexer").exists()


def test_a_machine_without_a_name_is_refused(here):
    plan = fleet.read_plan(write_project(here))

    (failed,) = execute_fleet(plan, Machines("tcp://10.0.0.1:80"), here / "fleet.lexer").failed

    assert "Start it with a name: dask worker" in failed.reason


# --- Addresses. ---


@pytest.fixture
def certificates(tmp_path):
    names = ("ca_file", "cert", "key")
    for name in names:
        (tmp_path / name).write_text("")
    return {f"tls_{name}": tmp_path / name for name in names}


def test_an_address_with_tls_needs_all_certificates(certificates):
    assert check_address("tls://head:8786", **certificates).tls.cert == certificates["tls_cert"]

    with pytest.raises(UsageError, match="needs --tls-key"):
        check_address("tls://head:8786", **{**certificates, "tls_key": None})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"])
def test_plain_tcp_is_for_the_loopback(address):
    assert check_address(address).tls is None


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://head:1", "tcp://localhost.x:1"])
def test_plain_tcp_to_another_machine_is_refused_unless_asked_for(address):
    with pytest.raises(UsageError, match="can run any code"):
        check_address(address)

    assert check_address(address, insecure=True).url == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("head:8786", "is not the address of a scheduler"),
        ("tls://", "is not the address of a scheduler"),
        ("tcp://[::1", "is not the address of a scheduler"),
        ("ucx://head:1", "the protocol 'ucx' is not supported"),
    ],
)
def test_what_is_not_an_address_is_refused(address, said):
    with pytest.raises(UsageError, match=said):
        check_address(address, insecure=True)


def test_certificates_for_plain_tcp_are_a_mistake(certificates):
    with pytest.raises(UsageError, match="Write tls://127"):
        check_address("tcp://127.0.0.1:1", **certificates)


def test_without_dask_the_error_has_the_command_that_installs_it(here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    write_project(here)

    address = ("--scheduler", "tcp://127.0.0.1:8786")
    status, _, error = run(capsys, "fleet", "run", "plan.toml", *address, "-o", "fleet.lexer")

    assert status == 2
    assert "pip install 'lexer-core[fleet]'" in error


# --- The output and the display. ---


@pytest.mark.parametrize("output", ["fleet.csv", "absent/fleet.lexer"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(here, output):
    machines = Machines("a")

    with pytest.raises(UsageError):
        execute_fleet(fleet.read_plan(write_project(here)), machines, here / output)

    assert not machines.asked


def test_two_commands_do_not_write_one_file(here):
    plan = fleet.read_plan(write_project(here))

    def starts_another(machine, action):
        with pytest.raises(UsageError, match="another command writes"):
            execute_fleet(plan, Machines("a"), here / "fleet.lexer")

    outcome = execute_fleet(plan, Machines("a", fails=starts_another), here / "fleet.lexer")

    assert len(outcome.merged) == 1


def test_a_single_run_is_not_replaced(here):
    execute_fleet(fleet.read_plan(write_project(here)), Machines("a"), here / "fleet.lexer")
    lexer_core.load("fleet.lexer")["a toy run"].report.save("run.lexer")

    with pytest.raises(LexerError, match="is a single run"):
        execute_fleet(fleet.read_plan("plan.toml"), Machines("a"), here / "run.lexer")


def test_without_a_terminal_a_line_is_written_when_a_run_begins_or_ends(capsys):
    with FleetDisplay() as display:
        for state, text in [
            ("checking", ""),
            ("measuring", ""),
            ("measuring", "24 rounds"),
            ("failed", "the disk\x1b[0m is full\nhint"),
        ]:
            display(fleet.FleetEvent(machine="a", state=state, run="net", text=text))

    assert capsys.readouterr().err.splitlines() == [
        "lexer: a: measuring net",
        "lexer: a: did not measure net: the disk[0m is full",
    ]
