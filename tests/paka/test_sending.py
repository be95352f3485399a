import pytest
import torch

from paka.sending import sent_ahead
from paka.views.pipeline import Loaded, ViewBatch


def steps(count, device="cpu"):
    """Batches of ever larger numbers, and a list of those that were asked for."""
    taken = []

    def load():
        for number in range(count):
            taken.append(number)
            tensors = (torch.full((64, 1000), float(number)) for _ in ViewBatch._fields)
            if device == "cuda":
                tensors = (tensor.pin_memory() for tensor in tensors)
            yield [Loaded(ViewBatch(*tensors), [])]

    return load(), taken


def test_without_a_gpu_nothing_is_asked_for_ahead_or_copied():
    batches, taken = steps(3)
    sent = sent_ahead(batches, torch.device("cpu"))
    [first] = next(sent)
    assert taken == [0]
    assert (first.views.global_images == 0).all()
    assert [float(one.views.parents[0, 0]) for [one] in sent] == [1, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_next_batch_while_it_computes_this_one():
    batches, taken = steps(5, "cuda")
    sums, ahead = [], []
    for number, [one] in enumerate(sent_ahead(batches, torch.device("cuda"))):
        assert one.views.parents.is_cuda
        slow = torch.randn(4000, 4000, device="cuda")
        sums.append((one.views.parents + 0 * (slow @ slow).sum()).sum())
        ahead.append(len(taken) - number)
    assert [float(value) / 64000 for value in sums] == [0, 1, 2, 3, 4]
    assert ahead == [1] * 5  # this one's computing is asked for before the next is waited for
