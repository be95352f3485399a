"""What Hugging Face's `datasets` saves to disk, and crafted folders that look like it."""

import json
import multiprocessing
import pickle
import shutil

import pytest

from paka.data.images import open_images
from paka.data.links import Reach
from paka.data.unreadable import Unreadable, read_image
from paka.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two splits, as `datasets` saves them: five images as bytes, with labels, and two as files."""
    import datasets
    from PIL import Image

    folder = tmp_path_factory.mktemp("saved")
    for number in range(2):
        Image.new("RGB", (4, 4), (0, number, 0)).save(folder / f"{number}.png")
    images = [Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(5)]
    train = {"label": [0, 1, 2, 3, 4], "photo": images}
    test = {"photo": [str(folder / f"{number}.png") for number in range(2)]}
    made = {
        "train": datasets.Dataset.from_dict(train).cast_column("photo", datasets.Image()),
        "test": datasets.Dataset.from_dict(test).cast_column("photo", datasets.Image()),
    }
    made["train"] = made["train"].select([4, 3, 2, 1, 0])
    datasets.DatasetDict(made).save_to_disk(folder / "set", num_shards={"train": 2, "test": 1})
    return folder / "set"


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(saved, tmp_path / "set")


def colours(images):
    decoded = (read_image(images, index) for index in range(len(images)))
    return [image.getpixel((0, 0))[:2] for image in decoded]


TRAIN, TEST = [(4, 0), (3, 0), (2, 0), (1, 0), (0, 0)], [(0, 0), (0, 1)]


def test_a_split_is_its_rows_in_their_order(saved):
    images = open_images(saved / "train")
    assert [images.name(index) for index in range(5)] == ["0", "1", "2", "3", "4"]
    assert colours(images) == TRAIN


def test_all_splits_together_are_named_by_split_and_row(saved):
    images = open_images(saved)
    names = [images.name(index) for index in range(len(images))]
    assert names == [*(f"train/{row}" for row in range(5)), "test/0", "test/1"]
    assert colours(images) == TRAIN + TEST


def test_forked_and_new_processes_read_the_same(saved):
    images = open_images(saved)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(images.read, range(7)) == [images.read(index) for index in range(7)]
    assert colours(pickle.loads(pickle.dumps(images))) == TRAIN + TEST


def rewrite(folder, rows):
    """Put other rows into a split: what stands for an image, as bytes and path."""
    import pyarrow as pa

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"photo": pa.array(rows, kind)})
    [state] = folder.glob("state.json")
    [file, *_] = json.loads(state.read_text())["_data_files"]
    with pa.ipc.new_stream(str(folder / file["filename"]), table.schema) as writer:
        writer.write_table(table)
    return folder


def test_rows_that_hold_paths_are_read_where_links_may_lead(folder, tmp_path, monkeypatch):
    split, content = folder / "test", (folder.parent / "set/in.png")
    content.write_bytes(b"in")
    (tmp_path / "out.png").write_bytes(b"out")
    (split / "own.png").write_bytes(b"own")
    (split / "link.png").symlink_to(tmp_path / "out.png")
    paths = [str(content), str(tmp_path / "out.png"), "own.png", "link.png", "../../out.png"]
    paths += ["https://example.org/a.png", "a\0b", "", None]
    rewrite(split, [{"bytes": None, "path": path} for path in paths] + [None])
    images = open_images(split)
    read = [images.read(index) for index in range(5)]
    assert read == [b"in", b"out", b"own", b"out", b"out"]
    wrong = [read_image(images, index).reason for index in range(5, 10)]
    assert wrong == [
        "cannot be read: No such file or directory",
        "is at a path that cannot be",
        "is empty",
        "is empty",
        "is empty",
    ]
    (split / "link.png").unlink()
    for name, value in Reach((folder.resolve(),)).to_environment().items():
        monkeypatch.setenv(name, value)
    assert [images.read(index) for index in (0, 2)] == [b"in", b"own"]
    refused = Unreadable("1", "is at a path out of the data roots; save it with its images")
    assert read_image(images, 1) == refused
    assert read_image(images, 4).reason == refused.reason


def spoil(folder, file, **values):
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | values))


@pytest.mark.parametrize(
    ("where", "file", "values", "message"),
    [
        ("train", "state.json", {"_data_files": [{"filename": "../test/x"}]}, "not the name of"),
        ("train", "state.json", {"_data_files": [{"filename": "/etc/passwd"}]}, "not the name of"),
        ("train", "state.json", {"_data_files": []}, "has no rows"),
        ("train", "state.json", {"_data_files": [{}]}, "cannot be read: 'filename'"),
        ("train", "dataset_info.json", {"features": {"a": {"_type": "Value"}}}, r"has a \(Value\)"),
        ("train", "dataset_info.json", {"features": {"a": {"_type": "Image"}}}, "cannot be read"),
        ("", "dataset_dict.json", {"splits": ["../set/train"]}, "not the name of"),
        ("", "dataset_dict.json", {"splits": ["valid"]}, "valid is no data set saved by"),
    ],
)
def test_a_folder_that_does_not_fit_is_named(folder, where, file, values, message):
    spoil(folder / where, file, **values)
    with pytest.raises(DataError, match=message):
        open_images(folder / where)


@pytest.mark.parametrize("keep", [0, 10, 200, 900])
def test_a_file_that_is_cut_short_is_an_error(folder, keep):
    [file, *_] = sorted((folder / "train").glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"train cannot be read"):
        open_images(folder / "train")


def test_without_pyarrow_the_extra_is_named(saved, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.ipc", None)
    with pytest.raises(ConfigError, match=r"needs pyarrow.*pip install 'paka-service\[formats\]'"):
        open_images(saved)
