"""ONNX: one file that onnxruntime runs anywhere, for any number of images of any size.

encoder.onnx       input `images` (B, 3, H, W), RGB in [0, 1]: the encoder's mean and spread are
                   part of the graph; outputs `patch_tokens` (B, h, w, D), `image_features` (B, D)
encoder.onnx.data  the weights of an encoder too large for one file (2 GB is the format's limit)
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paka.architectures import MAX_SIZE, Architecture
from paka.encoder import DenseEncoder
from paka.export.checks import Check, Shape, compare, library, native_shape, other_shape
from paka.export.rope import resizable_rope
from paka.weights import weights_sha256

FILE = "encoder.onnx"
TOLERANCE = 1e-3
OPSET = 20
OUTPUTS = {
    "patch_tokens": ("batch", "rows", "columns"),
    "image_features": ("batch",),
}


class WholeEncoder(nn.Module):
    """An encoder that takes RGB images in [0, 1] as they are."""

    def __init__(self, encoder: DenseEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return patch tokens (B, h, w, D) and image features (B, D) of images (B, 3, H, W)."""
        found = self.encoder(self.encoder.standardise(images))
        return found.patch_tokens, found.image_features


def write(encoder: DenseEncoder, folder: Path) -> None:
    """Write `encoder.onnx`, with what a user must know in its metadata.

    Raises:
        ExportError: onnx or onnxscript is not installed.
    """
    for name in ("onnx", "onnxscript"):
        library(name)
    facts = encoder.architecture
    patch = facts.patch_size
    sides = [torch.export.Dim(name, min=1, max=MAX_SIZE // patch) for name in ("rows", "columns")]
    batch = torch.export.Dim("batch", min=1, max=65535)
    # An example side of one patch, or two equal sides, would be taken for the only ones.
    example = torch.rand(2, 3, 3 * patch, 5 * patch)
    with _quiet(), resizable_rope(encoder.vit):
        program = torch.onnx.export(
            WholeEncoder(encoder).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={"images": {0: batch, 2: patch * sides[0], 3: patch * sides[1]}},
            input_names=["images"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    _name_sides(program.model.graph)
    program.model.metadata_props.update(metadata(encoder))
    program.save(folder / FILE)


def check(encoder: DenseEncoder, folder: Path) -> list[Check]:
    """Compare what onnxruntime computes, on two sizes and three numbers of images.

    Raises:
        ExportError: onnxruntime is not installed.
    """
    runtime = library("onnxruntime")
    session = runtime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])

    def answer(images: Tensor) -> tuple[Tensor, Tensor]:
        patches, image = session.run(list(OUTPUTS), {"images": images.numpy()})
        return torch.from_numpy(patches), torch.from_numpy(image)

    return compare("onnx", encoder, answer, _shapes(encoder.architecture), TOLERANCE)


def metadata(encoder: DenseEncoder) -> dict[str, str]:
    """What a user must know to use the features, as the file's `metadata_props`."""
    facts = encoder.architecture
    return {
        "architecture": facts.name,
        "encoder_sha256": weights_sha256(encoder.vit),
        "patch_size": str(facts.patch_size),
        "prefix_tokens": str(facts.prefix_tokens),
        "size": str(facts.size),
        "mean": json.dumps(facts.mean),
        "std": json.dumps(facts.std),
        "input": "RGB in [0, 1]; mean and std are applied inside",
    }


def _shapes(facts: Architecture) -> tuple[Shape, ...]:
    _, height, width = other_shape(facts)
    return native_shape(facts), (1, height, width), (3, facts.patch_size, 2 * facts.patch_size)


def _name_sides(graph: Any) -> None:
    """Call the dimensions that may vary by names for people."""
    names = {"images": ("batch", None, "height", "width"), **OUTPUTS}
    for value in (*graph.inputs, *graph.outputs):
        sides = list(value.shape)
        for place, name in enumerate(names[value.name]):
            sides[place] = name or sides[place]
        value.shape = type(value.shape)(sides)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about its own inside away from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
