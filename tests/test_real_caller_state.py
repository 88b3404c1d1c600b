"""Does a model run in a worker as it does in the caller's process?"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from real_models import benchmark, own_cache, parities  # noqa: E402

from lexer_core.errors import ModelError  # noqa: E402
from lexer_core.model.caller_state import read_caller_state  # noqa: E402
from lexer_core.model.torch_settings import (  # noqa: E402
    apply_torch_settings,
    read_torch_settings,
)
from lexer_core.target.load import load_target  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

nn = torch.nn
ROW = torch.ones(2, 3)


def cell(source: str) -> dict[str, Any]:
    """Run code as a notebook does: its classes cannot be imported."""
    namespace: dict[str, Any] = {"__name__": "a cell"}
    exec(compile(f"import torch\n{source}", "<cell>", "exec"), namespace)
    return namespace


def on_torch(model: Any, input: Any, **settings: Any) -> BenchmarkReport:
    return benchmark(model, input, engines=["torch"], **settings)


def about_processes(report: BenchmarkReport) -> list[str]:
    return [note for note in report.notes if "process" in note]


@pytest.fixture
def restored_settings() -> Iterator[None]:
    before = read_torch_settings()
    yield
    torch.set_default_device(None)
    inductor = sys.modules.get("torch._inductor.config")
    if inductor is not None:
        inductor.max_autotune = False
    assert apply_torch_settings(before) == []


# -- settings of torch ---------------------------------------------------------------

CHANGES = {
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "default device": "torch.set_default_device('meta')",
    "matmul precision": "torch.set_float32_matmul_precision('medium')",
    "matmul precision of a backend": "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "deterministic": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "mkldnn": "torch.backends.mkldnn.enabled = False",
    "cudnn": "torch.backends.cudnn.benchmark = True",
    "attention": "torch.backends.cuda.enable_flash_sdp(False)",
    "fast path": "torch.backends.mha.set_fastpath_enabled(False)",
    "denormals": "torch.set_flush_denormal(True)",
    "autocast": "torch.set_autocast_enabled('cpu', True)",
    "compiler": "import torch._inductor.config as c; c.max_autotune = True",
}

STRICT = """
class Net(torch.nn.Module):
    def __init__(self, expected):
        super().__init__()
        self.expected = expected

    def forward(self, x):
        from lexer_core.model.torch_settings import read_torch_settings

        found = read_torch_settings()
        for name, value in self.expected.items():
            assert found[name] == value, (name, found[name])
        return x.to(torch.float32) * 2
"""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.usefixtures("restored_settings")
def test_a_setting_of_torch_applies_in_workers(change: str) -> None:
    before = read_torch_settings()
    exec(change)
    expected = {name: value for name, value in read_torch_settings().items() if name in before}
    expected = {name: value for name, value in expected.items() if value != before[name]}
    assert expected

    report = on_torch(cell(STRICT)["Net"](expected), ROW)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "process"
    assert about_processes(report) == []


def test_an_environment_variable_that_the_caller_set_applies_in_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACTOR", "3")
    net = cell(
        "import os\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x): return x * float(os.environ['FACTOR'])\n"
    )["Net"]

    assert on_torch(net(), ROW)["torch"].isolation == "process"


def test_a_number_of_threads_that_the_caller_set_is_noted() -> None:
    before = torch.get_num_threads()
    many = 2 * (os.cpu_count() or 1) + 1
    torch.set_num_threads(many)
    try:
        noted = on_torch(nn.Linear(3, 3), ROW, threads=None)
        decided = on_torch(nn.Linear(3, 3), ROW, threads=1)
    finally:
        torch.set_num_threads(before)

    assert [note for note in noted.notes if f"threads={many}" in note]
    assert about_processes(decided) == []


# -- operators -----------------------------------------------------------------------

LIBRARY = {
    "library": """
lib = torch.library.Library("NAME", "DEF")
lib.define("scale3(Tensor x) -> Tensor")
lib.impl("scale3", lambda x: x * 3, "CompositeExplicitAutograd")
""",
    "functions": """
torch.library.define("NAME::scale3", "(Tensor x) -> Tensor")

@torch.library.impl("NAME::scale3", "cpu")
def scale3(x):
    return x * 3
""",
    "decorator": """
@torch.library.custom_op("NAME::scale3", mutates_args=())
def scale3(x: torch.Tensor) -> torch.Tensor:
    return x * 3
""",
}
SCALES = """
class Net(torch.nn.Module):
    def forward(self, x):
        return torch.ops.NAME.scale3(x)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules, which are forgotten when they can no longer be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("kind", LIBRARY)
def test_an_operator_that_an_imported_module_registered_exists_in_workers(
    kind: str, folder: Path
) -> None:
    name = f"operators_by_{kind}"
    (folder / f"{name}.py").write_text(f"import torch\n{LIBRARY[kind].replace('NAME', name)}")
    net = cell(f"import {name}\n{SCALES.replace('NAME', name)}")["Net"]

    report = on_torch(net(), ROW)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "process"


def test_a_module_whose_operators_the_model_does_not_mention_is_not_imported(folder: Path) -> None:
    (folder / "for_another_model.py").write_text(
        "import torch\n" + LIBRARY["decorator"].replace("NAME", "for_another_model")
    )
    model = cell("import for_another_model\nclass Net(torch.nn.Linear): pass")["Net"](3, 3)

    state = read_caller_state(model)

    assert "for_another_model" not in state.modules


def test_the_module_of_a_file_is_not_imported_in_workers(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("import torch\nclass Net(torch.nn.ReLU): pass\n")

    report = on_torch(load_target(f"{path}:Net").model, ROW)

    assert report["torch"].isolation == "process"
    assert not [warning for warning in report["torch"].warnings if "imported" in warning]


def test_an_operator_is_sent_by_name(folder: Path) -> None:
    (folder / "sent_by_name.py").write_text(
        "import torch\n" + LIBRARY["decorator"].replace("NAME", "sent_by_name")
    )
    net = cell(
        "from sent_by_name import scale3\n"
        "packet = torch.ops.aten.relu\n"
        "overload = torch.ops.aten.relu.default\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x): return overload(packet(scale3(x)))\n"
    )["Net"]

    assert on_torch(net(), ROW)["torch"].isolation == "process"


def test_an_operator_of_a_notebook_is_measured_in_the_caller_and_the_note_says_why() -> None:
    net = cell(LIBRARY["library"].replace("NAME", "cell_ops") + SCALES.replace("NAME", "cell_ops"))

    report = on_torch(net["Net"](), ROW)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "none"
    assert "not in a worker process: Net raised AttributeError" in about_processes(report)[0]
    assert "cell_ops" in about_processes(report)[0]


def test_a_model_that_fails_everywhere_fails_as_in_the_worker() -> None:
    net = cell("class Net(torch.nn.Module):\n    def forward(self, x): return 1 / 0\n")["Net"]

    with pytest.raises(ModelError, match="Net raised ZeroDivisionError"):
        on_torch(net(), ROW)


# -- what a worker cannot know ---------------------------------------------------------


def test_a_patched_function_is_measured_in_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    original = nn.functional.relu
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace=False: original(x) + 100)

    report = on_torch(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), ROW)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "none"
    assert "differ from those in the caller's process (by up to 100)" in about_processes(report)[0]


def test_a_patched_method_is_measured_in_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    original = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: original(self, x) * 2)

    report = on_torch(nn.Linear(3, 3), ROW)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "none"


COUNTS = """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.seen += 1
        return x * 2
"""


def test_the_callers_model_is_as_before() -> None:
    model = cell(COUNTS)["Net"]()

    on_torch(model, ROW)

    assert (model.calls, model.seen.item(), model.training) == (0, 0.0, True)


# -- inputs and programs ---------------------------------------------------------------

TAGGED = """
class Tagged(torch.Tensor):
    def doubled(self):
        return self * self.factor

class Net(torch.nn.Module):
    def forward(self, x, other):
        return x.doubled() + other["y"].doubled()
"""


def test_an_input_keeps_its_tensor_subclass() -> None:
    names = cell(TAGGED)
    x, y = (torch.ones(2, 3).as_subclass(names["Tagged"]) for _ in range(2))
    x.factor, y.factor = 2, 3

    report = on_torch(names["Net"](), (x, {"y": y}))

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "process"
    assert [spec.name for spec in report.input_specs] == ["x", "other.y"]


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Any, *, mask: Any) -> Any:
        return self.linear(x) * mask


def exported() -> Any:
    return torch.export.export(Masked().eval(), (torch.ones(2, 3),), {"mask": torch.ones(2, 3)})


@pytest.mark.parametrize(
    "input",
    [{"x": ROW, "mask": ROW}, {"mask": ROW, "x": ROW}, None],
    ids=["by name", "in another order", "as it was exported"],
)
def test_a_program_is_called_by_its_own_specification(input: Any) -> None:
    report = benchmark(exported(), input)

    assert parities(report) == {"torch": "pass", "onnxruntime": "pass"}
    assert [row.isolation for row in report.results] == ["process", "process"]
    assert [spec.name for spec in report.input_specs] == ["x", "mask"]
    assert about_processes(report) == []


def test_a_program_that_was_loaded_from_a_file_is_measured(tmp_path: Path) -> None:
    torch.export.save(exported(), tmp_path / "program.pt2")

    report = on_torch(torch.export.load(tmp_path / "program.pt2"), None)

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "process"


# -- memory ----------------------------------------------------------------------------

LARGE = """
class Large(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(2048, 2048, bias=False) for _ in range(COUNT)
        )

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""
PLAIN = """
with torch.inference_mode():
    model, x = Large().eval(), torch.ones(1, 2048)
    for _ in range(20):
        model(x)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_the_memory_of_torch_is_that_of_a_process_that_builds_and_runs_the_model() -> None:
    source = LARGE.replace("COUNT", "20")  # 320 MiB
    done = subprocess.run(
        [sys.executable, "-c", f"import torch\ntorch.set_num_threads(1)\n{source}{PLAIN}"],
        capture_output=True,
        text=True,
        check=True,
    )
    plain = 1024 * int(done.stdout)

    report = on_torch(cell(source)["Large"](), torch.ones(1, 2048))

    assert plain > 320 * 2**20
    assert 0.9 * plain < report["torch"].peak_memory_bytes < 1.1 * plain
