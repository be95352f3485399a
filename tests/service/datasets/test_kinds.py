"""Data sets in the data roots that are no folders of images: .tar, .zip, shards, Arrow."""

import json
import tarfile
import zipfile

import pytest

from paka.data import count
from paka.data.count import check_images, count_images
from paka.errors import DataError
from service.datasets import listing

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def write_tar(path, photos):
    with tarfile.open(path, "w") as tar:
        for photo in photos:
            tar.add(photo, photo.name)
            tar.addfile(tarfile.TarInfo(f"{photo.stem}.json"))
    return path


def write_zip(path, photos):
    with zipfile.ZipFile(path, "w") as archive:
        for photo in photos:
            archive.write(photo, photo.name)
    return path


def write_arrow(path, photos):
    """What `datasets.Dataset.save_to_disk` leaves, by its parts that are read."""
    import pyarrow as pa

    path.mkdir(parents=True)
    rows = [{"bytes": photo.read_bytes(), "path": photo.name} for photo in photos]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(rows, kind)})
    with pa.ipc.new_stream(str(path / "data.arrow"), table.schema) as writer:
        writer.write_table(table)
    about = {"features": {"image": {"_type": "Image"}}}
    (path / "dataset_info.json").write_text(json.dumps(about))
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    return path


@pytest.fixture
def root(settings):
    return settings.data_roots[0]


@pytest.fixture
def datasets(root, photos):
    """One of each kind, and how many images it has."""
    found = sorted(photos.iterdir())
    (root / "shards").mkdir()
    write_tar(root / "shards/1.tar", found[:2])
    write_tar(root / "shards/2.tar", found[2:5])
    (root / "splits").mkdir()
    write_arrow(root / "splits/train", found[:2])
    (root / "splits/dataset_dict.json").write_text('{"splits": ["train"]}')
    return {
        write_arrow(root / "arrow", found[:3]): 3,
        root / "shards": 5,
        root / "splits": 2,
        write_tar(root / "some.tar", found[:4]): 4,
        write_zip(root / "some.zip", found[:6]): 6,
    }


@sqlite_only
def test_all_kinds_are_listed_with_their_images_and_jobs_may_name_them(api, datasets, root):
    (root / "broken.tar").write_bytes(b"no")
    (root / "photos.tar.gz").touch()
    (root / "link.tar").symlink_to(root / "some.tar")
    listed = api.get("/datasets").json()["data"]
    assert {item["path"]: item["images"] for item in listed} == {
        str(path): images for path, images in datasets.items()
    }
    assert all(item["complete"] and item["source"] == "root" for item in listed)
    assert api.get("/datasets/some.tar").json() in listed
    for path in datasets:
        answer = api.post("/train", json={"preset": "tiny", "dataset": path.name})
        assert (answer.status_code, answer.json()["config"]["dataset"]) == (202, str(path))
        body = {"encoder": "test_vit@random", "dataset": path.name, "format": "zarr"}
        config = api.post("/embed", json=body).json()["config"]
        assert (config["dataset"], config["format"]) == (str(path), "zarr")


@sqlite_only
def test_what_cannot_be_read_is_refused_with_the_reason(api, root, snapshot, tmp_path, photos):
    (root / "broken.tar").write_bytes(b"no")
    (root / "photos.tar.gz").touch()
    (root / "notes.txt").touch()
    write_tar(root / "empty.tar", [])
    (root / "shards").mkdir()
    (root / "shards/1.tar").symlink_to(write_tar(tmp_path / "out.tar", photos.iterdir()))
    before = snapshot()
    for name, reason in (
        ("broken.tar", "broken.tar cannot be read"),
        ("photos.tar.gz", "is compressed as a whole"),
        ("notes.txt", "is not a data set"),
        ("empty.tar", "holds no images"),
        ("shards", "is a link out of the data roots"),
    ):
        for path, body in (("/train", {}), ("/embed", {"encoder": "test_vit@random"})):
            answer = api.post(path, json={"dataset": name, **body}).json()
            assert answer["code"] == "dataset_unreadable", answer
            assert reason in answer["detail"]
    assert snapshot() == before


@sqlite_only
def test_an_unknown_format_is_refused(api, folder, assert_problem):
    body = {"encoder": "test_vit@random", "dataset": "photos", "format": "parquet"}
    assert_problem(api.post("/embed", json=body), 422, "invalid_request", "format")


def test_of_large_tars_a_part_is_counted_and_the_rest_estimated(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(count, "MAX_HEADERS", 6)
    [photo, *_] = photos.iterdir()
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for number in range(4):
                tar.add(photo, f"{number}.jpg")
    found = count_images(tmp_path, 1000)
    assert (found.images, found.complete, found.estimate) == (6, False, 8)
    assert not listing.count_images(tmp_path).complete


def test_the_first_image_is_enough(tmp_path, photos):
    [photo, *_] = photos.iterdir()
    path = write_tar(tmp_path / "cut.tar", [photo, photo])
    path.write_bytes(path.read_bytes()[: photo.stat().st_size * 3 // 2])
    check_images(path)
    with pytest.raises(DataError, match="cannot be read"):
        count_images(path, 1000)


def test_an_archive_is_counted_again_once_it_has_changed(tmp_path, photos):
    path = write_zip(tmp_path / "set.zip", list(photos.iterdir())[:2])
    assert listing.count_images(path).images == 2
    write_zip(path, photos.iterdir())
    assert listing.count_images(path).images == 12
