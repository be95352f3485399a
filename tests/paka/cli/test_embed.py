import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from paka import FeatureReader


def test_images_become_one_file_in_their_order(paka, photos, result, tmp_path):
    output = tmp_path / "new" / "pets.safetensors"
    images = [photos / "chelsea.jpg", photos / "astronaut.jpg"]
    done = paka("embed", *images, "--encoder", result, "--output", output, "--size", "64x96")
    assert done.exit_code == 0, done.output
    tensors = load_file(output)
    assert tensors["patch_tokens"].shape == (2, 4, 6, 64)
    assert tensors["patch_tokens"].dtype == np.float16
    assert tensors["original_sizes"].tolist()[1] == [320, 320]
    with safe_open(output, "numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["images"]) == [str(path) for path in images]
    assert json.loads(metadata["paka"])["size"] == [64, 96]


def test_every_option_reaches_the_features(paka, photos, tmp_path):
    options = ["--size", "32", "--layers", "-1,0", "--dtype", "float32", "--normalize"]
    options += ["--pooling", "mean", "--resize", "stretch", "--encoder", "test_vit@random"]
    output = tmp_path / "one.safetensors"
    assert paka("embed", photos / "coffee.jpg", *options, "--output", output).exit_code == 0
    tensors = load_file(output)
    assert tensors["patch_tokens"].shape == (1, 2, 2, 128)
    assert tensors["patch_tokens"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(tensors["patch_tokens"], axis=-1), 1, atol=1e-5)
    assert tensors["image_features"].shape == (1, 64)
    width, height = tensors["original_sizes"][0]
    assert tensors["boxes"][0].tolist() == [0, 0, width, height]


def test_an_npy_file_holds_the_patch_tokens_alone(paka, photos, tmp_path):
    output = tmp_path / "one.npy"
    arguments = ["--encoder", "test_vit@random", "--size", "48", "--output", output]
    assert paka("embed", photos / "coffee.jpg", *arguments).exit_code == 0
    assert np.load(output).shape == (1, 3, 3, 64)


def test_a_folder_becomes_shards_with_an_index(paka, photos, tmp_path):
    arguments = ["--encoder", "test_vit@random", "--size", 32, "--output", tmp_path / "features"]
    done = paka("embed", photos, *arguments, "--workers", "0")
    assert done.exit_code == 0, done.output
    assert "images 12/12" in done.stderr
    index = json.loads((tmp_path / "features/index.json").read_text())
    assert index["images"] == 12
    assert (tmp_path / "features" / index["shards"][0]["file"]).exists()


def test_an_archive_becomes_zarr_for_the_reader(paka, photos, tmp_path):
    shutil.make_archive(tmp_path / "photos", "tar", photos)
    given = ["--encoder", "test_vit@random", "--size", 32, "--output", tmp_path / "features"]
    done = paka("embed", tmp_path / "photos.tar", *given, "--workers", "0", "--format", "zarr")
    assert done.exit_code == 0, done.output
    reader = FeatureReader(tmp_path / "features")
    assert len(reader) == 12
    assert reader["photos.tar/chelsea.jpg"].patch_tokens.shape == (2, 2, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "50"], "--size 50 must be a multiple of the patch size 16"),
        (["--size", "big"], "--size 'big' must be one or more whole numbers"),
        (["--size", "1x2x3"], "--size"),
        (["--layers", "12"], "--layers must lie in"),
        (["--dtype", "float64"], "'float64' is not one of 'float16', 'float32'"),
        (["--pooling", "max"], "--pooling"),
        (["--encoder", "tset_vit@random"], "did you mean test_vit"),
        (["--format", "csv"], "'csv' is not one of 'safetensors', 'zarr'"),
        (["--output", "features.txt"], "must end in .safetensors or .npy"),
    ],
)
def test_options_that_cannot_work_end_with_code_2(paka, photos, options, message):
    given = ["--encoder", "test_vit@random", "--output", "x.npy", *options]
    result = paka("embed", photos / "coffee.jpg", *given)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("images", [["."], [".", "."], ["nowhere.jpg"]])
def test_what_cannot_be_embedded_into_a_file_ends_with_code_2(paka, images):
    result = paka("embed", *images, "--encoder", "test_vit@random", "--output", "x.npy")
    assert result.exit_code == 2
    assert "error: " in result.output


def test_an_image_that_cannot_be_read_ends_with_code_1_and_no_file(paka, tmp_path):
    broken, output = tmp_path / "broken.jpg", tmp_path / "x.npy"
    broken.write_bytes(b"nothing")
    result = paka("embed", broken, "--encoder", "test_vit@random", "--output", output)
    assert result.exit_code == 1
    assert "broken.jpg is not an image" in result.output
    assert not output.exists()
