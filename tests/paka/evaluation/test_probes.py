"""The probes, on features whose answer is known, and on a real encoder."""

import numpy as np
import pytest
import torch

from paka.data.images import open_images
from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.evaluation.probes import (
    Probe,
    ProbeSample,
    effective_rank,
    linear_cka,
    neighbour_consistency,
    view_agreement,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turned(features, seed=5):
    return features @ torch.linalg.qr(draw(*2 * features.shape[-1:], seed=seed))[0]


def directions(count, dim=6):
    """Patches that differ in `count` directions alike, far from the origin."""
    points = torch.cat([torch.eye(dim)[:count], -torch.eye(dim)[:count]])
    return turned(points.repeat(3, 1, 1)) + 10


@pytest.mark.parametrize("count", [1, 2, 6])
def test_effective_rank_counts_the_directions_in_which_patches_differ(count):
    assert effective_rank(directions(count)) == pytest.approx(count, abs=1e-3)


def test_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values():
    features = draw(3, 8, 5) * torch.tensor([1, 2, 4, 8, 16])
    rows = features.reshape(24, 5).double().numpy()
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    share = singular / singular.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert effective_rank(features) == pytest.approx(expected)
    assert effective_rank(100 * turned(features) + 3) == pytest.approx(expected, abs=1e-3)


def test_effective_rank_of_equal_patches_is_zero():
    assert effective_rank(draw(1, 1, 5).expand(3, 8, 5)) == 0


def test_cka_is_one_for_the_same_relations_and_the_formulas_otherwise():
    one, other = draw(3, 8, 5), draw(3, 8, 4, seed=1)
    assert linear_cka(one, 3 * turned(one) + 2) == pytest.approx(1)
    x, y = (f.reshape(24, -1).double().numpy() for f in (one, other))
    x, y = x - x.mean(0), y - y.mean(0)
    cross = np.linalg.norm(x.T @ y) ** 2
    expected = cross / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert linear_cka(one, other) == pytest.approx(expected)


def test_neighbours_are_looked_for_in_other_images_by_their_cosine():
    one, other = draw(3, 4, 5), draw(3, 4, 6, seed=1)
    shares = []
    for index in range(12):
        nearest = []
        for features in (one, other):
            x = features.flatten(0, 1)
            cosines = {
                j: torch.cosine_similarity(x[index], x[j], 0).item()
                for j in range(12)
                if j // 4 != index // 4
            }
            nearest.append(set(sorted(cosines, key=cosines.get)[-3:]))
        shares.append(len(nearest[0] & nearest[1]) / 3)
    assert neighbour_consistency(one, other, k=3) == pytest.approx(np.mean(shares))
    assert 0 < np.mean(shares) < 1
    assert neighbour_consistency(one, 2 * turned(one), k=3) == 1
    assert neighbour_consistency(one, other, k=8) == 1  # all that there are


def test_neighbours_need_a_second_image():
    with pytest.raises(ValueError, match="there is 1 image"):
        neighbour_consistency(draw(1, 4, 5), draw(1, 4, 5))


def test_view_agreement_compares_the_same_places():
    # Each patch holds its own place, so that only the same places agree.
    steps = (torch.arange(16) - 7.5) / 8
    place = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), 2)
    maps = torch.cat([place, torch.full((16, 16, 1), 0.1)], 2).repeat(2, 1, 1, 1)
    corners = torch.tensor([[[0.0, 0.5], [0.5, 1.0]], [[0.5, 0.25], [1.0, 0.75]]])
    flips = torch.tensor([False, True])
    views = torch.stack([maps[0, 8:, :8], maps[1, 4:12, 8:].flip(1)])
    assert view_agreement(maps, 3 * views, corners, flips) == pytest.approx(1, abs=1e-3)
    assert view_agreement(maps, -views, corners, flips) == pytest.approx(-1, abs=1e-3)
    assert view_agreement(maps, views, corners, ~flips) < 0.9
    assert view_agreement(maps, views, corners.flip(0), flips) < 0.9


def test_the_second_views_pixels_are_where_its_corners_say(tmp_path):
    from PIL import Image

    x = np.linspace(0, 255, 200)
    ramp = np.stack([np.tile(x, (100, 1)), np.tile(x[:100, None] * 2, (1, 200))], -1)
    pixels = np.dstack([ramp, np.zeros((100, 200))]).round().astype(np.uint8)
    for name in "abcd":
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    sample = ProbeSample.load(open_images(tmp_path), 32, 64, 32)
    assert sample.images.shape == (4, 64, 64, 3)
    assert sample.views.shape == (4, 32, 32, 3)
    assert sample.flips.tolist() == [False, True, False, True]
    assert len(sample.corners.unique(dim=0)) == 4
    steps = (np.arange(32) + 0.5) / 32
    for image, view, ends, flip in zip(*sample, strict=True):
        (left, top), (right, bottom) = ends.tolist()
        shown = view[:, ::-1] if flip else view
        low, high = image[32, [0, -1], 0].astype(float)
        expected = low + (left + steps * (right - left)) * (high - low)
        assert np.abs(shown[16, :, 0] - expected).max() < 4
        low, high = image[[0, -1], 32, 1].astype(float)
        expected = low + (top + steps * (bottom - top)) * (high - low)
        assert np.abs(shown[:, 16, 1] - expected).max() < 6


@pytest.fixture(scope="module")
def sample(photos):
    return ProbeSample.load(open_images(photos), 5, 64, 32)


@pytest.fixture
def encoder():
    return DenseEncoder("test_vit", "random")


def test_an_encoder_is_like_itself_and_less_like_another(sample, encoder):
    probe = Probe(encoder, sample)
    itself = probe.measure(encoder)
    assert itself["cka_to_base"] == pytest.approx(1)
    assert itself["neighbour_consistency"] == 1
    torch.manual_seed(0)
    for parameter in encoder.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter) * parameter.std().nan_to_num())
    other = probe.measure(encoder)
    assert other["cka_to_base"] < 0.999
    assert other["neighbour_consistency"] < 1
    for values in (itself, other):
        assert 1 < values["effective_rank"] <= 64
        assert 0 < values["view_agreement"] < 1


@pytest.mark.parametrize("training", [False, True])
def test_the_encoder_and_the_random_state_are_left_as_they_were(sample, encoder, training):
    encoder.train(training)
    state = torch.get_rng_state()
    first = Probe(encoder, sample).measure(encoder)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training == training for module in encoder.modules())
    assert Probe(encoder, sample).measure(encoder) == first
    encoder.patch_tokens(torch.rand(1, 3, 64, 64)).sum().backward()


def test_one_image_has_no_neighbours_in_others(photos, encoder):
    alone = ProbeSample.load(open_images(photos), 1, 64, 32)
    assert "neighbour_consistency" not in Probe(encoder, alone).measure(encoder)


def test_features_that_are_not_finite_are_told(sample, encoder):
    probe = Probe(encoder, sample)
    next(iter(encoder.vit.blocks[0].parameters())).data.fill_(torch.nan)
    with pytest.raises(EncoderError, match="not finite"):
        probe.measure(encoder)
