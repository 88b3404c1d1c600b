"""Is every hook documented and tested, and does its example work?"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from textwrap import dedent

import pluggy
import pytest
from test_engine_facade import ASK

from lexer_core import hookspecs
from lexer_core.engines.hook_checks import HOOKS, REQUIRED_HOOKS, read_hooks
from lexer_core.engines.registration import register_hooks

SPECS = {
    name: value
    for name, value in vars(hookspecs).items()
    if name.startswith("lexer_") and callable(value)
}
SILENT = {"lexer_reset_state", "lexer_synchronize"}
"""Hooks that return nothing."""


def sections_of(spec):
    """Split a docstring at its underlined headings; the part before them is ''."""
    lines = inspect.getdoc(spec).splitlines()
    sections, current = {"": []}, ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            current = line
            sections[current] = []
        elif set(line) != {"-"} or not line:
            sections[current].append(line)
    return {heading: "\n".join(body).strip() for heading, body in sections.items()}


def example_of(spec):
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", sections_of(spec)["Examples"].rstrip() + "\n")
    assert len(blocks) == 1
    return dedent(blocks[0])


def module_of(source, name="example"):
    module = type(sys)(name)
    exec(compile(source, f"<example of {name}>", "exec"), vars(module))
    return module


def test_the_checks_know_every_hook_and_its_arguments():
    assert {name: tuple(inspect.signature(spec).parameters) for name, spec in SPECS.items()} == (
        dict(HOOKS)
    )
    assert set(REQUIRED_HOOKS) <= set(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_a_hook_is_firstresult_and_takes_plain_arguments(name):
    spec = SPECS[name]

    assert spec.lexer_spec["firstresult"]
    for parameter in inspect.signature(spec).parameters.values():
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is parameter.empty


@pytest.mark.parametrize("name", SPECS)
def test_a_hook_is_documented_in_the_fixed_shape(name):
    spec = SPECS[name]
    sections = sections_of(spec)
    parameters = inspect.signature(spec).parameters

    summary, _, rest = sections[""].partition("\n")
    assert summary.endswith(".")
    assert rest.startswith("\n")
    assert rest.strip()
    assert ("Returns" in sections) == (name not in SILENT)
    if parameters:
        assert re.findall(r"^\w+$", sections["Parameters"], re.MULTILINE) == list(parameters)
    notes = sections["Notes"].replace("\n", " ")
    assert re.search(r"May import the runtime: (yes|no)\.", notes)
    assert re.search(r"Added in contract \d+\.", notes)
    assert notes.startswith("Required.") == (name in REQUIRED_HOOKS)
    assert notes.startswith("Default: ") == (name not in REQUIRED_HOOKS)
    assert example_of(spec)


@pytest.mark.parametrize("name", SPECS)
def test_the_example_of_a_hook_runs_and_registers(name):
    module = module_of(example_of(SPECS[name]), name)
    hooks = read_hooks(module)

    assert name in hooks.implementations
    assert hooks.unknown == ()
    # An example shows one hook, so the required ones may be missing; nothing else may be wrong.
    assert all("is missing" in problem for problem in hooks.problems)
    relay = register_hooks("example", hooks)
    assert isinstance(getattr(relay, name), pluggy.HookCaller)


@pytest.mark.parametrize("name", SPECS)
def test_the_example_of_a_hook_imports_a_runtime_only_inside_its_functions(name):
    tree = ast.parse(example_of(SPECS[name]))
    imported = {
        alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module.partition(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom)}

    assert imported <= {"lexer_core"}


def test_the_examples_together_are_one_sound_plugin():
    # Those of a stateful decoder and of a CUDA device belong to other engines.
    names = [name for name in SPECS if name not in SILENT]

    hooks = read_hooks(module_of("\n".join(example_of(SPECS[name]) for name in names)))

    assert hooks.problems == ()
    assert set(hooks.implementations) == set(names)
    assert hooks.implementations["lexer_engine_info"].function().display_name == "ONNX reference"


def test_every_hook_is_asked_through_the_facade():
    # Each entry of ASK is a test that an exception of the hook names engine and hook. The
    # registry asks for the info, and a call carries the reset: both have their own tests.
    assert set(SPECS) - set(ASK) == {"lexer_engine_info", "lexer_reset_state"}
