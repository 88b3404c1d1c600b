"""How does an author run the conformance kit: ``lexer engines check``, and pytest?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from conformance_mutants import REFERENCE
from fake_engines import FakeSite

from lexer_core.cli import main as cli
from lexer_core.testing import KIT_VERSION
from lexer_core.testing.check_table import CHECKS, checks_of

DECLARATIONS = "conformance_mutants:ModelZooEngine"
RUN = "        return self.compute(**placed)\n"
CREATE = "    return Session(exported.path, config)\n"
REFUSE_INT64 = (
    "    if exported.path.stem == 'int64':\n        raise UnsupportedError('there is no int64')\n"
)


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.fixture
def check(capfd):
    """Run ``lexer engines check`` in this process: status, standard output, standard error."""

    def check(*arguments, declarations=DECLARATIONS):
        said = ("--declarations", declarations) if declarations else ()
        status = cli.run(["engines", "check", *arguments, *said])
        return status, *capfd.readouterr()

    return check


def rows_of(out):
    """Read the table: status by check."""
    words = [line.split() for line in out.splitlines() if line.startswith("  ")]
    return {row[0]: row[1] for row in words if row[0] in CHECKS and len(row) > 1}


# -- lexer engines check -------------------------------------------------------------


def test_a_right_engine_passes_and_the_table_has_every_check(site, check):
    site.add_engine("right", REFERENCE, version="2.1")

    status, out, err = check("right")

    rows = rows_of(out)
    assert (status, err) == (0, "")
    assert list(rows) == list(CHECKS)
    assert "failed" not in rows.values()
    assert out.startswith(f"Conformance kit {KIT_VERSION}: lexer-right 2.1, level full\n")
    assert "resets_are_left_out" in out
    assert "the engine keeps no state between calls" in out
    assert f" {list(rows.values()).count('skipped')} skipped" in out.splitlines()[-1]


def test_the_level_basic_leaves_out_the_rest(site, check):
    site.add_engine("right", REFERENCE)

    status, out, _ = check("right", "--level", "basic")

    assert status == 0
    assert list(rows_of(out)) == [each.name for each in checks_of("basic")]


def test_a_failure_says_what_was_seen_what_to_do_and_what_it_protects(site, check):
    site.add_engine("widening", REFERENCE.replace("array.copy() for", "array.astype(float) for"))

    status, out, _ = check("widening", "--level", "basic")

    failure = out.split("\noutputs_one_input failed: ")[1].split("\n\n")[0]
    assert status == 1
    assert rows_of(out)["outputs_one_input"] == "failed"
    assert "output 'y' is float64 instead of float32" in failure
    assert f"It protects: {CHECKS['outputs_one_input'].protects}" in failure


def test_a_reason_that_many_checks_share_is_told_once(site, check):
    site.add_engine("unready", REFERENCE.replace(CREATE, "    raise ValueError('not yet')\n"))

    status, out, _ = check("unready", "--level", "basic")

    failed = [name for name, result in rows_of(out).items() if result == "failed"]
    assert status == 1
    assert len(failed) > 10
    told_at_length = [name for name in failed if f"\n{name} failed: " in out]
    others = next(line for line in out.splitlines() if line.startswith("  Same reason: "))
    assert len(told_at_length) < 4
    assert all(name in others for name in set(failed) - set(told_at_length))


def test_the_json_has_every_check_with_its_result(site, check):
    site.add_engine("zeros", REFERENCE.replace(RUN, RUN.replace("self", "0 * self")))

    status, out, _ = check("zeros", "--level", "basic", "--json")

    document = json.loads(out)
    by_name = {each["name"]: each for each in document["checks"]}
    assert status == 1
    assert document["schema_version"] == 1
    assert document["kit"] == KIT_VERSION
    assert (document["engine"], document["level"]) == ("zeros", "basic")
    assert list(by_name) == [each.name for each in checks_of("basic")]
    assert document["failed"] == sum(each["status"] == "failed" for each in by_name.values()) > 0
    assert document["passed"] + document["failed"] + document["skipped"] == len(by_name)
    assert set(by_name["calls_repeat"]) == {
        "name", "suite", "level", "protects", "status", "reason", "hint", "details", "seconds",
    }  # fmt: skip
    assert by_name["calls_repeat"]["suite"] == "Sessions"


def test_a_crash_of_the_engine_is_one_failed_check_and_not_the_end(site, check):
    crash = "        if self.model == 'several_inputs':\n            os.kill(os.getpid(), 11)\n"
    name = '        self.inputs = facts["inputs"]\n'
    source = REFERENCE.replace("import json\n", "import json\nimport os\n").replace(
        name, f'{name}        self.model = facts["model"]\n'
    )
    site.add_engine("fragile", source.replace(RUN, crash + RUN))

    status, out, _ = check("fragile", "--level", "basic")

    rows = rows_of(out)
    assert status == 1
    assert list(rows) == [each.name for each in checks_of("basic")]
    assert [name for name in rows if rows[name] == "failed"] == ["outputs_several_inputs"]
    assert "SIGSEGV" in out


def test_a_check_that_hangs_is_given_up(site, check):
    hang = "        if 'scale' in placed:\n            time.sleep(600)\n"
    site.add_engine("hanging", REFERENCE.replace(RUN, hang + RUN))

    status, out, _ = check("hanging", "--level", "basic", "--timeout", "4")

    rows = rows_of(out)
    assert status == 1
    assert [name for name in rows if rows[name] == "failed"] == ["outputs_keyword_inputs"]
    assert "no answer within 4 s" in out


def test_what_the_engine_prints_is_not_between_the_results(site, check):
    site.add_engine("loud", REFERENCE.replace(RUN, f"        print('hello')\n{RUN}"))

    _, out, _ = check("loud", "--level", "basic", "--json")

    assert json.loads(out)["engine"] == "loud"


def test_an_engine_that_is_not_installed_is_bad_usage(site, check):
    site.add_engine("right", REFERENCE)

    status, _, err = check("rihgt")

    assert status == 2
    assert "engine 'rihgt' is not installed" in err
    assert "Did you mean 'right'?" in err


def test_declarations_that_cannot_be_had_are_bad_usage(site, check):
    site.add_engine("right", REFERENCE)

    for text, problem in (
        ("nowhere", "does not name a class"),
        ("no_such_module:Engine", "cannot be imported"),
        ("conformance_mutants:Mutant", "is not a class that declares an engine"),
    ):
        status, _, err = check("right", declarations=text)
        assert status == 2, text
        assert problem in err


def test_a_device_that_is_not_there_fails_by_the_check_of_devices(site, check):
    site.add_engine("right", REFERENCE)

    status, out, _ = check("right", "--level", "basic", "--device", "cuda:3")

    assert status == 1
    assert rows_of(out)["devices_are_listed"] == "failed"
    assert "has no device 'cuda:3' on this machine" in out


def test_a_plugin_ships_its_declarations(site, check):
    shipped = "declarations='conformance_mutants:ModelZooEngine', display_name="
    site.add_engine("shipping", REFERENCE.replace("display_name=", shipped))

    status, out, _ = check("shipping", "--level", "basic", declarations="")

    assert status == 0
    assert "failed" not in rows_of(out).values()


# -- pytest --------------------------------------------------------------------------


@pytest.fixture
def run_pytest(site, tmp_path):
    """Run one file of tests in another process: the result of each test, and all output."""

    def run_pytest(body, *arguments):
        file = tmp_path / "test_mine.py"
        head = (
            "import pytest\n"
            "from conformance_mutants import ModelZooEngine\n"
            "from lexer_core.testing import EngineConformance\n\n"
        )
        file.write_text(head + dedent(body), encoding="utf-8")
        environment = site.environment()
        environment["PYTHONPATH"] += f":{Path(__file__).parent}"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-v",
                "-rA",
                "-p",
                "no:cacheprovider",
                str(file),
                *arguments,
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        results = {}
        for line in done.stdout.splitlines():
            node, _, rest = line.partition(" ")
            if "::test_" in node and rest.split():
                results[node.rpartition("::test_")[2]] = rest.split()[0]
        return results, done.stdout

    return run_pytest


def test_the_class_has_a_test_for_each_check_and_a_right_engine_passes(site, run_pytest):
    site.add_engine("right", REFERENCE)

    results, out = run_pytest("""
        class TestRight(ModelZooEngine, EngineConformance):
            engine_name = "right"
    """)

    assert list(results) == list(CHECKS), out
    assert set(results.values()) == {"PASSED", "SKIPPED"}
    assert "the engine keeps no state between calls" in out


def test_the_level_and_what_is_declared_turn_tests_off_by_reason(site, run_pytest):
    site.add_engine("right", REFERENCE.replace(CREATE, REFUSE_INT64 + CREATE))

    results, out = run_pytest("""
        class TestRight(ModelZooEngine, EngineConformance):
            engine_name = "right"
            level = "basic"
            cannot = {"several_inputs": "one is enough"}
    """)

    assert results["outputs_several_inputs"] == "SKIPPED"
    assert "declared: cannot several_inputs (one is enough)" in out
    assert results["outputs_int64"] == "SKIPPED"
    assert "level full; this class is checked at level basic" in out
    assert "FAILED" not in results.values()


def test_overriding_a_test_is_a_failure_unless_it_is_expected_to_fail_for_a_reason(
    site, run_pytest
):
    site.add_engine("right", REFERENCE.replace(CREATE, REFUSE_INT64 + CREATE))

    body = """
        class Quiet:
            def test_calls_repeat(self):
                pass


        class TestRight(Quiet, ModelZooEngine, EngineConformance):
            engine_name = "right"
            test_outputs_one_input = None

            def test_outputs_float16(self):
                pass

            @pytest.mark.skip(reason="no time")
            def test_outputs_bool(self):
                pass

            @pytest.mark.xfail(reason=" ")
            def test_outputs_scalar(self):
                super().test_outputs_scalar()

            @pytest.mark.xfail(reason="the runtime has no int64")
            def test_outputs_int64(self):
                super().test_outputs_int64()
    """
    results, out = run_pytest(body, "-k", "calls_repeat or outputs")

    refused = {"calls_repeat", "outputs_one_input", "outputs_float16", "outputs_bool"}
    refused.add("outputs_scalar")
    assert {name for name, result in results.items() if result == "FAILED"} == refused
    assert results["outputs_int64"] == "XFAIL"
    assert "TestRight overrides test_outputs_float16." in out


def test_a_failure_in_pytest_says_what_the_command_says(site, run_pytest):
    site.add_engine("widening", REFERENCE.replace("array.copy() for", "array.astype(float) for"))

    body = """
        class TestWidening(ModelZooEngine, EngineConformance):
            engine_name = "widening"
            level = "basic"
    """
    results, out = run_pytest(body, "-k", "outputs_one_input")

    assert results["outputs_one_input"] == "FAILED"
    assert "output 'y' is float64 instead of float32" in out
    assert "It protects: A linear layer" in out
