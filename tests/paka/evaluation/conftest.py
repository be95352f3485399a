import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def hummingbird():
    """Values that open-hummingbird-eval 2.0 gives: arrays named `<case>/<name>`."""
    default = REPOSITORY.parent / "shared/data/hummingbird"
    file = Path(os.environ.get("PAKA_HUMMINGBIRD", default)) / "reference.npz"
    if not file.is_file():
        pytest.skip(f"no {file}; set PAKA_HUMMINGBIRD to its folder")
    with np.load(file) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def scene():
    """Features (n, 4, 6, 8) and masks (n, 16, 24) with 5 classes, some pixels ignored.

    A patch's features mix the prototypes of its classes, with noise; images 0 to 11 are for
    training and 12 to 17 for validation.
    """
    random = np.random.default_rng(0)
    coarse = random.integers(0, 5, (18, 3, 4))
    masks = coarse.repeat(6, 1).repeat(6, 2)[:, 1:17].astype(np.uint8)
    masks[random.random(masks.shape) < 0.05] = 255
    shares = np.eye(256)[masks][..., :5].reshape(18, 4, 4, 6, 4, 5).mean((2, 4))
    prototypes = random.standard_normal((5, 8))
    features = shares @ prototypes + 0.4 * random.standard_normal((18, 4, 6, 8))
    return features.astype(np.float32), masks
