"""timm: one file of weights for `timm.create_model(…, checkpoint_path=…)`."""

from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from paka.architectures import find_architecture
from paka.encoder import DenseEncoder
from paka.export.checks import Answer, Check, compare, native_shape, other_shape
from paka.weights import save_weights

FILE = "encoder.safetensors"
TOLERANCE = 1e-6


def write(encoder: DenseEncoder, folder: Path) -> None:
    """Write `encoder.safetensors`."""
    save_weights(encoder.vit, folder / FILE)


def check(encoder: DenseEncoder, folder: Path) -> list[Check]:
    """Compare the model that timm makes of the file: as it comes, and for images of any size."""
    facts, path = find_architecture(encoder.architecture.name), str(folder / FILE)
    found = []
    for shape, dynamic in ((native_shape(facts), False), (other_shape(facts), True)):
        vit = timm.create_model(
            facts.name, num_classes=0, checkpoint_path=path, dynamic_img_size=dynamic
        )
        found += compare("timm", encoder, timm_answer(encoder, vit), [shape], TOLERANCE)
    return found


def timm_answer(encoder: DenseEncoder, vit: Any) -> Answer:
    """What a timm model makes of images, with the mean and spread of its own configuration."""
    vit.eval()
    patch, prefix = encoder.architecture.patch_size, encoder.architecture.prefix_tokens
    config = vit.pretrained_cfg

    def answer(images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (images.new_tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
        tokens = vit.forward_features((images - mean) / std)
        grid = (images.shape[2] // patch, images.shape[3] // patch)
        image = vit.forward_head(tokens, pre_logits=True)
        return tokens[:, prefix:].unflatten(1, grid), image

    return answer
