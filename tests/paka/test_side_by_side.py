import threading

import numpy as np
import pytest
import torch

from paka.encoder import DenseEncoder
from paka.features import extract
from paka.options import FeatureOptions
from paka.side_by_side import side_by_side


@pytest.fixture
def threads():
    """Sets how many threads torch has, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_each_thread_has_its_part_and_they_come_back_in_order(threads):
    threads(4)
    all_at_once = threading.Barrier(4, timeout=20)

    def compute(part):
        all_at_once.wait()
        return part.tolist(), torch.get_num_threads()

    parts = side_by_side(compute, np.arange(8))
    assert parts == [([0, 1], 1), ([2, 3], 1), ([4, 5], 1), ([6, 7], 1)]
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize(
    ("count", "images", "parts"),
    [(1, 8, 1), (2, 1, 1), (2, 3, 1), (2, 9, 2), (4, 3, 1), (4, 31, 4)],
)
def test_one_part_is_all_where_some_threads_would_wait_long(threads, count, images, parts):
    threads(count)
    assert [len(one) for one in side_by_side(list, np.arange(images))] == [
        len(one) for one in np.array_split(np.arange(images), parts)
    ]


def test_an_error_of_a_part_is_raised_and_the_threads_are_as_before(threads):
    threads(2)

    def fail(part):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side(fail, np.arange(4))
    assert torch.get_num_threads() == 2


def test_features_are_the_same_to_the_bit(threads):
    encoder = DenseEncoder("test_vit", "random").eval()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    options = FeatureOptions.model_validate({"size": 32, "dtype": "float32"})
    threads(1)
    alone = extract(encoder, pixels, options)
    threads(2)
    together = extract(encoder, pixels, options)
    assert torch.equal(alone.patch_tokens, together.patch_tokens)
    assert torch.equal(alone.image_features, together.image_features)
