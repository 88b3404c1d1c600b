"""What does an engine get that converts models to a format of its own?"""

from __future__ import annotations

import pytest
from fake_engines import FakeSite

from lexer_core.context import LexerContext
from lexer_core.engine_helpers import program_specs
from lexer_core.records import CallInputs, CallStructure, ModelSource, TensorRef, TensorSpec

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

ENGINE = """
import numpy as np

from lexer_core.engine_helpers import program_specs
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, ExportedModel


class Session:
    def run(self, placed):
        return {"y": np.maximum(placed["x"], 0)}

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Own", runtime_modules=(), runtime_distributions=(), formats=("own",)
    )


@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "own" or source.program is None:
        return None
    inputs, outputs = program_specs(source)
    path = workdir / "model.own"
    path.write_text("relu")
    return ExportedModel(
        format="own", path=path, inputs=inputs, outputs=outputs, size_bytes=4, exporter="own 1"
    )


@hookimpl
def lexer_create_session(exported, device, config):
    return Session()
"""


@pytest.mark.parametrize("use_cache", [True, False])
def test_its_export_gets_the_traced_program(use_cache, tmp_path, monkeypatch):
    site = FakeSite(tmp_path / "site")
    site.add_engine("own", ENGINE)
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    context = LexerContext(
        num_iterations=5, warm_up_seconds=0.0, isolation="none", use_cache=use_cache
    )

    report = context.benchmark(
        torch.nn.ReLU().eval(),
        torch.randn(2, 3),
        engines=["own"],
        input_names=["x"],
        output_names=["y"],
    )

    assert report["own"].status == "ok", report["own"].error
    assert report["own"].parity.status == "pass"


def test_specs_of_a_program_have_the_names_of_the_source_and_of_dynamic_axes():
    class Net(torch.nn.Module):
        def forward(self, image, scale):
            return image.argmax(1), image * scale

    image, scale = torch.zeros(4, 3), torch.ones((), dtype=torch.float32)
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        Net().eval(), (image, scale), dynamic_shapes=({0: batch}, None), strict=False
    )
    source = ModelSource(
        program=program,
        inputs=CallInputs(
            arrays={"image": image.numpy(), "scale": scale.numpy()},
            structure=CallStructure(args=(TensorRef("image"), TensorRef("scale"))),
        ),
        input_names=("image", "scale"),
        output_names=("index", "scaled"),
        dynamic_axes={"image": {0: "batch"}},
    )

    inputs, (index, scaled) = program_specs(source)

    assert inputs == (
        TensorSpec(name="image", dtype="float32", shape=("batch", 3)),
        TensorSpec(name="scale", dtype="float32", shape=()),
    )
    assert (index.name, index.dtype, len(index.shape)) == ("index", "int64", 1)
    assert (scaled.name, scaled.dtype, scaled.shape[1]) == ("scaled", "float32", 3)
    assert isinstance(index.shape[0], str)
    assert index.shape[0] == scaled.shape[0]
