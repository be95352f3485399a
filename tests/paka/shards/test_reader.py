"""Features written by the real extraction, read back in both formats."""

import json
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch

from paka import FeatureReader
from paka.data.folder import ImageFiles
from paka.data.images import open_images
from paka.encoder import DenseEncoder
from paka.errors import ConfigError, DataError
from paka.features import extract_dataset, extract_images
from paka.options import FeatureOptions

OPTIONS = FeatureOptions(size=32)


@pytest.fixture(scope="module")
def dataset(photos, tmp_path_factory):
    """Eleven photographs and an image that cannot be read, the fourth."""
    folder = shutil.copytree(photos, tmp_path_factory.mktemp("reader") / "photos")
    sorted(folder.iterdir())[3].write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def encoder():
    return DenseEncoder("test_vit", "random").eval()


@pytest.fixture(scope="module", params=["safetensors", "zarr"])
def features(request, encoder, dataset, tmp_path_factory):
    """A folder of features in three shards, of which the first lacks an image."""
    output = tmp_path_factory.mktemp(request.param)
    assert extract_dataset(
        encoder,
        open_images(dataset),
        OPTIONS,
        output,
        "test_vit@random",
        form=request.param,
        batch_size=3,
        workers=0,
        shard_images=5,
        skip=lambda found: None,
    )
    return output


@pytest.fixture
def reader(features):
    return FeatureReader(features)


@pytest.fixture(scope="module")
def expected(encoder, dataset):
    paths = [path for path in sorted(dataset.iterdir()) if path.stat().st_size > 100]
    tensors, _ = extract_images(encoder, paths, OPTIONS, "x")
    return [path.name for path in paths], {key: value.numpy() for key, value in tensors.items()}


def test_it_is_a_sequence_of_images_that_knows_how_they_were_made(reader, expected, dataset):
    names, arrays = expected
    assert reader.names == names
    assert len(reader) == 11
    [skipped] = reader.skipped
    assert skipped["image"] == sorted(path.name for path in dataset.iterdir())[3]
    assert reader.geometry["grid"] == [2, 2]
    assert reader.geometry["encoder"] == "test_vit@random"
    assert "shards" not in reader.geometry
    for number, one in enumerate(reader):
        assert one.name == names[number]
        np.testing.assert_allclose(one.patch_tokens, arrays["patch_tokens"][number], atol=2e-2)
        np.testing.assert_allclose(one.image_features, arrays["image_features"][number], atol=2e-2)
        np.testing.assert_array_equal(one.box, arrays["boxes"][number])
        np.testing.assert_array_equal(one.original_size, arrays["original_sizes"][number])
    assert one.patch_tokens.dtype == np.float16


def test_images_are_found_by_name_and_number(reader, expected):
    names, _ = expected
    np.testing.assert_array_equal(reader[names[6]].patch_tokens, reader[6].patch_tokens)
    assert reader[-1].name == names[-1]
    with pytest.raises(IndexError):
        reader[11]
    with pytest.raises(KeyError):
        reader["nowhere.jpg"]


@pytest.mark.parametrize("part", [slice(2, 9), slice(4, 5), slice(None), slice(-3, None)])
def test_a_slice_goes_over_shards(reader, part):
    batch = reader[part]
    assert batch.names == reader.names[part]
    whole = np.stack([one.patch_tokens for one in reader])
    np.testing.assert_array_equal(batch.patch_tokens, whole[part])
    assert batch.boxes.shape == (len(batch.names), 4)


def test_an_empty_slice_has_no_rows_and_one_with_a_step_is_refused(reader):
    for part in (slice(0, 0), slice(7, 3), slice(20, 30)):
        assert reader[part].names == []
        assert reader[part].patch_tokens.shape == (0, 2, 2, 64)
    with pytest.raises(ValueError, match="no step"):
        reader[::2]


def test_batches_are_all_images_once(reader):
    batches = list(reader.batches(4))
    assert [len(batch.names) for batch in batches] == [4, 4, 3]
    assert [name for batch in batches for name in batch.names] == reader.names


def test_it_is_a_data_set_for_torch_in_forked_and_new_processes(reader):
    first = reader[0]
    loader = torch.utils.data.DataLoader(reader, batch_size=4, num_workers=2)
    batches = list(loader)
    assert [name for batch in batches for name in batch.name] == reader.names
    assert batches[0].patch_tokens.shape == (4, 2, 2, 64)
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again[0].patch_tokens, first.patch_tokens)


def test_an_open_shard_is_kept_but_not_all_of_them(reader, monkeypatch):
    monkeypatch.setattr("paka.shards.reader._OPEN_SHARDS", 2)
    assert len(list(reader)) == 11
    assert len(reader._open) == 2


def test_a_damaged_shard_is_named_and_made_again(features, encoder, dataset, tmp_path):
    copy = shutil.copytree(features, tmp_path / "features")
    reader = FeatureReader(copy)
    shard = copy / json.loads((copy / "index.json").read_text())["shards"][1]["file"]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:7])
    with pytest.raises(DataError, match=rf"{shard.name} is damaged: .*; remove it"):
        reader[7]
    form = "zarr" if shard.suffix == ".zip" else "safetensors"
    extract_dataset(
        *(encoder, open_images(dataset), OPTIONS, copy, "test_vit@random"),
        form=form,
        workers=0,
        shard_images=5,
        skip=lambda found: None,
    )
    np.testing.assert_array_equal(
        FeatureReader(copy)[7].patch_tokens, FeatureReader(features)[7].patch_tokens
    )


def test_without_an_index_the_features_are_not_complete(tmp_path):
    with pytest.raises(DataError, match=r"index\.json is not there; it is written last"):
        FeatureReader(tmp_path)


def test_zarr_itself_opens_a_shard(encoder, dataset, tmp_path):
    import zarr

    paths = sorted(dataset.iterdir())[:3]
    images = ImageFiles([path.name for path in paths], dataset)
    settings = {"form": "zarr", "workers": 0}
    assert extract_dataset(encoder, images, OPTIONS, tmp_path, "x", **settings)
    with zarr.storage.ZipStore(tmp_path / "features-00000.zarr.zip", mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert group["patch_tokens"].shape == (3, 2, 2, 64)
        assert group["patch_tokens"].chunks == (1, 2, 2, 64)
        assert group["original_sizes"][:].tolist()[0] == [320, 320]
        assert group.attrs["images"] == [path.name for path in paths]
        assert group.attrs["paka"]["grid"] == [2, 2]
    made = (tmp_path / "features-00000.zarr.zip").stat().st_mtime_ns
    assert extract_dataset(encoder, images, OPTIONS, tmp_path, "x", **settings)
    assert (tmp_path / "features-00000.zarr.zip").stat().st_mtime_ns == made
    assert extract_dataset(encoder, images, FeatureOptions(size=48), tmp_path, "x", **settings)
    assert FeatureReader(tmp_path)[0].patch_tokens.shape == (3, 3, 64)


def test_files_of_another_kind_and_a_missing_package_are_named(features, tmp_path, monkeypatch):
    index = json.loads((features / "index.json").read_text())
    monkeypatch.setitem(sys.modules, "zarr", None)
    for file, error, message in (
        ("features.h5", DataError, r"none of \.safetensors, \.zarr\.zip"),
        ("features.zarr.zip", ConfigError, r"zarr.*pip install 'paka-service\[formats\]'"),
    ):
        index["shards"][0]["file"] = file
        (tmp_path / "index.json").write_text(json.dumps(index))
        with pytest.raises(error, match=message):
            FeatureReader(tmp_path)[0]
