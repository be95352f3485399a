from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paka.data.sampling import StreamSampler, locate


def take(sampler, count):
    return list(islice(sampler, count))


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 1000))
def test_every_epoch_covers_every_image_once(images, epoch, seed):
    places = [locate(epoch * images + offset, seed, images) for offset in range(images)]
    assert {place[0] for place in places} == {epoch}
    assert sorted(place[1] for place in places) == list(range(images))


def test_epochs_and_seeds_differ_in_order():
    def order(seed, epoch):
        return [locate(epoch * 30 + i, seed, 30)[1] for i in range(30)]

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) == order(0, 0)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_together_see_the_batches_of_one(world):
    shares = [iter(StreamSampler(8, rank, world)) for rank in range(world)]
    for step in range(3):
        batch = [p for share in shares for p in take(share, 8 // world)]
        assert batch == list(range(step * 8, step * 8 + 8))


def test_a_later_start_is_the_tail():
    assert take(StreamSampler(4, start_step=5), 12) == take(StreamSampler(4), 32)[20:]
