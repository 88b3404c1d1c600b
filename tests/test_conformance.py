"""Does the conformance kit pass what is right, and find what is wrong?"""

from __future__ import annotations

import ast
import gc
import locale
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conformance_mutants import MUTANTS, REFERENCE, RUN, STATEFUL, ModelZooEngine
from fake_engines import FakeSite
from sly_mutants import SHARED_MEMORY, SLY_MUTANTS

import lexer_core.testing as kit
from lexer_core.hookspecs import CONTRACT_VERSION
from lexer_core.testing.check_table import CHECKS, SUITES, checks_of
from lexer_core.testing.engine_fixture import EngineFixture
from lexer_core.testing.model_zoo import CAPABILITIES, MODEL_ZOO, MODELS
from lexer_core.testing.running import run_check

WRONG = (*MUTANTS, *SLY_MUTANTS)
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
VARIED = [case for case in MODEL_ZOO if case.name != "zero_size"]  # there is but one such tensor
NEEDS_A_SOURCE = {
    check.name for suite in SUITES if suite.title == "Export" for check in suite.checks
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with FakeSite(tmp_path_factory.mktemp("site")).on_path() as site:
        site.add_module("runtime_of_nobody", "")
        site.add_engine("right", REFERENCE)
        site.add_engine("stateful", STATEFUL)
        for mutant in WRONG:
            site.add_engine(mutant.name, mutant.text, value=mutant.entry)
        before = dict(os.environ)
        yield site
        os.environ.clear()
        os.environ.update(before)  # one of the engines sets a variable


def fixture_of(name, folder, *, isolated=False, **declared):
    declared = {"engine_name": name, **declared}
    return EngineFixture(
        declared=type("Declared", (ModelZooEngine,), declared), folder=folder, isolated=isolated
    )


@pytest.fixture(scope="module")
def right(site, tmp_path_factory):
    return fixture_of("right", tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="module")
def stateful(site, tmp_path_factory):
    return fixture_of("stateful", tmp_path_factory.mktemp("stateful"))


def reason_to_skip(check):
    """Why a right engine without limits and state does not have this check."""
    if check == "declared_limits_are_refused":
        return "no limit is declared"
    if check == "device_times_are_measured":
        return "the engine reports no times of a device"
    if check == "compile_time_is_plausible":
        return "the session reports no phases"
    if check == "threads_are_as_configured":
        return "calls use hardly any CPU time"
    if check == "profiles_name_nodes_of_the_model":
        return "the nodes of the format zoo are not known"
    if check == "resets_are_left_out":
        return "the engine keeps no state between calls (it has no lexer_reset_state)"
    if check in NEEDS_A_SOURCE and find_spec("torch") is None and find_spec("onnx") is None:
        return "neither torch nor onnx is installed, so there is nothing to export"
    if check == "exports_leave_the_model_alone" and find_spec("torch") is None:
        return "torch is not installed, so there is no module to export"
    return ""


@pytest.fixture
def restored_process():
    """Undo what a wrong engine changes in this process."""
    environment, handler, errors = dict(os.environ), signal.getsignal(signal.SIGTERM), np.geterr()
    language, mask = locale.setlocale(locale.LC_ALL), os.umask(0o022)
    os.umask(mask)
    dot = np.dot
    with warnings.catch_warnings():
        yield
    np.dot = dot
    for block in SHARED_MEMORY.glob("right-*"):
        block.unlink()
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)
    np.seterr(**errors)
    gc.enable()
    locale.setlocale(locale.LC_ALL, language)
    os.umask(mask)
    logging.disable(logging.NOTSET)


# -- right and wrong engines ---------------------------------------------------------


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_engine_passes(name, right):
    result = run_check(CHECKS[name], right)

    expected = reason_to_skip(name)
    assert (result.status, result.reason) == ("skipped" if expected else "passed", expected)


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_engine_that_keeps_state_passes(name, stateful):
    result = run_check(CHECKS[name], stateful)

    assert result.status != "failed", result
    if name == "resets_are_left_out":
        assert result.status == "passed"
    if name == "loops_are_divided_by":
        assert result.reason == "the engine keeps state between calls, so every sample is one call"


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, marks=pytest.mark.extras if mutant.needs else (), id=mutant.name)
        for mutant in WRONG
    ],
)
def test_a_wrong_engine_fails_by_the_check_that_is_there_for_it(
    mutant, site, tmp_path, monkeypatch, restored_process
):
    monkeypatch.chdir(tmp_path)
    missing = [package for package in mutant.needs if find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    fixture = fixture_of(mutant.name, tmp_path, **mutant.declared)

    result = run_check(CHECKS[mutant.check], fixture)

    assert result.status == "failed", result
    assert result.reason


def test_every_check_has_a_wrong_engine_that_it_finds():
    names = [mutant.name for mutant in WRONG]

    assert {mutant.check for mutant in WRONG} == set(CHECKS)
    assert len(set(names)) == len(names) >= 40


# -- declarations --------------------------------------------------------------------


def test_what_is_declared_impossible_is_skipped_with_its_reason(site, tmp_path):
    fixture = fixture_of("right", tmp_path, cannot={"float16": "there is no kernel"})

    result = run_check(CHECKS["outputs_float16"], fixture)

    assert result.status == "skipped"
    assert result.reason == "declared: cannot float16 (there is no kernel)"


def test_every_capability_turns_a_check_off(site, tmp_path):
    for number, capability in enumerate(CAPABILITIES):
        fixture = fixture_of("right", tmp_path / str(number), cannot={capability: "for a reason"})
        name = capability if capability == "two_sessions" else f"outputs_{capability}"

        result = run_check(CHECKS[name.replace("two_sessions", "two_sessions_at_once")], fixture)

        assert result.status == "skipped", capability


def test_what_is_not_supported_and_not_declared_fails_and_says_how_to_declare_it(site, tmp_path):
    site.add_engine(
        "narrow",
        REFERENCE.replace(
            '        self.compute = programs()[facts["model"]]\n',
            '        self.compute = programs()[facts["model"]]\n'
            '        if facts["model"] == "int64":\n'
            '            raise UnsupportedError("there is no int64")\n',
        ),
    )
    undeclared = fixture_of("narrow", tmp_path / "a")
    declared = fixture_of("narrow", tmp_path / "b", cannot={"int64": "there is none"})

    result = run_check(CHECKS["outputs_int64"], undeclared)

    assert result.status == "failed"
    assert "cannot = {'int64': why}" in result.hint
    assert run_check(CHECKS["declared_limits_are_refused"], declared).status == "passed"

    undeclared.is_declared = False
    assert run_check(CHECKS["outputs_int64"], undeclared).reason == "refused: there is no int64"


@pytest.mark.skipif(
    find_spec("torch") is None and find_spec("onnx") is None, reason="there is nothing to export"
)
def test_a_limit_that_the_engines_own_export_refuses_can_be_declared(site, tmp_path):
    site.add_engine(
        "refuses_in_export",
        REFERENCE.replace(
            "    outputs = list(source.output_names)\n",
            "    outputs = list(source.output_names)\n"
            '    if name == "float16":\n'
            '        raise UnsupportedError("there is no float16")\n',
        ),
    )
    own_export = classmethod(lambda *_: None)
    undeclared = fixture_of("refuses_in_export", tmp_path / "a", make_model=own_export)
    declared = fixture_of(
        "refuses_in_export",
        tmp_path / "b",
        make_model=own_export,
        cannot={"float16": "there is no kernel"},
    )

    assert "cannot = {'float16': why}" in run_check(CHECKS["outputs_float16"], undeclared).hint
    assert run_check(CHECKS["declared_limits_are_refused"], declared).status == "passed"


def test_details_show_the_frames_of_the_plugin_only(site, tmp_path):
    site.add_engine("raises", REFERENCE.replace(RUN, "        raise ValueError('no')\n"))

    details = run_check(CHECKS["calls_repeat"], fixture_of("raises", tmp_path)).details

    assert "in run" in details
    assert "ValueError: no" in details
    assert "pluggy" not in details
    assert details.count('File "') == 2  # the plugin's, and the core's of the error about it


def test_a_model_that_nobody_makes_is_a_failure_and_no_skip(site, tmp_path):
    fixture = fixture_of("right", tmp_path, make_model=classmethod(lambda *_: None))
    result = run_check(CHECKS["outputs_one_input"], fixture)

    if find_spec("torch") is None and find_spec("onnx") is None:
        assert result.status == "failed"
        assert "the kit cannot create model 'one_input' in format zoo" in result.reason
        assert "make_model" in result.hint
    else:  # the engine's own export makes it
        assert result.status == "passed", result


def test_an_option_whose_effect_nobody_can_see_has_to_be_declared(site, tmp_path):
    check = CHECKS["options_take_effect"]
    silent = fixture_of("right", tmp_path / "a", option_effects={})
    explained = fixture_of(
        "right", tmp_path / "b", option_effects={"layout": "not shown", "tile": "nor this"}
    )
    undeclared = fixture_of("right", tmp_path / "c", option_effects={})
    undeclared.is_declared = False

    assert run_check(check, silent).status == "failed"
    assert "option_effects" in run_check(check, silent).hint
    assert run_check(check, explained).reason == (
        "not checked: layout (not shown); tile (nor this)"
    )
    assert "its effect is not declared" in run_check(check, undeclared).reason


def test_an_engine_that_cannot_be_loaded_fails_once_and_the_rest_is_skipped(site, tmp_path):
    fixture = fixture_of("raises_at_import", tmp_path)

    results = {name: run_check(check, fixture) for name, check in CHECKS.items()}

    failed = [name for name, result in results.items() if result.status == "failed"]
    assert failed == ["entry_point_resolves", "engine_info_is_honest"]
    assert "the runtime is missing" in results["entry_point_resolves"].reason
    assert "the engine is broken" in results["calls_repeat"].reason


# -- the models ----------------------------------------------------------------------


@pytest.mark.parametrize("case", MODELS.values(), ids=lambda case: case.name)
def test_the_reference_of_a_model_keeps_its_specification(case):
    trials = case.trials()

    assert len(trials) >= 3
    for arrays in trials:
        outputs = case.reference(arrays)
        assert list(outputs) == [spec.name for spec in case.outputs]
        for spec in case.outputs:
            array = outputs[spec.name]
            assert isinstance(array, np.ndarray)
            assert array.dtype.name == spec.dtype
            assert len(array.shape) == len(spec.shape)
            assert all(
                isinstance(wanted, str) or wanted == got
                for wanted, got in zip(spec.shape, array.shape, strict=True)
            )


@pytest.mark.parametrize("case", VARIED, ids=lambda case: case.name)
def test_the_calls_of_a_model_have_different_outputs_and_the_same_each_time(case):
    first, again = (
        [
            tuple(array.tobytes() for array in case.reference(arrays).values())
            for arrays in case.trials()
        ]
        for _ in range(2)
    )

    assert len(set(first)) > 1
    assert first == again


def test_every_capability_is_about_a_model_or_about_sessions():
    assert set(CAPABILITIES) == {case.needs for case in MODEL_ZOO if case.needs} | {"two_sessions"}


# -- the table and the package ---------------------------------------------------------


def test_the_kit_is_versioned_with_the_contract():
    assert re.fullmatch(rf"{CONTRACT_VERSION}\.\d+", kit.KIT_VERSION)


def test_basic_is_part_of_full():
    basic, full = checks_of("basic"), checks_of("full")

    assert set(basic) < set(full)
    assert list(full) == list(CHECKS.values())


def test_the_page_shows_the_table_of_checks_and_capabilities():
    sections = []
    for suite in SUITES:
        head = f"### {suite.title}\n\n| check | level | what it protects |\n|---|---|---|\n"
        rows = [f"| `{check.name}` | {check.level} | {check.protects} |" for check in suite.checks]
        sections.append(head + "\n".join(rows))
    meanings = [f"| `{name}` | {meaning} |" for name, meaning in CAPABILITIES.items()]

    assert "\n\n".join(sections) in PAGE
    assert "\n".join(["| capability | what is meant |", "|---|---|", *meanings]) in PAGE


def test_every_public_name_of_the_kit_resolves():
    for name in kit.__all__:
        assert getattr(kit, name) is not None
    assert set(kit.__all__) <= set(dir(kit))
    with pytest.raises(AttributeError, match="nonsense"):
        kit.nonsense  # noqa: B018 - the access is the test


def test_only_the_classes_for_pytest_import_pytest():
    importing = sorted(
        path.name
        for path in (ROOT / "lexer_core").rglob("*.py")
        if path.parent.name != "pytest_plugin"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and node.names[0].name == "pytest")
        or (isinstance(node, ast.ImportFrom) and node.module == "pytest")
    )

    assert importing == ["onnx_engine_tests.py", "pytest_class.py"]


def test_the_kit_is_not_loaded_into_every_run_of_pytest():
    code = (
        "import sys, lexer_core.testing, lexer_core.testing.declarations\n"
        "sys.exit(any(name in sys.modules for name in ('pytest', 'numpy', 'torch', 'onnx')))"
    )
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "pytest11" not in pyproject
