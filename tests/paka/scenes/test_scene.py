"""Scenes are the same for the same seed, show every class, and their masks say what they show."""

import numpy as np
import pytest

from paka.scenes.scene import CLASSES, SETTINGS, STUFF, THINGS, draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(seed, 96) for seed in range(60)]


def test_a_seed_always_gives_the_same_scene():
    first, again, other = draw_scene(7, 64), draw_scene(7, 64), draw_scene(8, 64)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert first.setting == again.setting
    assert not np.array_equal(first.image, other.image)


def test_image_and_mask_have_the_asked_size():
    scene = draw_scene(0, 80)
    assert scene.image.shape == (80, 80, 3)
    assert scene.mask.shape == (80, 80)
    assert scene.image.dtype == scene.mask.dtype == np.uint8


def test_every_class_and_setting_is_drawn(scenes):
    assert {scene.setting for scene in scenes} == set(SETTINGS)
    shown = set().union(*(np.unique(scene.mask).tolist() for scene in scenes))
    assert shown == set(range(len(CLASSES)))


def test_a_setting_is_made_of_its_own_surfaces(scenes):
    for scene in scenes:
        above, horizon, below, _ = SETTINGS[scene.setting]
        surfaces = {CLASSES[i] for i in np.unique(scene.mask)} & set(STUFF)
        assert surfaces <= {above, horizon, below}


def test_things_hide_one_another_and_no_pixel_is_empty(scenes):
    things = [len({CLASSES[i] for i in np.unique(s.mask)} & set(THINGS)) for s in scenes]
    assert 2 <= np.mean(things) <= 8
    assert all(scene.image.std() > 5 for scene in scenes)


def test_the_mean_colour_does_not_tell_a_thing():
    """What makes a class is its shape and pattern: colours of one class spread over the circle."""
    colours = []
    for seed in range(150):
        scene = draw_scene(seed, 64)
        ball = scene.mask == CLASSES.index("ball")
        if ball.sum() > 30:
            colours.append(scene.image[ball].mean(0))
    assert len(colours) > 15
    assert np.std(colours, axis=0).min() > 25


def test_a_murky_camera_shows_the_same_scene_less_well():
    clear, murky = draw_scene(5, 96), draw_scene(5, 96, "murky")
    again = draw_scene(5, 96, "murky")
    assert np.array_equal(clear.mask, murky.mask)
    assert np.array_equal(murky.image, again.image)
    assert murky.image.mean(2).std() < 0.9 * clear.image.mean(2).std()
