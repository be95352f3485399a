"""The shipped starter: small, loadable like any encoder without a network, and worth something."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from paka.encoder import DenseEncoder
from paka.evaluation import in_context_miou
from paka.features import extract
from paka.options import FeatureOptions
from paka.scenes.scene import CLASSES, draw_scene
from paka.starter import vit_starter
from paka.starter.recipe import Recipe
from paka.starter.scenes import LABELS, image_labels

FOLDER = Path(vit_starter.__file__).parent
TRAIN, VAL = range(3_000_000_000, 3_000_000_060), range(4_000_000_000, 4_000_000_020)


@pytest.fixture(scope="module")
def scenes():
    return {
        name: [draw_scene(s) for s in seeds] for name, seeds in (("train", TRAIN), ("val", VAL))
    }


def pixels_of(scenes):
    return np.stack([scene.image for scene in scenes])


def as_tensor(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_it_is_small():
    vit = timm.create_model(vit_starter.NAME)
    assert sum(p.numel() for p in vit.parameters()) <= 6_000_000
    assert vit_starter.WEIGHTS.stat().st_size <= 12_000_000


def test_recipe_and_log_are_those_of_the_weights():
    recipe = Recipe.model_validate_json((FOLDER / "recipe.json").read_text())
    last = (FOLDER / "log.jsonl").read_text().splitlines()[-1]
    assert f'"step": {recipe.steps + recipe.final_steps},' in last
    assert recipe.first_seed + recipe.scenes < min(TRAIN)


def test_timm_loads_it_with_its_classifier(scenes):
    """Image-level labels are what it was trained on: it names what unseen scenes show."""
    vit = timm.create_model(vit_starter.NAME, pretrained=True).eval()
    with torch.inference_mode():
        logits = vit(as_tensor(pixels_of(scenes["val"])))
    least = Recipe().least_share
    truth = np.stack([image_labels(s.mask, s.setting, least) for s in scenes["val"]])
    assert logits.shape == (len(VAL), len(LABELS))
    assert ((logits > 0).numpy() == truth).mean() > 0.85


def test_its_patches_beat_raw_colour_and_random_weights(scenes):
    options = FeatureOptions(size=224, resize="stretch", dtype="float32")
    masks = {name: np.stack([s.mask for s in found]) for name, found in scenes.items()}

    def score(features):
        return in_context_miou(
            features["train"],
            masks["train"],
            features["val"],
            masks["val"],
            num_classes=len(CLASSES),
        )

    def tokens(reference):
        encoder = DenseEncoder(vit_starter.NAME, reference).eval()
        return {
            name: extract(encoder, pixels_of(found), options).patch_tokens.numpy()
            for name, found in scenes.items()
        }

    colours = {
        name: torch.nn.functional.avg_pool2d(as_tensor(pixels_of(found)), 16)
        .permute(0, 2, 3, 1)
        .numpy()
        for name, found in scenes.items()
    }
    starter = score(tokens("pretrained"))
    assert starter > score(tokens("random")) + 0.05
    assert starter > score(colours) + 0.05
