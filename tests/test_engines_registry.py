"""Which engines does the registry find, and how does it describe those that are not ready?"""

from __future__ import annotations

import sys
import zipfile
from textwrap import dedent

import pytest
from fake_engines import MINIMAL_ENGINE, NUMPY_ENGINE, FakeSite

from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.errors import BrokenEngineError, EngineUnavailableError, UnknownEngineError


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


def listing_of(name):
    listings = [each for each in EngineRegistry(in_process=True).listings() if each.name == name]
    assert len(listings) == 1
    return listings[0]


def engine_with(*functions, info="", create=""):
    """Write a module whose info, session or further hooks are replaced."""
    parts = [
        """
        from lexer_core.hookspecs import hookimpl
        from lexer_core.records import EngineInfo, EngineOption

        class Session:
            def run(self, placed): return placed
            def close(self): pass
        """,
        info
        or """
        @hookimpl
        def lexer_engine_info():
            return EngineInfo(display_name="E", runtime_modules=(), runtime_distributions=(),
                              formats=("echo",))
        """,
        create
        or """
        @hookimpl
        def lexer_create_session(exported, device, config):
            return Session()
        """,
        *functions,
    ]
    return "\n".join(map(dedent, parts))


def info_with(**fields):
    known = {
        "display_name": "'E'",
        "runtime_modules": "()",
        "runtime_distributions": "()",
        "formats": "('echo',)",
    }
    arguments = ", ".join(f"{name}={value}" for name, value in {**known, **fields}.items())
    return f"""
        @hookimpl
        def lexer_engine_info():
            return EngineInfo({arguments})
        """


# -- ready -------------------------------------------------------------------------


def test_an_installed_engine_is_ready_with_its_runtime_and_its_plugin(site):
    site.add_engine("affine", NUMPY_ENGINE, distribution="lexer-affine", version="2.1")
    import numpy as np

    listing = listing_of("affine")

    assert listing.state is EngineState.READY
    assert listing.display_name == "Affine"
    assert listing.version == np.__version__
    assert listing.runtime_distribution == "numpy"
    assert listing.distribution == "lexer-affine 2.1"
    assert (listing.reason, listing.remedy) == ("", "")


def test_a_ready_engine_is_returned_by_name(site):
    site.add_engine("echo")

    engine = EngineRegistry(in_process=True).get("echo")

    assert (engine.name, engine.info.display_name) == ("echo", "Echo")
    assert engine.distribution == "lexer-echo 1.0"
    assert engine.version is None
    assert engine.runtime_distribution is None


def test_getting_one_engine_imports_no_other_plugin(site):
    site.add_engine("echo")
    other = site.add_engine("other")

    EngineRegistry(in_process=True).get("echo")

    assert other not in sys.modules


def test_the_same_registry_gives_the_same_engine(site):
    site.add_engine("echo")
    registry = EngineRegistry(in_process=True)

    assert registry.get("echo") is registry.get("echo")
    assert "echo" in registry.ready_names()


def test_names_are_known_without_importing_a_plugin(site):
    module = site.add_engine("echo", "raise SystemExit(1)")

    assert "echo" in EngineRegistry(in_process=True).names()
    assert module not in sys.modules


def test_one_distribution_may_provide_several_engines(site):
    site.add_module("several", MINIMAL_ENGINE)
    site.add_distribution(
        "lexer-several", entry_points="[lexer.engines]\none = several\n# note\ntwo=several [x]\n"
    )

    names = set(EngineRegistry(in_process=True).ready_names())

    assert {"one", "two"} <= names


# -- unavailable -------------------------------------------------------------------


def test_an_engine_without_its_runtime_is_unavailable_and_names_the_command(site):
    info = info_with(
        runtime_modules="('no_such_runtime',)",
        runtime_distributions="('no-such-runtime', 'no-such-runtime-gpu')",
    )
    site.add_engine("lacking", engine_with(info=info))

    listing = listing_of("lacking")

    assert listing.state is EngineState.UNAVAILABLE
    assert "'no_such_runtime'" in listing.reason
    assert listing.remedy == "pip install no-such-runtime"
    assert listing.version is None
    with pytest.raises(EngineUnavailableError, match="'no_such_runtime' is not installed") as error:
        EngineRegistry(in_process=True).get("lacking")
    assert error.value.engine == "lacking"
    assert "pip install no-such-runtime" in error.value.hint


def test_a_missing_further_module_is_installed_with_the_plugin(site):
    info = info_with(
        runtime_modules="('json', 'no_such_helper')", runtime_distributions="('stdlib',)"
    )
    site.add_engine("lacking", engine_with(info=info))

    listing = listing_of("lacking")

    assert "'no_such_helper'" in listing.reason
    assert listing.remedy == "pip install lexer-lacking"


def test_the_first_distribution_that_is_installed_provides_the_runtime(site):
    site.add_module("some_runtime", "raise RuntimeError('imported')")
    site.add_distribution("Some.Runtime_GPU", version="3.2")
    info = info_with(
        runtime_modules="('some_runtime',)",
        runtime_distributions="('some-runtime', 'some-runtime-gpu')",
    )
    site.add_engine("variant", engine_with(info=info))

    listing = listing_of("variant")

    assert listing.state is EngineState.READY
    assert (listing.runtime_distribution, listing.version) == ("Some.Runtime_GPU", "3.2")


def test_a_folder_with_the_runtimes_name_is_not_the_runtime(site):
    (site.folder / "some_runtime").mkdir()
    info = info_with(runtime_modules="('some_runtime',)", runtime_distributions="('some-runtime',)")
    site.add_engine("fooled", engine_with(info=info))

    assert listing_of("fooled").state is EngineState.UNAVAILABLE


# -- broken ------------------------------------------------------------------------

BROKEN = {
    "raises at import": (
        "x = 1\nraise ValueError('first line\\nsecond')",
        "ValueError: first line",
    ),
    "lacks an import": ("import no_such_module", "ModuleNotFoundError: No module named"),
    "has a syntax error": ("def f(:", "SyntaxError"),
    "exits at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "raises a base exception at import": (
        "class Strange(BaseException): pass\nraise Strange('hm')",
        "Strange: hm",
    ),
    "has no hooks": ("", "the required hook lexer_engine_info is missing"),
    "lacks a required hook": (
        engine_with(create="\n"),
        "the required hook lexer_create_session is missing",
    ),
    "has an unmarked hook": (
        engine_with("def lexer_list_devices(): return []"),
        "lexer_list_devices is not decorated with @hookimpl",
    ),
    "has an unmarked required hook": (
        engine_with(create="def lexer_create_session(exported): return Session()"),
        "lexer_create_session is not decorated",
    ),
    "has an unmarked function with the prefix": (
        engine_with("def lexer_something_else(): pass"),
        "lexer_something_else is not decorated",
    ),
    "has a keyword-only argument": (
        engine_with("@hookimpl\ndef lexer_place_inputs(*, inputs): return inputs"),
        "lexer_place_inputs takes 'inputs' as keyword-only",
    ),
    "has a default": (
        engine_with("@hookimpl\ndef lexer_synchronize(session, device=None): pass"),
        "lexer_synchronize gives 'device' a default",
    ),
    "takes any arguments": (
        engine_with("@hookimpl\ndef lexer_place_inputs(*args): return args"),
        "lexer_place_inputs takes *args",
    ),
    "takes any keywords": (
        engine_with("@hookimpl\ndef lexer_place_inputs(**given): return given"),
        "lexer_place_inputs takes **given",
    ),
    "is async": (
        engine_with("@hookimpl\nasync def lexer_list_devices(): return []"),
        "lexer_list_devices is async",
    ),
    "is an async generator": (
        engine_with("@hookimpl\nasync def lexer_list_devices(): yield 1"),
        "lexer_list_devices is async",
    ),
    "is a generator": (
        engine_with("@hookimpl\ndef lexer_list_devices(): yield 1"),
        "lexer_list_devices is a generator",
    ),
    "is a wrapper": (
        engine_with("@hookimpl(wrapper=True)\ndef lexer_list_devices(): return (yield)"),
        "lexer_list_devices is a wrapper",
    ),
    "has a wrong argument": (
        engine_with(create="@hookimpl\ndef lexer_create_session(model): return Session()"),
        "takes 'model', which the hook does not have; its arguments are exported, device, config",
    ),
    "implements a hook twice": (
        engine_with(
            "@hookimpl\ndef lexer_list_devices(): return []",
            "@hookimpl(specname='lexer_list_devices')\ndef devices(): return []",
        ),
        "lexer_list_devices is implemented twice",
    ),
    "misspells a hook": (
        engine_with("@hookimpl\ndef lexer_list_device(): return []"),
        "unknown hook lexer_list_device: did you mean lexer_list_devices?",
    ),
    "says nothing of itself": (
        engine_with(info="@hookimpl\ndef lexer_engine_info(): pass"),
        "lexer_engine_info returned None (is a return statement missing?)",
    ),
    "says something else of itself": (
        engine_with(info="@hookimpl\ndef lexer_engine_info(): return {'display_name': 'x'}"),
        "lexer_engine_info returned a value of type dict, not EngineInfo",
    ),
    "raises when asked": (
        engine_with(info="@hookimpl\ndef lexer_engine_info(): return 1 / 0"),
        "lexer_engine_info raised ZeroDivisionError",
    ),
    "exits when asked": (
        engine_with(info="@hookimpl\ndef lexer_engine_info(): raise SystemExit"),
        "lexer_engine_info raised SystemExit",
    ),
    "has no display name": (
        engine_with(info=info_with(display_name="' '")),
        "display_name must be a non-empty string",
    ),
    "gives formats as text": (
        engine_with(info=info_with(formats="'onnx'")),
        "formats must be a tuple, not str",
    ),
    "accepts no format": (engine_with(info=info_with(formats="()")), "formats is empty"),
    "has a format that is no name": (
        engine_with(info=info_with(formats="(1,)")),
        "formats contains 1, which is not a name",
    ),
    "has a format twice": (
        engine_with(info=info_with(formats="('a', 'a')")),
        "formats contains a name twice",
    ),
    "does not say what provides its runtime": (
        engine_with(info=info_with(runtime_modules="('json',)")),
        "runtime_distributions is empty",
    ),
    "names something that is not a module as its runtime": (
        engine_with(
            info=info_with(runtime_modules="('os-path',)", runtime_distributions="('os',)")
        ),
        "'os-path', which is not the name of a module",
    ),
    "accepts ten thousand formats": (
        engine_with(info=info_with(formats="tuple(map(str, range(10_000)))")),
        "formats has 10000 names; at most 64 are allowed",
    ),
    "gives runs_by_default as text": (
        engine_with(info=info_with(runs_by_default="'no'")),
        "runs_by_default must be True or False",
    ),
    "has options as a list": (
        engine_with(info=info_with(options="[]")),
        "options must be a tuple, not list",
    ),
    "has an option that is none": (
        engine_with(info=info_with(options="('level',)")),
        "'level', which is not an EngineOption",
    ),
    "has an option twice": (
        engine_with(
            info=info_with(
                options="2 * (EngineOption(name='a', type=int, default=1, help='h'),)",
            )
        ),
        "option 'a' is declared twice",
    ),
    "has an option that cannot be written": (
        engine_with(
            info=info_with(options="(EngineOption(name='a=b', type=int, default=1, help=''),)")
        ),
        "option 'a=b' has an invalid name",
    ),
    "has an option of no known type": (
        engine_with(
            info=info_with(options="(EngineOption(name='a', type=list, default=None, help=''),)")
        ),
        "not bool, int, float or str",
    ),
    "has a default of another type": (
        engine_with(
            info=info_with(options="(EngineOption(name='a', type=int, default='1', help=''),)")
        ),
        "option 'a' has default '1', which is not of type int",
    ),
    "has a boolean default for a number": (
        engine_with(
            info=info_with(options="(EngineOption(name='a', type=int, default=True, help=''),)")
        ),
        "option 'a' has default True, which is not of type int",
    ),
    "has a default that is no choice": (
        engine_with(
            info=info_with(
                options="(EngineOption(name='a', type=str, default='x', choices=('y',), help=''),)"
            )
        ),
        "option 'a' has default 'x', which is not a choice",
    ),
    "has a choice of another type": (
        engine_with(
            info=info_with(
                options="(EngineOption(name='a', type=str, default=None, choices=(1,), help=''),)"
            )
        ),
        "option 'a' has choice 1, which is not of type str",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_is_broken_without_affecting_others_when_it(source, reason, site):
    site.add_engine("bad", source)
    site.add_engine("good")

    listing = listing_of("bad")

    assert listing.state is EngineState.BROKEN
    assert reason in listing.reason
    assert "\n" not in listing.reason
    assert listing.remedy == "pip install --upgrade lexer-bad"
    registry = EngineRegistry(in_process=True)
    assert registry.get("good").name == "good"
    assert "bad" not in registry.ready_names()
    with pytest.raises(BrokenEngineError) as error:
        registry.get("bad")
    assert error.value.engine == "bad"
    assert reason in error.value.message


def test_the_reason_names_the_plugins_line_and_the_details_hold_the_traceback(site):
    module = site.add_engine("bad", "x = 1\n\nimport no_such_module\n")

    listing = listing_of("bad")

    assert listing.reason.endswith(f"({site.folder / module}.py, line 3)")
    assert listing.details.startswith("Traceback")
    assert "import no_such_module" in listing.details


def test_an_interrupt_while_a_plugin_is_imported_interrupts(site):
    site.add_engine("slow", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        EngineRegistry(in_process=True).listings()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("lexer_core.records:CPU", "'lexer_core.records:CPU' is not a module, but a Device"),
        ("lexer_core.records:Device", "is not a module, but a type"),
        ("lexer_core.records:absent", "AttributeError"),
        ("absent_module", "ModuleNotFoundError: No module named 'absent_module'"),
        ("not a module!", "'not a module!' does not name a module"),
    ],
)
def test_an_entry_point_that_is_not_a_module_is_broken(value, reason, site):
    site.add_engine("bad", value=value)

    listing = listing_of("bad")

    assert listing.state is EngineState.BROKEN
    assert reason in listing.reason


def test_two_distributions_with_one_engine_name_are_both_listed_and_neither_is_used(site):
    site.add_engine("twin", distribution="lexer-a", version="1.0")
    site.add_engine("twin", distribution="lexer-b", version="2.0")

    registry = EngineRegistry(in_process=True)
    first, second = [each for each in registry.listings() if each.name == "twin"]

    assert first.state is second.state is EngineState.BROKEN
    assert {first.distribution, second.distribution} == {"lexer-a 1.0", "lexer-b 2.0"}
    for listing in (first, second):
        assert "lexer-a 1.0 and lexer-b 2.0 both provide" in listing.reason
    assert (first.remedy, second.remedy) == ("pip uninstall lexer-b", "pip uninstall lexer-a")
    with pytest.raises(BrokenEngineError, match=r"lexer-a 1\.0 and lexer-b 2\.0"):
        registry.get("twin")


def test_a_distribution_that_provides_a_name_twice_is_broken(site):
    site.add_module("one", MINIMAL_ENGINE)
    site.add_module("two", MINIMAL_ENGINE)
    site.add_distribution("lexer-a", entry_points="[lexer.engines]\nx = one\nx = two\n")

    states = [each for each in EngineRegistry(in_process=True).listings() if each.name == "x"]

    assert [each.state for each in states] == [EngineState.BROKEN] * 2
    assert "lexer-a 1.0 provides an engine of this name more than once" in states[0].reason


# -- incompatible ------------------------------------------------------------------


def test_a_hook_of_a_newer_contract_needs_a_newer_core(site):
    source = engine_with("@hookimpl\ndef lexer_measure_energy(session): return 1")
    site.add_engine("modern", source, requires=["numpy", "lexer_core (>=7.1) ; python_version>'3'"])

    listing = listing_of("modern")

    assert listing.state is EngineState.INCOMPATIBLE
    assert listing.reason.startswith("needs a newer lexer-core: it implements lexer_measure_energy")
    assert "lexer-modern 1.0 requires lexer_core>=7.1" in listing.reason
    assert listing.remedy == "pip install --upgrade 'lexer_core>=7.1'"
    with pytest.raises(EngineUnavailableError, match="is incompatible: needs a newer lexer-core"):
        EngineRegistry(in_process=True).get("modern")


def test_a_hook_marked_optional_may_be_newer_than_the_core(site):
    source = engine_with(
        "@hookimpl(optionalhook=True)\ndef lexer_measure_energy(session, joules): return 1"
    )
    site.add_engine("both", source)

    assert EngineRegistry(in_process=True).get("both").name == "both"


@pytest.mark.parametrize("group", ["lexer.engines.v2", "lexer.engines2", "lexer.engines-next"])
def test_another_contract_is_incompatible_from_metadata_alone(group, site):
    module = site.add_engine("next", group=group, requires=["lexer-core>=7"])

    listing = listing_of("next")

    assert listing.state is EngineState.INCOMPATIBLE
    assert repr(group) in listing.reason
    assert listing.remedy == "pip install --upgrade 'lexer-core>=7'"
    assert module not in sys.modules


def test_a_plugin_that_also_serves_this_contract_is_not_incompatible(site):
    site.add_module("serves_both", MINIMAL_ENGINE)
    site.add_distribution(
        "lexer-both",
        entry_points="[lexer.engines2]\nx = gone\n\n[lexer.engines]\nx = serves_both\n",
    )

    assert listing_of("x").state is EngineState.READY


def test_an_engine_of_another_contract_does_not_occupy_a_name(site):
    site.add_engine("x", distribution="lexer-a", group="lexer.engines2")
    site.add_engine("x", distribution="lexer-b")

    assert EngineRegistry(in_process=True).get("x").distribution == "lexer-b 1.0"
    assert EngineRegistry(in_process=True).listing("x").state is EngineState.READY


# -- unknown -----------------------------------------------------------------------


def test_a_mistyped_name_lists_the_engines_and_suggests_one(site):
    site.add_engine("openvino")

    with pytest.raises(UnknownEngineError, match="engine 'Open-Vno' is not installed") as error:
        EngineRegistry(in_process=True).get("Open-Vno")

    assert "Installed: " in error.value.hint
    assert error.value.hint.endswith("Did you mean 'openvino'?")


def test_the_command_that_installs_an_official_plugin_is_shown(site, monkeypatch):
    site.add_engine("echo")
    monkeypatch.setattr(sys, "path", [str(site.folder)])

    with pytest.raises(UnknownEngineError) as error:
        EngineRegistry(in_process=True).get("onnxruntime")

    assert error.value.hint == "pip install lexer-ort"


# -- what a plugin does meanwhile --------------------------------------------------


def test_what_a_plugin_prints_goes_to_standard_error(site, capsys):
    site.add_engine("noisy", "print('import noise')\n" + MINIMAL_ENGINE)

    EngineRegistry(in_process=True).get("noisy")

    out, err = capsys.readouterr()
    assert out == ""
    assert "import noise" in err


def test_a_modules_getattr_is_not_called_for_what_it_lists(site):
    source = """
    def __dir__():
        return [*globals(), "lexer_lazy"]

    def __getattr__(name):
        raise RuntimeError(f"evaluated {name}")
    """
    site.add_engine("lazy", MINIMAL_ENGINE + dedent(source))

    assert EngineRegistry(in_process=True).get("lazy").name == "lazy"


def test_imported_specifications_and_helpers_are_not_hooks(site):
    site.add_module("helpers", "def lexer_helper(): pass")
    source = """
    from helpers import lexer_helper
    from lexer_core.hookspecs import lexer_synchronize
    """
    site.add_engine("importing", MINIMAL_ENGINE + dedent(source))

    assert not EngineRegistry(in_process=True).get("importing").implements("lexer_synchronize")


def test_a_hook_may_have_another_name_in_the_module(site):
    source = """
    from lexer_core.records import Device

    @hookimpl(specname="lexer_list_devices")
    def devices():
        return [Device(kind="npu")]
    """
    site.add_engine("renamed", MINIMAL_ENGINE + dedent(source))

    assert [
        each.name for each in EngineRegistry(in_process=True).get("renamed").list_devices()
    ] == ["npu:0"]


# -- metadata ----------------------------------------------------------------------


def test_the_first_copy_on_the_path_hides_later_ones(tmp_path):
    front, behind = FakeSite(tmp_path / "front"), FakeSite(tmp_path / "behind")
    front.add_distribution("lexer-old", version="2.0")  # no longer provides an engine
    behind.add_engine("old", distribution="lexer-old", version="1.0")

    with behind.on_path(), front.on_path():
        assert "old" not in EngineRegistry(in_process=True).names()


def test_leftovers_of_a_removed_distribution_are_ignored(site):
    site.add_engine("x", distribution="lexer-x")
    info = site.add_distribution("lexer-y", entry_points="[lexer.engines]\nx = gone\n")
    info.rename(info.with_name("~exer_y-1.0.dist-info"))

    assert listing_of("x").state is EngineState.READY


def test_unreadable_metadata_affects_only_its_distribution(site):
    site.add_engine("good")
    (site.add_distribution("strange") / "entry_points.txt").write_bytes(b"\xff\xfe[lexer.engines")
    (site.add_distribution("hollow") / "entry_points.txt").mkdir()

    assert EngineRegistry(in_process=True).get("good").name == "good"


def test_a_distribution_without_headers_is_called_by_its_folder(site):
    site.add_module("bare", MINIMAL_ENGINE)
    info = site.add_distribution("lexer-bare", entry_points="[lexer.engines]\nbare = bare\n")
    (info / "METADATA").unlink()

    assert listing_of("bare").distribution == "lexer-bare"


def test_an_engine_in_an_archive_is_found(tmp_path, monkeypatch):
    site = FakeSite(tmp_path / "site")
    site.add_engine("zipped")
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in site.folder.rglob("*"):
            if file.is_file():
                packed.write(file, file.relative_to(site.folder).as_posix())
    monkeypatch.syspath_prepend(str(archive))

    assert EngineRegistry(in_process=True).get("zipped").distribution == "lexer-zipped 1.0"


def test_an_engine_that_only_a_finder_knows_is_found(tmp_path, monkeypatch):
    from importlib.metadata import MetadataPathFinder

    site = FakeSite(tmp_path / "site")
    site.add_engine("hidden")

    class Finder:
        def find_spec(self, name, path=None, target=None):
            return None

        def find_distributions(self, context):
            return MetadataPathFinder.find_distributions(
                type(context)(name=context.name, path=[str(site.folder)])
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])

    assert "hidden" in EngineRegistry(in_process=True).names()


def test_an_engine_in_an_egg_is_found(tmp_path, monkeypatch):
    egg = FakeSite(tmp_path / "lexer_laid-1.0-py3.egg")
    egg.add_module("laid", MINIMAL_ENGINE)
    info = egg.folder / "EGG-INFO"
    info.mkdir()
    (info / "PKG-INFO").write_text("Name: lexer-laid\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[lexer.engines]\nlaid = laid\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(egg.folder))

    assert listing_of("laid").distribution == "lexer-laid 1.0"


def test_a_plugin_that_pluggy_rejects_is_broken_without_affecting_others(site, monkeypatch):
    from lexer_core.engines import registration

    register = registration.register_hooks

    def refuse(name, plugin):
        if name == "refused":
            raise ValueError("pluggy says no")
        return register(name, plugin)

    monkeypatch.setattr(registration, "register_hooks", refuse)
    site.add_engine("refused")
    site.add_engine("good")
    registry = EngineRegistry(in_process=True)

    assert registry.get("good").name == "good"
    with pytest.raises(BrokenEngineError, match="cannot be registered: ValueError: pluggy says no"):
        registry.get("refused")
    assert registry.listing("refused").state is EngineState.BROKEN
    assert "refused" not in registry.ready_names()
