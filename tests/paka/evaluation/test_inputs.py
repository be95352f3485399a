import numpy as np
import pytest
import torch
from PIL import Image

from paka.encoder import DenseEncoder
from paka.errors import DataError, EncoderError
from paka.evaluation.datasets import open_labelled
from paka.evaluation.inputs import split_inputs

SIZE = 64


@pytest.fixture(scope="module")
def encoder():
    return DenseEncoder("test_vit", "random").eval()


@pytest.fixture(scope="module")
def val(camvid):
    return open_labelled(camvid).val.at_most(5)


@pytest.fixture
def own(tmp_path):
    """A data set of one image and mask that a test may change."""
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        Image.new("RGB", (80, 40), (10, 200, 30)).save(tmp_path / f"data/images/{split}/a.png")
        half = np.repeat(np.array([[0, 1]], np.uint8), 40, 1).repeat(40, 0)
        Image.fromarray(half).save(tmp_path / f"data/masks/{split}/a.png")
    return tmp_path / "data"


def test_features_and_masks_of_street_photographs(encoder, val):
    seen = []
    found = split_inputs(encoder, val, SIZE, batch=2, progress=lambda *done: seen.append(done))
    assert found.patch_tokens.shape == (5, 4, 4, 64)
    assert found.patch_tokens.dtype == np.float16
    assert found.image_features.shape == (5, 64)
    assert found.image_features.dtype == np.float32
    assert found.masks.shape == (5, SIZE, SIZE)
    assert seen == [(5, 10), (7, 10), (9, 10), (10, 10)]
    with Image.open(val.images[3]) as image:
        pixels = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    with torch.inference_mode():
        expected = encoder(encoder.normalise(torch.tensor(pixels).permute(2, 0, 1)[None]))
    assert np.allclose(found.patch_tokens[3], expected.patch_tokens[0], atol=0.01)
    assert np.allclose(found.image_features[3], expected.image_features[0], atol=1e-4)
    # Pixel (row, column) of the small mask is the one below its centre in the large one.
    rows = ((np.arange(SIZE) + 0.5) * 360 / SIZE).astype(int)
    columns = ((np.arange(SIZE) + 0.5) * 480 / SIZE).astype(int)
    assert np.array_equal(found.masks[3], val.read_mask(3)[np.ix_(rows, columns)])


def test_loading_processes_give_the_same(encoder, val):
    here = split_inputs(encoder, val, SIZE, batch=2)
    there = split_inputs(encoder, val, SIZE, batch=2, workers=1)
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one, other)


def forbidden(*arguments):
    raise AssertionError("was made again")


def test_what_is_cached_is_not_made_again(encoder, val, tmp_path, monkeypatch):
    made = split_inputs(encoder, val, SIZE, cache=tmp_path)
    monkeypatch.setattr(DenseEncoder, "forward", forbidden)
    monkeypatch.setattr(type(val), "read_mask", forbidden)
    seen = []
    again = split_inputs(
        encoder, val, SIZE, cache=tmp_path, progress=lambda *done: seen.append(done)
    )
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one, other)
    assert seen[-1] == (10, 10)


def test_an_interrupted_call_goes_on(encoder, val, tmp_path):
    def stop(done, total):
        if done >= 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        split_inputs(encoder, val, SIZE, batch=2, cache=tmp_path, progress=stop)
    seen = []
    found = split_inputs(
        encoder, val, SIZE, batch=2, cache=tmp_path, progress=lambda *done: seen.append(done[0])
    )
    assert seen[:3] == [5, 9, 10]
    whole = split_inputs(encoder, val, SIZE, batch=2)
    for one, other in zip(found, whole, strict=True):
        assert np.array_equal(one, other)


def other_weights(own, arguments):
    encoder = DenseEncoder("test_vit", "random").eval()
    with torch.no_grad():
        encoder.vit.norm.bias += 1
    return {**arguments, "encoder": encoder}


def other_image(own, arguments):
    Image.new("RGB", (80, 40), (200, 10, 30)).save(own / "images/val/a.png")
    return arguments


@pytest.mark.parametrize("change", [other_weights, other_image])
def test_other_weights_or_images_are_not_taken_from_the_cache(encoder, own, tmp_path, change):
    arguments = {"encoder": encoder, "split": open_labelled(own).val, "size": SIZE}
    before = split_inputs(**arguments, cache=tmp_path / "cache")
    after = split_inputs(**change(own, arguments), cache=tmp_path / "cache")
    assert not np.array_equal(before.patch_tokens, after.patch_tokens)
    assert np.array_equal(before.masks, after.masks)


def test_another_size_or_mask_is_not_taken_from_the_cache(encoder, own, tmp_path):
    val = open_labelled(own).val
    before = split_inputs(encoder, val, SIZE, cache=tmp_path / "cache")
    assert split_inputs(encoder, val, 32, cache=tmp_path / "cache").masks.shape == (1, 32, 32)
    Image.new("L", (80, 40), 255).save(own / "masks/val/a.png")
    after = split_inputs(encoder, val, SIZE, cache=tmp_path / "cache")
    assert (after.masks == 255).all()
    assert np.array_equal(before.patch_tokens, after.patch_tokens)


def test_a_mask_that_does_not_fit_is_named(encoder, own):
    Image.new("L", (40, 80)).save(own / "masks/val/a.png")
    with pytest.raises(DataError, match=r"a\.png is 40 x 80 pixels"):
        split_inputs(encoder, open_labelled(own).val, SIZE)


def test_a_size_that_the_encoder_cannot_take(encoder, own):
    with pytest.raises(EncoderError, match="60"):
        split_inputs(encoder, open_labelled(own).val, 60)


def test_features_that_are_not_finite(own):
    encoder = DenseEncoder("test_vit", "random").eval()
    with torch.no_grad():
        encoder.vit.norm.bias += torch.inf
    with pytest.raises(EncoderError, match="test_vit gives features that are not finite"):
        split_inputs(encoder, open_labelled(own).val, SIZE)
