"""What does an exporter that ends or blocks its process cost? Its own export only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fake_engines import FakeSite
from tiny_onnx import identity_model
from toy_engine import TOY_ENGINE

from lexer_core.context import LexerContext
from lexer_core.errors import ExportError

torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.records import ExportedModel

pytestmark = pytest.mark.torch

HOOK = "def lexer_export_model(source, format):\n"
"""Of the toy, which exports nothing that is a module."""

MAKES_ONNX = """
@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "onnx" or source.module is None:
        return None
    path = workdir / "made.onnx"
    path.write_bytes(FILE)
    specs = [TensorSpec(name=name, dtype="float32", shape=(2, 3)) for name in "xy"]
    return ExportedModel(
        format="onnx",
        path=path,
        inputs=specs[:1],
        outputs=specs[1:],
        size_bytes=len(FILE),
        exporter="maker 1",
    )
"""


class Double(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return 2 * x


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    site = FakeSite(tmp_path / "site")
    made = MAKES_ONNX.replace("FILE", repr(identity_model((2, 3), "x")))
    plain, _, rest = TOY_ENGINE.partition("@hookimpl\ndef lexer_export_model")
    after = rest.partition("@hookimpl")[2]
    site.add_engine("maker", f"{plain}{made}\n\n@hookimpl{after}")
    site.add_engine("toy", TOY_ENGINE)
    with site.on_path():
        yield site


def add_faulty(site: FakeSite, name: str, fault: str) -> None:
    """Add an engine that is asked first, by the alphabet."""
    site.add_engine(name, TOY_ENGINE.replace(HOOK, f"{HOOK}    {fault}\n"))


def export(path: Path, **settings: Any) -> ExportedModel:
    return LexerContext().export(
        Double(),
        torch.ones(2, 3),
        path,
        input_names=["x"],
        output_names=["y"],
        use_cache=False,
        **settings,
    )


def test_another_engine_exports_the_model(site: FakeSite, tmp_path: Path) -> None:
    add_faulty(site, "aaa", "os._exit(3)")
    add_faulty(site, "aab", "time.sleep(600)")

    exported = export(tmp_path / "net.onnx", load_timeout=8.0)

    assert exported.exporter == "maker 1"
    assert (tmp_path / "net.onnx").read_bytes() == identity_model((2, 3), "x")
    notes = "; ".join(exported.notes)
    assert "'aaa' was left out: it ended its process during the export: exit code 3" in notes
    assert "'aab' was left out: it did not finish its export within 8 s" in notes
    assert "outputs agree with the model's own" in notes


def test_a_crash_is_the_error_if_no_other_engine_makes_the_format(
    site: FakeSite, tmp_path: Path
) -> None:
    add_faulty(site, "aaa", "os.kill(os.getpid(), signal.SIGSEGV)")

    with pytest.raises(ExportError, match=r"'aaa' ended its process during the export: .*SIGSEGV"):
        export(tmp_path / "net.own", format="own")

    assert not (tmp_path / "net.own").exists()


def test_a_row_is_not_lost_because_another_engine_cannot_export(
    site: FakeSite, tmp_path: Path
) -> None:
    add_faulty(site, "aaa", "os._exit(3)")

    report = LexerContext().benchmark(
        Double(),
        torch.ones(2, 3),
        engines=["toy"],
        input_names=["x"],
        output_names=["y"],
        num_iterations=20,
        rounds=3,
        warm_up_seconds=0.0,
        canary=False,
        use_cache=False,
    )

    assert report["toy"].status == "ok"
    assert any("'aaa' was left out" in each for each in report["toy"].warnings)
