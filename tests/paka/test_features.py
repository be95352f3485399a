import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from paka.data.decode import decode
from paka.data.folder import list_images
from paka.data.images import open_images
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder
from paka.errors import DataError
from paka.features import _write, extract, extract_dataset, extract_images
from paka.options import FeatureOptions
from paka.weights import weights_sha256

OPTIONS = FeatureOptions(size=64, dtype="float32")


@pytest.fixture(scope="module")
def encoder():
    return DenseEncoder("test_vit", "random").eval()


def pixels(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def test_extract_is_the_encoder_on_normalised_pixels(encoder):
    found = extract(encoder, pixels(), OPTIONS)
    with torch.inference_mode():
        images = torch.from_numpy(pixels()).permute(0, 3, 1, 2)
        expected = encoder(encoder.normalise(images))
    assert torch.equal(found.patch_tokens, expected.patch_tokens)
    assert torch.equal(found.image_features, expected.image_features)


def test_half_precision_and_unit_length(encoder):
    options = FeatureOptions(size=64, normalize=True)
    found = extract(encoder, pixels(), options)
    assert found.patch_tokens.dtype == torch.float16
    assert torch.allclose(found.patch_tokens.float().norm(dim=-1), torch.ones(3, 4, 4), atol=1e-2)


@pytest.fixture
def extract_here(encoder, photos, tmp_path):
    def run(options=OPTIONS, **settings):
        settings = {"batch_size": 4, "workers": 0, "shard_images": 5, **settings}
        images = open_images(photos)
        return extract_dataset(encoder, images, options, tmp_path, "test_vit@random", **settings)

    return run


def test_a_data_set_becomes_shards_with_an_index(extract_here, encoder, photos, tmp_path):
    seen = []
    assert extract_here(progress=lambda done, total: seen.append((done, total)))
    index = json.loads((tmp_path / "index.json").read_text())
    paths = list_images(photos)
    assert index["images"] == len(paths) == 12
    assert [len(shard["images"]) for shard in index["shards"]] == [5, 5, 2]
    assert index["grid"] == [4, 4]
    assert index["encoder_sha256"] == weights_sha256(encoder.vit)
    assert seen[-1] == (12, 12)
    assert seen == sorted(seen)
    for shard in index["shards"]:
        tensors = load_file(tmp_path / shard["file"])
        for row, name in enumerate(shard["images"]):
            prepared = prepare(decode(photos / name), 64, 64, "crop")
            expected = extract(encoder, prepared.pixels[None], OPTIONS)
            assert torch.allclose(tensors["patch_tokens"][row], expected.patch_tokens[0], atol=1e-5)
            assert tensors["boxes"][row].tolist() == pytest.approx(prepared.box, rel=1e-6)
            assert tuple(tensors["original_sizes"][row].tolist()) == prepared.original_size


def test_while_a_shard_is_written_its_batches_are_gone(tmp_path):
    batches = [{"rows": torch.ones(2)}, {"rows": torch.zeros(1)}]

    def write(aside, arrays, _about):
        assert batches == []
        aside.write_bytes(arrays["rows"].astype(np.uint8))

    _write(SimpleNamespace(write=write), tmp_path / "shard", None, batches)
    assert (tmp_path / "shard").read_bytes() == b"\1\1\0"


def test_stopping_keeps_whole_shards_and_a_second_run_makes_only_the_rest(extract_here, tmp_path):
    done = []
    assert not extract_here(progress=lambda d, t: done.append(d), stop=lambda: done[-1] > 5)
    assert not (tmp_path / "index.json").exists()
    [first] = tmp_path.glob("features-*.safetensors")
    made = first.stat().st_mtime_ns
    assert extract_here()
    assert first.stat().st_mtime_ns == made
    assert (tmp_path / "index.json").exists()


def test_other_options_make_all_shards_anew(extract_here, tmp_path):
    extract_here()
    extract_here(FeatureOptions(size=32, dtype="float32"))
    for shard in tmp_path.glob("features-*.safetensors"):
        assert load_file(shard)["patch_tokens"].shape[1:3] == (2, 2)


def test_while_shards_are_made_anew_there_is_no_index_of_the_old_ones(extract_here, tmp_path):
    extract_here()
    other = FeatureOptions(size=32, dtype="float32")
    assert not extract_here(other, stop=lambda: True)
    assert not (tmp_path / "index.json").exists()


def test_an_image_that_cannot_be_decoded_is_named(encoder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        extract_dataset(encoder, open_images(tmp_path), OPTIONS, tmp_path / "out", "x", workers=0)


def test_skipped_images_are_in_no_shard_but_in_the_index(encoder, photos, tmp_path):
    folder, output = shutil.copytree(photos, tmp_path / "photos"), tmp_path / "out"
    names = [path.name for path in list_images(folder)]
    for name in names[2:8]:  # the whole second shard of four, and half of the first
        (folder / name).write_bytes(b"no image")
    told = []

    def extract_once():
        settings = {"workers": 0, "batch_size": 3, "shard_images": 4, "skip": told.extend}
        assert extract_dataset(encoder, open_images(folder), OPTIONS, output, "x", **settings)
        return json.loads((output / "index.json").read_text())

    index = extract_once()
    assert [shard["images"] for shard in index["shards"]] == [names[:2], names[8:]]
    assert index["images"] == 6
    assert [one["image"] for one in index["skipped"]] == names[2:8]
    assert {one["reason"] for one in index["skipped"]} == {"is not an image that can be read"}
    assert [one.image for one in told] == names[2:8]
    first = load_file(output / index["shards"][0]["file"])["patch_tokens"]
    expected, _ = extract_images(encoder, [folder / name for name in names[:2]], OPTIONS, "x")
    assert torch.allclose(first, expected["patch_tokens"], atol=1e-5)
    made = [path.stat().st_mtime_ns for path in sorted(output.glob("*.safetensors"))]
    assert extract_once() == index
    assert [path.stat().st_mtime_ns for path in sorted(output.glob("*.safetensors"))] == made
    assert len(told) == 12


def test_a_few_images_with_how_they_were_made(encoder, photos):
    paths = list_images(photos)[:3]
    tensors, metadata = extract_images(encoder, paths, OPTIONS, "test_vit@random")
    assert tensors["patch_tokens"].shape == (3, 4, 4, 64)
    about = json.loads(metadata["paka"])
    assert about["size"] == [64, 64]
    assert about["prefix_tokens"] == 1
    assert json.loads(metadata["images"]) == [str(path) for path in paths]


def test_a_shard_says_how_it_was_made(extract_here, tmp_path):
    extract_here()
    with safe_open(tmp_path / "features-00000.safetensors", "pt") as file:
        assert json.loads(file.metadata()["paka"])["encoder"] == "test_vit@random"
