"""Do real engines serve requests in several threads, with right outputs?"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

from lexer_core import LexerContext  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime, pytest.mark.openvino]


@pytest.mark.parametrize(
    ("engines", "shared_session"),
    [(["torch", "openvino"], False), (["torch", "onnxruntime", "openvino"], True)],
)
def test_two_instances_of_each_engine_serve_requests(engines, shared_session):
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
    report = LexerContext(max_seconds=1.5, show_progress=False, warm_up_seconds=0.05).load(
        net,
        torch.ones(4, 64),
        slo="p90<=1s",
        rates=50,
        instances=2,
        threads=1,
        shared_session=shared_session,
        engines=engines,
    )

    assert {row.status for row in report} == {"ok"}
    assert {row.parity.status for row in report} == {"pass"}
    assert len(report.configurations) == len(engines)
    for each in report.configurations:
        assert each.shared_session == shared_session
        assert [point.concurrency for point in each.closed] == [1, 2]
        assert each.gil
        assert each.points[0].achieved_per_sec > 0.0
