"""Training the starter: reproducible, from image-level labels, into a file that timm loads."""

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from paka.scenes.scene import CLASSES, SETTINGS, draw_scene
from paka.starter.__main__ import main
from paka.starter.recipe import Recipe
from paka.starter.scenes import LABELS, Batches, Crops, image_labels

SMALL = ["--scenes", "8", "--steps", "3", "--size", "32", "--batch", "4", "--warmup", "1"]
SMALL += ["--final-steps", "1", "--final-size", "48", "--final-batch", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folders = [tmp_path_factory.mktemp("starter") for _ in range(2)]
    for folder in folders:
        assert main([str(folder), *SMALL]) == 0
    return folders


def test_the_same_recipe_gives_the_same_weights(trained):
    first, second = (load_file(folder / "starter.safetensors") for folder in trained)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_weights_are_half_precision_and_fit_the_architecture(trained):
    state = load_file(trained[0] / "starter.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16}
    vit = timm.create_model("vit_starter_patch16_224", num_classes=len(LABELS))
    vit.load_state_dict(state)


def test_recipe_and_log_lie_beside_the_weights(trained):
    recipe = Recipe.model_validate_json((trained[0] / "recipe.json").read_text())
    assert (recipe.scenes, recipe.steps, recipe.final_steps) == (8, 3, 1)
    rows = [json.loads(line) for line in (trained[0] / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 4
    assert 0 < rows[-1]["loss"] < 2


def test_labels_name_what_a_scene_shows_and_its_setting():
    scene = draw_scene(3)
    labels = image_labels(scene.mask, scene.setting, 0.005)
    named = {name for name, shown in zip(LABELS, labels, strict=True) if shown}
    assert named & set(SETTINGS) == {scene.setting}
    for index, name in enumerate(CLASSES):
        assert (name in named) == ((scene.mask == index).mean() >= 0.005)


def test_crops_depend_on_their_position_alone():
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (5, 224, 224, 3), dtype=np.uint8)
    labels = random.random((5, len(LABELS))) > 0.5
    crops = Crops(Recipe(scenes=5), images, labels)
    first, again, other = crops[(3, 64)], crops[(3, 64)], crops[(8, 64)]
    assert first[0].shape == (3, 64, 64)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_each_pass_shows_every_scene_once():
    images = np.zeros((6, 224, 224, 3), dtype=np.uint8)
    labels = np.eye(6, len(LABELS), dtype=np.bool_)
    crops = Crops(Recipe(scenes=6), images, labels)
    for epoch in range(2):
        shown = [int(crops[(6 * epoch + i, 32)][1].argmax()) for i in range(6)]
        assert sorted(shown) == list(range(6))


def test_batches_end_with_the_larger_crops():
    batches = list(Batches(Recipe(steps=2, batch=3, final_steps=1, final_batch=2)))
    assert batches == [
        [(0, 112), (1, 112), (2, 112)],
        [(3, 112), (4, 112), (5, 112)],
        [(6, 224), (7, 224)],
    ]


def test_a_setting_out_of_bounds_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--size", "100"])
    assert ended.value.code == 2
    assert "--size" in capsys.readouterr().err
