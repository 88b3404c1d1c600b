"""What ``@Lexer`` does to a class, and what it leaves alone."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - torch may not be there

from lexer.decorators.lexer import Lexer  # noqa: E402
from lexer_core.decorator import ModelLexer  # noqa: E402
from lexer_core.errors import InputError, SettingError  # noqa: E402
from lexer_core.model.lexer_metadata import metadata_of  # noqa: E402

pytestmark = pytest.mark.torch


class Plain(nn.Module):
    def __init__(self, width: int = 4, *, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@Lexer(input_names=["x"], output_names=["y"], num_iterations=5)
class Decorated(Plain):
    pass


class Child(Decorated):
    pass


@Lexer(input_names=["x"])
class WithSubmodule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lexer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lexer(x)


@Lexer(input_names=["x"])
class WithRegistered(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind == "module":
            self.register_module("lexer", nn.Linear(4, 2))
        elif kind == "buffer":
            self.register_buffer("lexer", torch.ones(2))
        else:
            self.register_parameter("lexer", nn.Parameter(torch.ones(2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


X = torch.ones(1, 4)


def test_the_class_is_the_same_object_with_the_same_signature() -> None:
    class Model(Plain):
        pass

    before = inspect.signature(Model)

    assert Lexer(input_names=["x"])(Model) is Model
    assert inspect.signature(Model) == before


def test_the_metadata_has_names_and_settings_also_for_subclasses() -> None:
    for model in (Decorated(), Child()):
        metadata = metadata_of(model)
        assert metadata is not None
        assert (metadata.input_names, metadata.output_names) == (("x",), ("y",))
        assert metadata.settings == {"num_iterations": 5}
    assert metadata_of(Plain()) is None


@pytest.mark.parametrize(
    "again",
    [
        lambda model: pickle.loads(pickle.dumps(model)),
        copy.deepcopy,
        torch.jit.script,
        lambda model: torch.export.export(model, (X,)).module(),
        lambda model: torch.compile(model, backend="eager"),
    ],
    ids=["pickle", "deepcopy", "script", "export", "compile"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_what_worked_before_works_after(again) -> None:
    model = Decorated().eval()

    assert torch.equal(again(model)(X), model(X))


def test_the_state_is_the_same() -> None:
    assert set(Decorated().state_dict()) == {"linear.weight", "linear.bias"}
    Decorated().load_state_dict(Plain().state_dict())


def test_a_submodule_called_lexer_stays_the_models_own() -> None:
    model = WithSubmodule()

    assert isinstance(model.lexer, nn.Linear)
    assert set(model.state_dict()) == {"lexer.weight", "lexer.bias"}
    assert model(X).shape == (1, 2)


@pytest.mark.parametrize("kind", ["module", "buffer", "parameter"])
def test_anything_registered_as_lexer_stays_the_models_own(kind: str) -> None:
    model = WithRegistered(kind)

    assert not isinstance(model.lexer, ModelLexer)
    assert any(name.startswith("lexer") for name in model.state_dict())


def test_an_attribute_or_method_called_lexer_stays_the_models_own() -> None:
    @Lexer()
    class WithMethod(nn.Module):
        def lexer(self) -> str:
            return "mine"

    with_attribute = Decorated()
    with_attribute.lexer = 7

    assert WithMethod().lexer() == "mine"
    assert with_attribute.lexer == 7


def test_otherwise_the_model_offers_benchmark_and_export() -> None:
    model = Decorated()

    assert isinstance(model.lexer, ModelLexer)
    assert callable(model.lexer.benchmark)
    assert callable(model.lexer.export)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"input_names": "image"}, InputError, r"input_names=\['image'\]"),
        ({"input_names": ["a", "a"]}, InputError, "'a' twice"),
        ({"output_names": ["a", ""]}, InputError, "not a name"),
        ({"thread": 1}, SettingError, "Did you mean 'threads'"),
        ({"num_iterations": 0}, SettingError, "at least 1"),
    ],
)
def test_a_mistake_in_the_decorator_shows_where_it_is_written(arguments, error, words) -> None:
    with pytest.raises(error, match=words):
        Lexer(**arguments)


def test_only_classes_are_decorated() -> None:
    with pytest.raises(InputError, match="must decorate a class"):
        Lexer()(Plain())
