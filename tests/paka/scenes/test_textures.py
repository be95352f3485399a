"""Every texture is a pattern in 0..1 that varies."""

import numpy as np
import pytest

from paka.scenes import textures
from paka.scenes.scene import STUFF, THINGS

PATTERNS = sorted(
    {kind.texture for kind in (*STUFF.values(), *THINGS.values())}, key=lambda t: t.__name__
)


@pytest.mark.parametrize("texture", PATTERNS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("shape", [(96, 96), (9, 70), (60, 24)], ids=str)
def test_values_lie_in_0_to_1_and_differ(texture, shape):
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / 12
    pattern = texture(np.random.default_rng(1), columns, rows)
    assert pattern.shape == shape
    assert pattern.dtype == np.float32
    assert pattern.min() >= 0 and pattern.max() <= 1
    assert pattern.max() - pattern.min() > 0.02


def test_finer_noise_varies_more_between_neighbours():
    rng = np.random.default_rng(0)
    coarse, fine = (textures.noise(rng, (128, 128), cells) for cells in (4, 40))
    assert np.abs(np.diff(fine, axis=1)).mean() > 3 * np.abs(np.diff(coarse, axis=1)).mean()
