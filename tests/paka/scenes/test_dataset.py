"""Scenes on the disk are an ordinary labelled data set, the same each time."""

import numpy as np
import pytest
from PIL import Image

from paka.evaluation.datasets import open_labelled
from paka.scenes.__main__ import main
from paka.scenes.dataset import FIRST_SEED, write_scenes
from paka.scenes.scene import CLASSES, SETTINGS, draw_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "toy"
    assert main([str(folder), "--train", "3", "--val", "2", "--size", "64"]) == 0
    return folder


def test_evaluation_reads_it(folder):
    found = open_labelled(folder)
    assert found.classes == CLASSES
    assert (len(found.train), len(found.val)) == (3, 2)
    scene = draw_scene(FIRST_SEED["val"] + 1, 64)
    assert np.array_equal(found.val.read_mask(1), scene.mask)
    assert found.label_names[found.val.labels[1]] == scene.setting
    assert set(found.label_names) <= set(SETTINGS)


def test_images_show_the_scenes(folder):
    scene = draw_scene(FIRST_SEED["train"], 64)
    photo = np.asarray(Image.open(folder / "images/train/00000.jpg")).astype(int)
    assert np.abs(photo - scene.image).mean() < 6


def test_a_folder_in_use_is_left_alone(folder):
    before = sorted(folder.rglob("*"))
    with pytest.raises(FileExistsError, match="not empty"):
        write_scenes(folder, 1, 1)
    assert sorted(folder.rglob("*")) == before


def test_bad_numbers_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "new"), "--train", "0"])
    assert ended.value.code == 2
    assert "--train must be at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
