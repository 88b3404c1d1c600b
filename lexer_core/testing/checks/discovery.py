"""Is the engine found, and does it describe itself correctly?"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from lexer_core.engines.entry_points import find_entry_points
from lexer_core.engines.hook_checks import read_hooks
from lexer_core.engines.info_checks import wrong_in_info
from lexer_core.engines.installed import find_distributions
from lexer_core.engines.registry import EngineState
from lexer_core.errors import LexerError, UnsupportedError
from lexer_core.hookspecs import CONTRACT_VERSION, ENTRY_POINT_GROUP
from lexer_core.testing.expectations import expect_outputs_or_caveat
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Discovery")

_HEAVY = frozenset(
    {"numpy", "scipy", "pandas", "torch", "onnx", "onnxruntime", "openvino", "tensorflow", "jax"}
)
"""What a plugin's module must not import, even if it is not the engine's runtime."""


@SUITE.check("basic", "The engine is found by its name, and only one package provides it.")
def entry_point_resolves(fixture: EngineFixture) -> None:
    """Find the entry point of this contract and import its module."""
    _module(fixture)


@SUITE.check("basic", "The core calls every hook of the plugin, with the arguments that it takes.")
def hooks_are_sound(fixture: EngineFixture) -> None:
    """Compare the plugin's functions with the hooks of this contract."""
    try:
        module = _module(fixture)
    except CheckFailed as error:
        raise Skip("the entry point does not resolve to a module") from error
    hooks = read_hooks(module)
    if hooks.unknown:
        raise CheckFailed(
            f"it implements {', '.join(hooks.unknown)}, which does not exist in contract "
            f"{CONTRACT_VERSION}.",
            "If it is a hook of a newer contract, install a newer lexer-core; otherwise remove "
            "@hookimpl.",
        )
    if hooks.problems:
        raise CheckFailed("; ".join(hooks.problems) + ".", f"Module: {module.__name__}.")


@SUITE.check("basic", "Results and lists describe the engine correctly.")
def engine_info_is_honest(fixture: EngineFixture) -> None:
    """Compare two descriptions, find the runtime, and check that a call imports it."""
    listing = fixture.listing
    if listing.state is EngineState.UNAVAILABLE:
        raise CheckFailed(f"the engine cannot be used: {listing.reason}.", listing.remedy)
    if listing.state is not EngineState.READY:
        raise CheckFailed(f"the engine is {listing.state}: {listing.reason}.", listing.remedy)
    info = fixture.engine.info
    module = _module(fixture)
    again = read_hooks(module).implementations["lexer_engine_info"].function()
    for problem in wrong_in_info(again):
        raise CheckFailed(f"in the second call of lexer_engine_info, {problem}.")
    if again != info:
        raise CheckFailed(
            "the second call of lexer_engine_info returns another description than the first.",
            "Return the same description each time: the core calls the hook once per process.",
        )
    if info.runtime_modules and listing.version is None:
        raise CheckFailed(
            f"none of runtime_distributions is installed: {', '.join(info.runtime_distributions)}.",
            "Name the distribution that provides the runtime: every row shows its version.",
        )
    if not info.runtime_modules:
        return  # an engine without a runtime
    with fixture.session() as opened:
        opened.answer(opened.case.trials()[0])
    unused = [name for name in info.runtime_modules if name not in sys.modules]
    if unused:
        raise CheckFailed(
            f"runtime_modules names {', '.join(unused)}, which a call does not import.",
            "Name only modules that the engine needs: without them, it is unavailable.",
        )


@SUITE.check("basic", "`lexer engines list` is quick and works even if a runtime is broken.")
def listing_imports_no_runtime(fixture: EngineFixture) -> None:
    """List the engine in a new process and check what was imported."""
    forbidden = _HEAVY | set(fixture.engine.info.runtime_modules)
    found = sorted(forbidden & fixture.fresh_listing.imported)
    if found:
        raise CheckFailed(
            f"listing the engine imports {', '.join(found)}.",
            "Import it inside the hooks that use it: the plugin's module is imported whenever "
            "engines are listed.",
        )


@SUITE.check("full", "Installing an engine has no effect on programs that do not use it.")
def listing_leaves_no_trace(fixture: EngineFixture) -> None:
    """List the engine in a new process and compare its state before and after."""
    fixture.require_ready()
    facts = fixture.fresh_listing
    if facts.changes:
        raise CheckFailed(
            f"after listing the engine, {'; '.join(facts.changes)}.",
            "A plugin's module must have no side effects: move them to lexer_create_session.",
        )
    if facts.printed:
        first = facts.printed.splitlines()[0]
        raise CheckFailed(
            f"listing the engine prints {first!r}.", "Print nothing: programs read the list."
        )


@SUITE.check("basic", "Declarations have a reason and refer to existing capabilities and options.")
def declarations_are_sound(fixture: EngineFixture) -> None:
    """Compare the declarations with the existing capabilities and options."""
    fixture.misdeclared()


@SUITE.check("full", "A model that the engine cannot run is refused instead of run wrongly.")
def declared_limits_are_refused(fixture: EngineFixture) -> None:
    """Try everything that the engine is declared unable to do."""
    limits = [name for name in fixture.declared.cannot if name in MODELS or name == _TWO]
    if not limits:
        raise Skip("no limit is declared")
    fixture.require_ready()
    for name in limits:
        try:
            _try(fixture, name)
        except UnsupportedError:
            continue
        except LexerError as error:
            raise CheckFailed(
                f"declared: cannot {name}; trying it raises {type(error).__name__}: {error}",
                "Raise UnsupportedError: the row is then unsupported instead of failed.",
            ) from error
        raise CheckFailed(
            f"declared: cannot {name}; trying it succeeds.",
            "Remove the declaration, or raise UnsupportedError if the result is wrong.",
        )


_TWO = "two_sessions"


def _try(fixture: EngineFixture, capability: str) -> None:
    if capability == _TWO:
        with fixture.session(), fixture.session():
            return
    case = MODELS[capability]
    with fixture.session(capability) as opened:
        for arrays in case.trials():
            answer = opened.answer(arrays)
            if opened.caveat:
                expect_outputs_or_caveat(
                    answer, case.reference(arrays), caveat=opened.caveat, after="in a call"
                )


def _module(fixture: EngineFixture) -> ModuleType:
    points = [
        point for point in find_entry_points(find_distributions()) if point.name == fixture.name
    ]
    current = [point for point in points if point.group == ENTRY_POINT_GROUP]
    if not current:
        other = f" (only in {points[0].group!r})" if points else ""
        raise CheckFailed(
            f"no installed distribution has an entry point {fixture.name!r} "
            f"in group {ENTRY_POINT_GROUP!r}{other}.",
            f'Add the engine and its module to [project.entry-points."{ENTRY_POINT_GROUP}"], and '
            "install the package again.",
        )
    if len(current) > 1:
        owners = ", ".join(sorted(str(point.distribution) for point in current))
        raise CheckFailed(
            f"{owners} all provide an engine {fixture.name!r}, so none is used.",
            "Uninstall all but one.",
        )
    value = current[0].value
    try:
        module = import_module(value.partition(":")[0].strip())
    except (Exception, SystemExit) as error:
        raise CheckFailed(
            f"the entry point {value!r} cannot be imported: {type(error).__name__}: {error}",
            "The module must be importable even if the runtime is missing or broken.",
        ) from error
    if ":" in value:
        attribute: object = getattr(module, value.partition(":")[2].strip(), None)
        if not isinstance(attribute, ModuleType):
            raise CheckFailed(
                f"the entry point {value!r} is not a module.",
                "Name a module.",
            )
        return attribute
    return module
