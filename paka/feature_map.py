"""Patch tokens of all of one image, as pictures show them."""

import numpy as np
from PIL.Image import Image

from paka.architectures import MAX_SIZE, Architecture
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder
from paka.features import extract
from paka.options import FeatureOptions


def feature_map(encoder: DenseEncoder, image: Image, size: int) -> np.ndarray:
    """Return patch tokens (h, w, D) of all of an image, its shorter side at about `size` pixels."""
    height, width = input_size(encoder.architecture, image.height, image.width, size)
    options = FeatureOptions(size=(height, width), resize="stretch", dtype="float32")
    prepared = prepare(image, height, width, options.resize)
    tokens: np.ndarray = extract(encoder, prepared.pixels[None], options).patch_tokens[0].numpy()
    return tokens


def input_size(facts: Architecture, height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width that keep the image's shape as nearly as whole patches allow."""
    scale = min(size / min(height, width), MAX_SIZE / max(height, width))
    patch, most = facts.patch_size, MAX_SIZE // facts.patch_size
    rows, columns = (min(max(round(side * scale / patch), 1), most) for side in (height, width))
    return rows * patch, columns * patch
