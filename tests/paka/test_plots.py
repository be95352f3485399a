import numpy as np
import pytest
from scipy.stats import ortho_group

from paka.plots import feature_picture, loss_curve, pca_rgb


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def tokens(rng):
    """Patch tokens of three regions, skewed along each of their three directions."""
    scores = rng.exponential(size=(12, 16, 3)) * [3.0, 2.0, 1.0]
    return scores @ rng.normal(size=(3, 24)) + 0.01 * rng.normal(size=(12, 16, 24)) + 5


def drawn(figure):
    """The figure's pixels, (H, W, 3)."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_colours_have_the_grid_of_the_patches(tokens):
    colours = pca_rgb(tokens)
    assert colours.shape == (12, 16, 3)
    assert colours.dtype == np.uint8
    assert colours.min() == 0
    assert colours.max() == 255


def test_rotating_scaling_and_shifting_the_features_changes_nothing(tokens):
    rotation = ortho_group.rvs(24, random_state=1)
    turned = 7.0 * tokens @ rotation + 3.0
    assert np.abs(pca_rgb(turned).astype(int) - pca_rgb(tokens)).max() <= 1


def test_the_first_component_is_the_largest_difference(rng):
    tokens = 0.01 * rng.normal(size=(8, 10, 6))
    tokens[:, 5:, 2] += 4
    red = pca_rgb(tokens)[..., 0].astype(int)
    assert abs(red[:, :5].mean() - red[:, 5:].mean()) > 200


def test_half_precision_gives_the_same_picture(tokens):
    half = pca_rgb(tokens.astype(np.float16))
    assert np.abs(half.astype(int) - pca_rgb(tokens)).max() < 8


@pytest.mark.parametrize("value", [0.0, 3.7, -1e4])
def test_constant_features_are_mid_grey(value):
    assert (pca_rgb(np.full((4, 5, 8), value, np.float32)) == 128).all()


def test_a_direction_without_difference_is_mid_grey(rng):
    tokens = np.outer(rng.exponential(size=30), rng.normal(size=8)).reshape(5, 6, 8)
    colours = pca_rgb(tokens)
    assert np.ptp(colours[..., 0]) == 255
    assert (colours[..., 1:] == 128).all()


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 2, 8), (4, 4, 1), (3, 3, 2)])
def test_few_patches_or_dimensions_are_no_problem(rng, shape):
    assert pca_rgb(rng.normal(size=shape)).shape == (*shape[:2], 3)


@pytest.mark.parametrize("tokens", [np.zeros((3, 4)), np.full((2, 2, 3), np.nan)])
def test_tokens_that_cannot_be_drawn_are_refused(tokens):
    with pytest.raises(ValueError, match="finite and \\(h, w, D\\)"):
        pca_rgb(tokens)


def panels(figure):
    """What each axes of the figure shows, row by row."""
    return [axes.get_images()[0].get_array() for axes in figure.axes]


def test_later_maps_take_the_colours_of_the_first(tokens, rng):
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    mirrored = tokens @ np.diag(np.where(np.arange(24) % 2, 1.0, -1.0))
    same_but_mixed = -np.einsum("hwd,de->hwe", mirrored, ortho_group.rvs(24, random_state=2))
    finer = np.repeat(np.repeat(tokens, 2, 0), 2, 1)
    figure = feature_picture([(image, {"a": tokens, "b": same_but_mixed, "c": finer})])
    shown, first, second, third = panels(figure)
    assert (shown == image).all()
    assert (first == pca_rgb(tokens)).all()
    assert np.abs(second.astype(int) - first).max() <= 1
    assert np.abs(third[::2, ::2].astype(int) - first).max() <= 6  # other percentiles


def test_every_image_has_a_row_and_every_panel_its_shape(tokens, rng):
    wide = rng.integers(0, 256, (50, 100, 3), np.uint8)
    tall = rng.integers(0, 256, (100, 50, 3), np.uint8)
    figure = feature_picture([(wide, {"before": tokens}), (tall, {"before": tokens})])
    width, height = figure.get_size_inches()
    shapes = [axes.get_position() for axes in figure.axes]
    ratios = [place.width * width / (place.height * height) for place in shapes]
    np.testing.assert_allclose(ratios, [2, 2, 0.5, 0.5])
    assert [axes.get_title() for axes in figure.axes] == ["image", "before", "", ""]
    corners = np.array([place.extents for place in shapes])
    assert corners.min() >= 0
    assert corners.max() <= 1


def test_the_picture_shows_image_and_map(tokens):
    image = np.full((60, 60, 3), (200, 30, 40), np.uint8)
    pixels = drawn(feature_picture([(image, {"map": tokens})]))
    assert ((pixels == (200, 30, 40)).all(-1)).mean() > 0.3
    assert pixels[:, pixels.shape[1] // 2 :].std() > 40


def test_a_picture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        feature_picture([])


def lines(steps, **columns):
    return [
        {"step": step, "loss": 1 / (1 + step), "lr_encoder": 1e-5, "lr_head": 1e-4,
         "images_per_second": 100.0, **columns}
        for step in steps
    ]  # fmt: skip


def test_the_loss_curve_has_what_was_logged(rng):
    figure = loss_curve(lines(range(10, 1010, 10)), "my run")
    main, rates, speed = figure.axes
    logged, smoothed = main.get_lines()
    np.testing.assert_allclose(logged.get_ydata(), 1 / (1 + np.arange(10, 1010, 10)))
    assert np.ptp(smoothed.get_ydata()) < np.ptp(logged.get_ydata())
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "learning rate", "images / s"]
    assert len(rates.get_lines()) == 2
    assert (speed.get_lines()[0].get_ydata() == 100).all()
    assert drawn(figure).std() > 10


def test_smoothing_keeps_a_constant_loss_to_its_ends():
    figure = loss_curve([{**row, "loss": 0.25} for row in lines(range(1, 101))])
    np.testing.assert_allclose(figure.axes[0].get_lines()[1].get_ydata(), 0.25)


def test_of_a_step_done_twice_the_later_line_counts():
    rows = [*lines([1, 2, 3]), {"step": 2, "loss": 9.0}, {"step": 3, "loss": 8.0}]
    [line] = loss_curve(rows).axes[0].get_lines()
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == [0.5, 9.0, 8.0]


def test_one_line_is_enough_and_missing_columns_are_gaps():
    assert drawn(loss_curve([{"step": 1, "loss": 0.5}])).std() > 1


@pytest.mark.parametrize("rows", [[], [{"step": 4, "total_steps": 9}]])
def test_a_run_without_a_loss_is_refused(rows):
    with pytest.raises(ValueError, match="no loss to draw"):
        loss_curve(rows)
