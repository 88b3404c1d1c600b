"""Is a model that was traced before recognised, and a changed one not?"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import types
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from fresh_processes import printed_by_fresh_processes

from lexer_core.export.known_traces import KnownTrace, KnownTraces
from lexer_core.export.untraced import untraced_digest
from lexer_core.records import CallInputs, CallStructure, ModelSource, TensorRef

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

FACTOR = 2.0
LOGGER = logging.getLogger(__name__)


def helper(x: Any) -> Any:
    LOGGER.debug("called")
    return x * FACTOR


class Kind(Enum):
    ADD = 1
    MULTIPLY = 2


class Config:
    def __init__(self, width: int) -> None:
        self.width = width
        self.kind = Kind.ADD


class Net(torch.nn.Module):
    def __init__(self, width: int = 4, **attributes: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, width)
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.config = Config(width)
        vars(self).update(attributes)

    def forward(self, x: Any) -> Any:
        return helper(self.layer(x)) * self.scale


def source(module: torch.nn.Module | None = None, **changes: Any) -> ModelSource:
    plain = ModelSource(
        module=(Net() if module is None else module).eval(),
        inputs=CallInputs(
            arrays={"x": np.ones((2, 3), np.float32)},
            structure=CallStructure(args=(TensorRef("x"),)),
        ),
        input_names=("x",),
        output_names=("y",),
        model_name="Net",
    )
    return attrs.evolve(plain, **changes)


def digest(*arguments: Any, **changes: Any) -> str | None:
    return untraced_digest(source(*arguments, **changes))


def changed_in(change: Any) -> torch.nn.Module:
    net = Net()
    with torch.no_grad():
        change(net)
    return net


def test_the_same_model_made_twice_has_one_digest_and_every_process_agrees() -> None:
    code = "from test_untraced import digest; print(digest())"
    told = printed_by_fresh_processes(code)
    assert len(told) == 1
    assert digest() == digest()
    assert len(told.pop().strip()) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.layer.weight[0, 0].add_(1e-6),
        lambda net: net.scale.fill_(2),
        lambda net: setattr(net.config, "width", 5),
        lambda net: setattr(net.config, "kind", Kind.MULTIPLY),
        lambda net: setattr(net, "extra", [1, 2.0, "3"]),
        lambda net: setattr(net, "table", np.arange(3)),
        lambda net: setattr(net, "constant", torch.ones(2)),
        lambda net: setattr(net, "others", [torch.nn.Linear(2, 2)]),
        lambda net: setattr(net, "apply_last", functools.partial(helper)),
        lambda net: setattr(net, "forward", types.MethodType(lambda self, x: x, net)),
        lambda net: net.register_buffer("sparse", torch.ones(2, 2).to_sparse()),
        lambda net: net.train(),
        lambda net: setattr(net, "layer", torch.nn.Linear(3, 4, bias=False)),
    ],
)
def test_a_change_in_the_model_changes_the_digest(change: Any) -> None:
    other = untraced_digest(attrs.evolve(source(), module=changed_in(change)))
    assert other is not None
    assert other != digest()


def test_tied_weights_are_not_equal_weights() -> None:
    class Two(torch.nn.Module):
        def __init__(self, *, tied: bool) -> None:
            super().__init__()
            self.first = torch.nn.Linear(2, 2)
            self.second = torch.nn.Linear(2, 2)
            self.second.load_state_dict(self.first.state_dict())
            if tied:
                self.second.weight = self.first.weight

    torch.manual_seed(0)
    apart = digest(Two(tied=False))
    torch.manual_seed(0)
    assert digest(Two(tied=True)) != apart


def test_names_axes_and_inputs_are_part_of_the_digest() -> None:
    other_shape = CallInputs(
        arrays={"x": np.ones((4, 3), np.float32)}, structure=CallStructure(args=(TensorRef("x"),))
    )
    digests = {
        digest(),
        digest(output_names=("z",)),
        digest(dynamic_axes={"x": {0: "batch"}}),
        digest(inputs=other_shape),
    }
    assert len(digests) == 4


def test_the_code_of_a_helper_and_what_it_reads_are_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = digest()
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)
    with_constant = digest()
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda x: x + FACTOR)

    assert len({before, with_constant, digest()}) == 3


def test_a_helper_module_is_followed_into_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    digests = set()
    for factor in (1, 2):
        Path(tmp_path, "their_helper.py").write_text(f"def scale(x):\n    return x * {factor}\n")
        monkeypatch.delitem(sys.modules, "their_helper", raising=False)
        sys.path_importer_cache.clear()
        helper_module = types.ModuleType("their_helper")
        helper_module.__file__ = str(tmp_path / "their_helper.py")
        exec(Path(helper_module.__file__).read_text(), vars(helper_module))
        digests.add(digest(Net(helpers=helper_module)))
    assert len(digests) == 2
    assert None not in digests


def hooked() -> torch.nn.Module:
    net = Net()
    lock = threading.Lock()
    net.register_forward_hook(lambda *_: lock.locked() and None)
    return net


@pytest.mark.parametrize(
    "net",
    [
        hooked(),
        Net(lock=threading.Lock()),
        Net(generator=(n for n in ())),
    ],
    ids=["hook with a lock", "lock", "generator"],
)
def test_what_cannot_be_described_has_no_digest(net: torch.nn.Module) -> None:
    assert digest(net) is None


def test_a_hook_is_described_by_its_code() -> None:
    def with_hook(hook: Any) -> torch.nn.Module:
        net = Net()
        net.register_forward_hook(hook)
        return net

    first = digest(with_hook(lambda _module, _args, output: output + 1))
    second = digest(with_hook(lambda _module, _args, output: output + 2))
    assert first not in (None, second)


# --- What is known of earlier traces ---


def known(character: str = "a") -> KnownTrace:
    return KnownTrace(program=character * 64, identity={"graph": "1" * 32})


def test_a_known_trace_is_found_until_it_is_discarded(tmp_path: Path) -> None:
    traces = KnownTraces(tmp_path / "traces")
    assert traces.find("0" * 64) is None

    traces.add("0" * 64, known())
    assert KnownTraces(tmp_path / "traces").find("0" * 64) == known()

    traces.discard("0" * 64)
    assert traces.find("0" * 64) is None
    traces.discard("0" * 64)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"schema": 2, "program": "a", "identity": {}}',
        b'{"schema": 1, "program": "../x", "identity": {}}',
        b'{"schema": 1, "program": 3, "identity": {}}',
        b" " * 100_000,
    ],
)
def test_a_damaged_file_counts_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ("0" * 64 + ".json")).write_bytes(content)
    assert KnownTraces(tmp_path).find("0" * 64) is None


def test_the_number_of_traces_is_limited_and_clear_removes_them(tmp_path: Path) -> None:
    traces = KnownTraces(tmp_path)
    for number in range(1003):
        traces.add(f"{number:064x}", known())
    assert len(list(tmp_path.iterdir())) == 1000

    traces.clear(older_than=3600)
    assert len(list(tmp_path.iterdir())) == 1000
    traces.clear()
    assert not list(tmp_path.iterdir())
