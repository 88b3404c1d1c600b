"""Is the engine found, and does it say the truth of itself?"""

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
"""What a plugin's module must not import, whether it is its runtime or not."""


@SUITE.check("basic", "The engine is found by its name, in one place.")
def entry_point_resolves(fixture: EngineFixture) -> None:
    """Find one entry point of this contract, and import the module that it names."""
    _module(fixture)


@SUITE.check("basic", "Every hook of the plugin is one that the core calls, as it is written.")
def hooks_are_sound(fixture: EngineFixture) -> None:
    """Compare the plugin's functions with the hooks of this contract."""
    try:
        module = _module(fixture)
    except CheckFailed as error:
        raise Skip("the entry point does not lead to a module") from error
    hooks = read_hooks(module)
    if hooks.unknown:
        raise CheckFailed(
            f"it implements {', '.join(hooks.unknown)}, which contract {CONTRACT_VERSION} "
            "does not have.",
            "A hook of a newer contract needs a newer lexer-core; "
            "another function must not be marked.",
        )
    if hooks.problems:
        raise CheckFailed("; ".join(hooks.problems) + ".", f"In {module.__name__}.")


@SUITE.check("basic", "What results and lists say of the engine is true.")
def engine_info_is_honest(fixture: EngineFixture) -> None:
    """Ask twice, look for the runtime, and see after a call whether it was used."""
    listing = fixture.listing
    if listing.state is EngineState.UNAVAILABLE:
        raise CheckFailed(f"the engine is not usable: {listing.reason}.", listing.remedy)
    if listing.state is not EngineState.READY:
        raise CheckFailed(f"the engine is {listing.state}: {listing.reason}.", listing.remedy)
    info = fixture.engine.info
    module = _module(fixture)
    again = read_hooks(module).implementations["lexer_engine_info"].function()
    for problem in wrong_in_info(again):
        raise CheckFailed(f"when it is asked again, {problem}.")
    if again != info:
        raise CheckFailed(
            "lexer_engine_info says something else when it is asked again.",
            "It is asked once, and what it says then holds for the process.",
        )
    if info.runtime_modules and listing.version is None:
        raise CheckFailed(
            f"none of runtime_distributions is installed: {', '.join(info.runtime_distributions)}.",
            "The version of the runtime stands in every row; name what provides it.",
        )
    if not info.runtime_modules:
        return  # an engine in Python alone has no runtime to look for
    with fixture.session() as opened:
        opened.answer(opened.case.trials()[0])
    unused = [name for name in info.runtime_modules if name not in sys.modules]
    if unused:
        raise CheckFailed(
            f"runtime_modules names {', '.join(unused)}, which a call does not import.",
            "Name what the engine runs on: without it the engine is shown as unavailable.",
        )


@SUITE.check("basic", "`lexer engines list` is quick, and works where a runtime is broken.")
def listing_imports_no_runtime(fixture: EngineFixture) -> None:
    """List the engine in a new process, and look at what was imported."""
    forbidden = _HEAVY | set(fixture.engine.info.runtime_modules)
    found = sorted(forbidden & fixture.fresh_listing.imported)
    if found:
        raise CheckFailed(
            f"listing the engine imports {', '.join(found)}.",
            "Import it inside the hooks that use it; the plugin's module is imported for every "
            "list.",
        )


@SUITE.check("full", "Installing an engine changes nothing for those who do not use it.")
def listing_leaves_no_trace(fixture: EngineFixture) -> None:
    """List the engine in a new process, and compare the process before and after."""
    fixture.require_ready()
    facts = fixture.fresh_listing
    if facts.changes:
        raise CheckFailed(
            f"after listing the engine, {'; '.join(facts.changes)}.",
            "A plugin's module defines; whatever it sets up belongs into lexer_create_session.",
        )
    if facts.printed:
        first = facts.printed.splitlines()[0]
        raise CheckFailed(f"listing the engine prints {first!r}.", "A list is read by programs.")


@SUITE.check("basic", "What is declared of the engine is read, and has a reason.")
def declarations_are_sound(fixture: EngineFixture) -> None:
    """Compare the declarations with the capabilities and options that there are."""
    fixture.misdeclared()


@SUITE.check("full", "A model that the engine cannot run is refused, never run wrongly.")
def declared_limits_are_refused(fixture: EngineFixture) -> None:
    """Give the engine what it is declared to be unable to do."""
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
                "Raise UnsupportedError: the row is then unsupported, and not failed.",
            ) from error
        raise CheckFailed(
            f"declared: cannot {name}; trying it is not refused.",
            "Remove the declaration if the engine can, or raise UnsupportedError.",
        )


_TWO = "two_sessions"


def _try(fixture: EngineFixture, capability: str) -> None:
    if capability == _TWO:
        with fixture.session(), fixture.session():
            return
    case = MODELS[capability]
    with fixture.session(capability) as opened:
        for arrays in case.trials():
            opened.answer(arrays)


def _module(fixture: EngineFixture) -> ModuleType:
    claims = [
        claim for claim in find_entry_points(find_distributions()) if claim.name == fixture.name
    ]
    current = [claim for claim in claims if claim.group == ENTRY_POINT_GROUP]
    if not current:
        other = f" (only of {claims[0].group!r})" if claims else ""
        raise CheckFailed(
            f"no installed distribution has an entry point {fixture.name!r} "
            f"of the group {ENTRY_POINT_GROUP!r}{other}.",
            f'[project.entry-points."{ENTRY_POINT_GROUP}"] names the engine and its module; '
            "install the package after changing it.",
        )
    if len(current) > 1:
        owners = ", ".join(sorted(str(claim.distribution) for claim in current))
        raise CheckFailed(
            f"{owners} all provide an engine {fixture.name!r}; none is used.", "Uninstall others."
        )
    value = current[0].value
    try:
        module = import_module(value.partition(":")[0].strip())
    except (Exception, SystemExit) as error:
        raise CheckFailed(
            f"the entry point {value!r} cannot be imported: {type(error).__name__}: {error}",
            "The module must import where the runtime is missing or broken, too.",
        ) from error
    if ":" in value:
        attribute: object = getattr(module, value.partition(":")[2].strip(), None)
        if not isinstance(attribute, ModuleType):
            raise CheckFailed(f"the entry point {value!r} is not a module.", "Name the module.")
        return attribute
    return module
