"""Are engines measured in the precisions that a user asks for, and do the rows say so?

With an engine that needs no framework. It computes in float16 only what it is told to, and
converts its models to int8.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE, write_scale_model

import lexer_core
from lexer_core import EngineChoice, LexerContext
from lexer_core.artifact import load, save
from lexer_core.benchmark.precision_siblings import with_slower_precisions
from lexer_core.cli.main import run
from lexer_core.errors import SettingError, UsageError
from lexer_core.results import BenchmarkResult, Comparison, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

INPUT = {"x": np.arange(1, 7, dtype=np.float32).reshape(2, 3)}
QUICK = {
    "isolation": "none",
    "warm_up_seconds": 0.02,
    "max_seconds": 3.0,
    "min_seconds": 0.0,
    "canary": False,
    "show_progress": False,
    "seed": 3,
}

# In float16 it computes in float32; in int8, much slower, from a converted file.
MANY = (
    SCALE_ENGINE.replace('formats=("onnx",),', 'formats=("onnx",),\n        precisions=PRECISIONS,')
    .replace(
        "class ScaleSession:",
        'PRECISIONS = ("float32", "float16", "int8-dynamic", "own-4bit")\n\n\nclass ScaleSession:',
    )
    .replace(
        "        self.calls_left =",
        "        self.config = config\n"
        '        self.error = {"int8-dynamic": 1.05, "own-4bit": 1.5}.get(config.precision, 1.0)\n'
        '        self.seconds *= 5 if config.precision == "int8-dynamic" else 1\n'
        '        if config.precision == "int8-dynamic" and not model.get("converted"):\n'
        '            raise RuntimeError("the file was not converted")\n'
        "        self.calls_left =",
    )
    .replace("return placed * self.factor", "return placed * (self.factor * self.error)")
    .replace(
        "    def close(self):",
        "    @property\n"
        "    def computed_precision(self):\n"
        "        asked = self.config.precision\n"
        '        return "float32" if asked == "float16" else asked\n'
        "\n"
        "    def close(self):",
    )
    + """

@hookimpl
def lexer_convert_model(exported, precision, workdir):
    if precision != "int8-dynamic":
        return None
    import attrs

    with open(os.environ["CONVERSIONS"], "a") as log:
        log.write("converted\\n")
    path = workdir / exported.path.name
    content = exported.path.read_bytes()
    path.write_bytes(content.replace(b'"input"', b'"converted": 1, "input"'))
    return attrs.evolve(exported, path=path, notes=("made smaller",))
"""
).replace('"Scale"', '"Many"')


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("many", MANY)
    site.add_engine("silent", SCALE_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(autouse=True)
def conversions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "conversions"
    path.touch()
    monkeypatch.setenv("CONVERSIONS", str(path))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scale_model(tmp_path_factory.mktemp("models") / "model.onnx")


def measured(model: Path, **asked: Any) -> BenchmarkReport:
    return LexerContext().benchmark(
        model, **({"engines": ["many"], "input": INPUT} | QUICK | asked)
    )


def test_each_engine_has_a_row_for_each_precision(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = measured(model, engines=["many", "silent"], precision=["fp32", "half"], rounds=2)

    assert {row.label: (row.precision, row.status) for row in report} == {
        "many[precision=float32]": ("float32", "ok"),
        "many[precision=float16]": ("float16", "ok"),
        "silent[precision=float32]": ("float32", "ok"),
        "silent[precision=float16]": ("float16", "ok"),
    }
    assert capsys.readouterr().out.count("precision float16") == 2


def test_a_row_says_what_was_asked_and_what_was_computed(model: Path) -> None:
    report = measured(model, precision="float32,float16", rounds=2)

    row = report["many[precision=float16]"]
    assert (row.precision, row.computed_precision) == ("float16", "float32")
    assert "asked float16, computes float32" in row.warnings
    assert "asked" not in "; ".join(report["many[precision=float32]"].warnings)
    assert "asked float16, computes float32" in report.to_text(verbose=True)
    assert report.to_dict()["results"][1]["computed_precision"] == "float32"


@pytest.mark.extras
def test_the_page_says_what_was_asked_and_what_was_computed(model: Path) -> None:
    pytest.importorskip("matplotlib")
    report = measured(model, precision="float16", rounds=2)

    assert "asked float16, computes float32" in report.to_html()


def test_what_an_engine_does_not_declare_is_unsupported_before_anything_is_exported(
    model: Path, conversions: Path
) -> None:
    report = measured(model, precision=["bfloat16"], rounds=1)

    (row,) = report
    assert (row.label, row.status) == ("many[precision=bfloat16]", "unsupported")
    assert row.error is not None
    assert (row.error.phase, row.error.reason) == ("resolve", "Many does not compute in bfloat16.")
    assert row.error.hint == "It computes in: float32, float16, int8-dynamic, own-4bit."
    assert "export" not in report.seconds
    assert conversions.read_text() == ""


def test_an_export_is_converted_once_and_its_time_is_that_of_the_export(
    model: Path, conversions: Path
) -> None:
    report = measured(
        model,
        engines=[
            "many",
            EngineChoice("many", {"precision": "int8-dynamic"}, label="small"),
            EngineChoice("many", {"precision": "int8-dynamic", "unit": 210}, label="other"),
        ],
        rounds=2,
    )

    assert conversions.read_text() == "converted\n"
    assert report["many"].export_ms is None
    assert (report["small"].export_ms or 0.0) > 0
    assert report["other"].export_ms == report["small"].export_ms
    assert "made smaller" in report["small"].warnings
    assert report["small"].options == {"unit": 200}


def row_in(precision: str, **facts: Any) -> BenchmarkResult:
    facts = {"label": f"toy {precision}", "threads": 2, "options": {"unit": 1}} | facts
    return BenchmarkResult(
        engine="Toy", device="CPU", status="ok", engine_name="toy", precision=precision, **facts
    )


def compared(a: str, b: str, ratio: float, verdict: Any) -> Comparison:
    interval = Interval(estimate=ratio, low=ratio, high=ratio)
    return Comparison(a=a, b=b, ratio=interval, verdict=verdict, delta=0.02)


def test_a_precision_that_is_slower_than_the_model_s_own_says_so() -> None:
    own, small, half = row_in("float32"), row_in("int8-dynamic"), row_in("float16")
    other = row_in("bfloat16", threads=1)
    pairs = [
        compared(own.label, small.label, 1 / 1.4, "slower"),
        compared(half.label, own.label, 1.25, "faster"),
        compared(own.label, other.label, 0.5, "slower"),  # but with fewer threads
    ]

    rows = with_slower_precisions((own, small, half, other), pairs)

    assert [row.warnings for row in rows] == [
        (),
        ("int8-dynamic is 1.4x slower than float32 on this machine",),
        ("float16 is 1.25x slower than float32 on this machine",),
        (),
    ]


def test_a_precision_that_is_faster_or_as_fast_says_nothing() -> None:
    own, small = row_in(""), row_in("int8-dynamic")

    for verdict in ("faster", "tie", "undecided"):
        pairs = [compared(own.label, small.label, 1.1, verdict)]
        assert with_slower_precisions((own, small), pairs)[1].warnings == ()
    (_, slow) = with_slower_precisions((own, small), [compared("toy ", small.label, 0.5, "slower")])
    assert slow.warnings == (
        "int8-dynamic is 2x slower than the model's own precision on this machine",
    )


def test_outputs_are_judged_by_the_precision_that_was_asked_for(model: Path) -> None:
    asked = {"precision": ["int8-dynamic", "float32", "own-4bit"], "rounds": 1}
    report = measured(model, **asked)
    strict = measured(model, **asked, rtol=1e-3)

    small, coarse = report["many[precision=int8-dynamic]"], report["many[precision=own-4bit]"]
    # Measured first, but no reference for what is more exact.
    assert report["many[precision=float32]"].parity.status == "not_judged"  # type: ignore[union-attr]
    assert small.parity is not None
    assert (small.parity.status, small.parity.rule) == ("pass", "precision")
    assert small.parity.max_abs_error == pytest.approx(0.6, rel=1e-3)
    assert any(
        "judged as int8-dynamic" in warning and "0.05" in warning for warning in small.warnings
    )
    assert coarse.parity is not None
    assert coarse.parity.status == "fail"
    assert strict["many[precision=int8-dynamic]"].parity.status == "fail"  # type: ignore[union-attr]


def test_an_unknown_precision_is_refused_with_those_that_are_known(model: Path) -> None:
    with pytest.raises(SettingError, match="no engine knows the precision 'float61'") as caught:
        measured(model, precision=["float61"])

    assert "own-4bit" in caught.value.hint
    assert "Did you mean 'float16'" in caught.value.hint
    with pytest.raises(SettingError, match="own-4bit"):
        measured(model, engines=["silent"], precision=["own-4bit"])


def test_a_saved_report_has_the_converted_model_and_its_precision(
    model: Path, tmp_path: Path
) -> None:
    report = measured(model, precision=["float32", "int8-dynamic"], rounds=1)

    loaded = load(save(report, tmp_path / "run.lexer"))

    assert loaded.results == report.results
    # Until 0.1, the setting was the margin of the ratios.
    assert attrs.evolve(loaded, settings={"precision": 0.05}).settings == {"margin": 0.05}
    assert [(each.labels, each.precision) for each in loaded.models] == [
        (("many[precision=float32]",), ""),
        (("many[precision=int8-dynamic]",), "int8-dynamic"),
    ]


def test_a_row_is_deployed_in_its_precision(model: Path, tmp_path: Path) -> None:
    report = measured(model, precision=["float32", "int8-dynamic"], rounds=1)

    folder = report["many[precision=int8-dynamic]"].save(tmp_path / "deployed")

    manifest = json.loads((folder / "lexer.json").read_text())
    assert (manifest["precision"], manifest["converted_to"]) == ("int8-dynamic",) * 2
    assert b'"converted"' in (folder / manifest["file"]).read_bytes()
    with lexer_core.load(folder) as session:
        np.testing.assert_allclose(session(**INPUT)["y"], INPUT["x"] * 2.1, rtol=1e-6)


def test_a_tuning_races_precisions_and_deploys_the_winner(
    model: Path, tmp_path: Path, conversions: Path
) -> None:
    tuning = LexerContext().tune(
        model,
        INPUT,
        engines=["many"],
        vary={"precision": ["int8-dynamic", "bf16", "float32"], "threads": [1, 2]},
        **QUICK,
    )

    fates = {each.label: (each.precision, each.fate) for each in tuning.configurations}
    assert fates["many[threads=1,precision=bfloat16]"] == ("bfloat16", "unsupported")
    # On a busy machine, so few rounds may not tell it from the winner.
    asked, fate = fates["many[threads=2,precision=int8-dynamic]"]
    assert asked == "int8-dynamic"
    assert fate in ("slower", "tie")
    assert conversions.read_text() == "converted\n"
    assert tuning.best is not None
    assert tuning.best.precision == "float32"
    folder = tuning.best.save(tmp_path / "best")
    assert json.loads((folder / "lexer.json").read_text())["precision"] == "float32"


def test_an_engine_that_lacks_a_precision_does_not_fail_the_command(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quick = ["--isolation=none", "--rounds=1", "--no-progress", "--no-canary", "--no-cache"]
    command = ["benchmark", str(model), "--input=x=float32[2,3]", "--engine=many", *quick]

    assert run([*command, "--precision=fp32,bf16"]) == 0
    assert run([*command, "--precision=bf16"]) == 4
    assert run([*command, "--precision=float61"]) == 2
    assert "Many does not compute in bfloat16" in " ".join(capfd.readouterr().out.split())


def test_a_conversion_that_writes_over_the_export_costs_only_its_row(
    site: FakeSite, model: Path
) -> None:
    site.add_engine(
        "vandal",
        MANY.replace(
            "    path = workdir / exported.path.name\n",
            "    path = workdir / exported.path.name\n"
            "    exported.path.write_bytes(exported.path.read_bytes())\n",
        ),
    )

    report = measured(model, engines=["vandal"], precision=["float32", "int8-dynamic"], rounds=1)

    assert report["vandal[precision=float32]"].status == "ok"
    row = report["vandal[precision=int8-dynamic]"]
    assert (row.status, row.error.phase) == ("failed", "export")  # type: ignore[union-attr]
    assert "lexer_convert_model wrote to the export" in row.error.reason  # type: ignore[union-attr]


def test_a_row_is_repeated_in_its_precision(model: Path) -> None:
    from lexer_core.reporting.page.repro_snippet import snippet

    report = measured(model, precision=["float16"], rounds=1)

    assert "EngineChoice('many', options={'unit': 200, 'precision': 'float16'}" in snippet(report)
    assert "precision=" not in snippet(report).split("engines=")[0]
    with pytest.raises(UsageError):
        measured(model, engines=[attrs.evolve(EngineChoice("many"), options={"precision": "x"})])


def test_the_precisions_of_an_engine_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["engines", "show", "many"]) == 0

    assert "  precision float32, float16, int8-dynamic, own-4bit\n" in capsys.readouterr().out
