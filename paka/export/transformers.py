"""transformers: a folder that `AutoModel.from_pretrained` and `AutoImageProcessor` load.

config.json               the settings of the model that computes the same
model.safetensors         the weights under that model's names
preprocessor_config.json  size, mean and spread; the largest centred square, resized bicubically

Writing it needs timm only; the check needs `transformers`.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from paka.architectures import Architecture
from paka.encoder import DenseEncoder
from paka.errors import ExportError
from paka.export.checks import Check, compare, library, native_shape, other_shape
from paka.export.counterparts import Counterpart, find_counterpart
from paka.files import share, write_json

TOLERANCE = 1e-4


def write(encoder: DenseEncoder, folder: Path) -> None:
    """Write the folder's three files.

    Raises:
        ExportError: `transformers` has no model that computes the same.
    """
    found = _counterpart(encoder)
    tensors = {name: value.contiguous().clone() for name, value in found.tensors.items()}
    weights = folder / "model.safetensors"
    save_file(tensors, weights, {"format": "pt"})
    share(weights)
    write_json(folder / "config.json", found.config)
    write_json(folder / "preprocessor_config.json", preprocessing(encoder.architecture))


def check(encoder: DenseEncoder, folder: Path) -> list[Check]:
    """Compare the model that `AutoModel` makes of the folder, at its own size and at another.

    Raises:
        ExportError: `transformers` is not installed, or misses or does not know a tensor.
    """
    facts = encoder.architecture
    counterpart = _counterpart(encoder)
    transformers = library("transformers")
    with _no_progress_bar(transformers):
        model, about = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    if wrong := {name: names for name, names in about.items() if names}:
        raise ExportError(f"transformers does not read the folder as it should: {wrong}")
    processor = transformers.AutoImageProcessor.from_pretrained(folder)

    def answer(images: Tensor) -> tuple[Tensor, Tensor | None]:
        steps = dict.fromkeys(("do_resize", "do_center_crop", "do_rescale"), False)
        pixels = processor(images, return_tensors="pt", **steps)["pixel_values"]
        return features(model.eval(), counterpart, pixels, facts)

    elsewhere = TOLERANCE if counterpart.any_size else None
    found = [(native_shape(facts), TOLERANCE), (other_shape(facts), elsewhere)]
    return [
        one
        for shape, tolerance in found
        for one in compare("transformers", encoder, answer, [shape], tolerance, counterpart.pooling)
    ]


def features(
    model: Any, counterpart: Counterpart, pixels: Tensor, facts: Architecture
) -> tuple[Tensor, Tensor | None]:
    """Patch tokens (B, h, w, D) and image features (B, D), if it has any, of such a model.

    Args:
        pixels: standardised images (B, 3, H, W).
    """
    resizing = {} if counterpart.any_size else {"interpolate_pos_encoding": True}
    found = model(pixels, **resizing)
    tokens = found.last_hidden_state
    if counterpart.final_norm is not None:
        tokens = attrgetter(counterpart.final_norm)(model)(tokens)
    grid = [side // facts.patch_size for side in pixels.shape[2:]]
    return tokens[:, facts.prefix_tokens :].unflatten(1, grid), found.pooler_output


def preprocessing(facts: Architecture) -> dict[str, Any]:
    """What preprocessor_config.json says: as `paka embed` prepares images."""
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": facts.size},
        "resample": 3,  # bicubic, by Pillow's number
        "do_center_crop": True,
        "crop_size": {"height": facts.size, "width": facts.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(facts.mean),
        "image_std": list(facts.std),
    }


def _counterpart(encoder: DenseEncoder) -> Counterpart:
    """The counterpart, its position embeddings brought to the wanted size if it cannot itself."""
    facts = encoder.architecture
    found = find_counterpart(encoder.vit, facts.name)
    if found.any_size or found.config["image_size"] == facts.size:
        return found
    vit: Any = copy.deepcopy(encoder.vit)
    vit.set_input_size(img_size=facts.size)
    return find_counterpart(vit, facts.name)


@contextmanager
def _no_progress_bar(transformers: Any) -> Iterator[None]:
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
