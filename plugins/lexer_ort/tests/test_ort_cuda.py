"""Does ONNXRuntime measure on a CUDA device, where its package has that provider?"""

from __future__ import annotations

import pytest

onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

from lexer_core.context import LexerContext  # noqa: E402
from lexer_core.testing import EngineConformance  # noqa: E402
from lexer_ort.devices import list_devices  # noqa: E402

PROVIDERS = onnxruntime.get_available_providers()

pytestmark = [
    pytest.mark.onnxruntime,
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in PROVIDERS,
        reason=f"onnxruntime {onnxruntime.__version__} has no CUDAExecutionProvider; "
        "onnxruntime-gpu has it",
    ),
]


def test_a_device_is_listed_with_its_name_and_uuid():
    device = next(each for each in list_devices() if each.kind == "cuda")

    assert device.description == torch.cuda.get_device_name(device.index)
    assert device.uuid == f"GPU-{torch.cuda.get_device_properties(device.index).uuid}"


def test_a_row_on_a_gpu_says_where_it_ran():
    context = LexerContext(num_iterations=20, warm_up_seconds=0.1, threads=1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))

    row = context.benchmark(
        model, torch.randn(4, 64), engines=["onnxruntime"], device="cuda", rtol=1e-2, atol=1e-2
    )["onnxruntime"]

    assert (row.status, row.device, row.device_name) == ("ok", "GPU", "cuda:0"), row.error
    assert row.parity.status == "pass", row.parity.reason
    assert row.placement.share > 0


class TestOnnxRuntimeOnCuda(EngineConformance):
    engine_name = "onnxruntime"
    device = "cuda"
