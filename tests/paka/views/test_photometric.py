import colorsys

import numpy as np
import pytest
import torch

from paka.config import ViewsConfig
from paka.views.photometric import PARAMETERS, augment, sample_photometric

NEUTRAL = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
NAMES = ("brightness", "contrast", "saturation", "hue", "grey", "sigma")


def parameters(count, **fields):
    row = [fields.get(name, value) for name, value in zip(NAMES, NEUTRAL, strict=True)]
    return torch.tensor([row] * count)


def images(count=3, seed=0):
    return torch.rand(count, 3, 24, 20, generator=torch.Generator().manual_seed(seed))


def test_neutral_parameters_leave_an_image_as_it_is():
    assert torch.allclose(augment(images(), parameters(3)), images(), atol=1e-5)


def test_brightness_scales():
    assert torch.allclose(augment(images(), parameters(3, brightness=0.5)), images() / 2, atol=1e-5)


def test_no_contrast_leaves_the_mean_grey():
    result = augment(images(), parameters(3, contrast=0.0))
    assert result.flatten(1).std(1).max() < 1e-5


def test_grey_has_equal_channels_and_keeps_lightness():
    result = augment(images(), parameters(3, grey=1.0))
    luma = (images() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    for channel in result.unbind(1):
        assert torch.allclose(channel, luma, atol=2e-3)


def test_hue_turns_the_colour_wheel():
    # From YIQ's axes a turn of the hue is close to HSV's, not equal: red by a third is near green.
    red = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    turned = augment(red, parameters(1, hue=-1 / 3))[0, :, 0, 0].tolist()
    hue = colorsys.rgb_to_hsv(*turned)[0]
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.06


def test_blur_spreads_a_point_as_a_gaussian_and_keeps_its_sum():
    point = torch.zeros(1, 3, 31, 31)
    point[..., 15, 15] = 1
    result = augment(point, parameters(1, sigma=2.0))[0, 0]
    assert result.sum().item() == pytest.approx(1, abs=1e-4)
    distance = (torch.arange(31) - 15).float().square()
    assert (result.sum(0) * distance).sum().item() == pytest.approx(4, rel=0.01)
    assert torch.equal(result.argmax(), torch.tensor(15 * 31 + 15))


def test_an_image_does_not_depend_on_its_batch():
    views = ViewsConfig.model_validate({})
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(np.stack([sample_photometric(rng, views) for _ in range(16)]))
    many = torch.rand(16, 3, 96, 96)
    together = augment(many, drawn)
    for index in (0, 7, 15):
        alone = augment(many[index : index + 1], drawn[index : index + 1])
        assert torch.equal(alone[0], together[index])


def test_colours_are_disturbed_in_float32_under_autocast():
    views = ViewsConfig.model_validate({"jitter": 1, "blur": 1})
    drawn = torch.from_numpy(np.stack([sample_photometric(np.random.default_rng(0), views)] * 3))
    expected = augment(images(), drawn)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images(), drawn), expected)
        lower = augment(images().bfloat16(), drawn)
    assert lower.dtype == torch.float32
    assert torch.equal(lower, augment(images().bfloat16().float(), drawn))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_disturbing_colours_does_not_wait_for_a_gpu():
    there = images().cuda(), parameters(3, hue=0.1).cuda()
    augment(*there)  # what is made ready only once is ready
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(*there)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_values_stay_within_their_range():
    result = augment(images(), parameters(3, brightness=1.4, contrast=1.4, saturation=1.2, hue=0.1))
    assert result.min() >= 0
    assert result.max() <= 1


def test_drawn_parameters_follow_the_settings():
    views = ViewsConfig.model_validate({"grey": 0.3, "blur": 0.5, "jitter": 0.8})
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_photometric(rng, views) for _ in range(4000)])
    assert drawn.shape == (4000, PARAMETERS)
    assert np.mean(drawn[:, 4]) == pytest.approx(0.3, abs=0.03)
    assert np.mean(drawn[:, 5] > 0) == pytest.approx(0.5, abs=0.03)
    assert np.mean(drawn[:, 0] != 1) == pytest.approx(0.8, abs=0.03)
    assert np.abs(drawn[:, 0] - 1).max() <= 0.4
    assert np.abs(drawn[:, 3]).max() <= 0.1


def test_settings_of_zero_draw_neutral_parameters():
    views = ViewsConfig.model_validate({"jitter": 0, "grey": 0, "blur": 0})
    drawn = sample_photometric(np.random.default_rng(0), views)
    assert drawn.tolist() == list(NEUTRAL)
