"""One path, whatever it stands for: the same images, read in the same way."""

import multiprocessing
import os
import pickle

import pytest

from paka.data.images import open_images
from paka.data.source import MAX_BYTES, read_file
from paka.data.unreadable import Unreadable, read_image
from paka.errors import DataError


def as_folder(tmp_path, files, write_tar, write_zip):
    for name, content in files.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    write_tar(tmp_path / "set/beside.tar", files)  # passed over, as is
    (tmp_path / "set/again.tar.gz").touch()
    return tmp_path / "set", ""


def as_tar(tmp_path, files, write_tar, write_zip):
    return write_tar(tmp_path / "set.tar", files), "set.tar/"


def as_zip(tmp_path, files, write_tar, write_zip):
    return write_zip(tmp_path / "set.ZIP", files), "set.ZIP/"


KINDS = [as_folder, as_tar, as_zip]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def opened(request, tmp_path, members, write_tar, write_zip):
    """The images, and what stands before their names."""
    path, prefix = request.param(tmp_path, members, write_tar, write_zip)
    return open_images(path), prefix


def contents(images):
    return {images.name(index): images.read(index) for index in range(len(images))}


def test_images_are_found_by_their_names_and_nothing_else_is(opened, files):
    images, prefix = opened
    assert contents(images) == {prefix + name: content for name, content in files.items()}


def test_forked_and_new_processes_read_the_same(opened, files):
    images, _ = opened
    images.read(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        read = pool.map(images.read, [2, 0, 1, 2, 1, 0] * 20)
    assert read[:3] == [list(files.values())[index] for index in (2, 0, 1)]
    assert read == read[:6] * 20
    assert contents(pickle.loads(pickle.dumps(images))) == contents(images)


def test_a_folder_of_archives_is_one_data_set_in_the_order_of_their_paths(
    tmp_path, files, write_tar, write_zip
):
    (tmp_path / "more").mkdir()
    write_tar(tmp_path / "shard-1.tar", {"x.jpg": b"x", "y.jpg": b"y"})
    write_tar(tmp_path / "shard-0.tar", {"notes.txt": b""})
    write_zip(tmp_path / "more/z.zip", {"x.jpg": b"z"})
    images = open_images(tmp_path)
    assert list(contents(images).items()) == [
        ("more/z.zip/x.jpg", b"z"),
        ("shard-1.tar/x.jpg", b"x"),
        ("shard-1.tar/y.jpg", b"y"),
    ]
    assert contents(pickle.loads(pickle.dumps(images))) == contents(images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "set does not exist; give a folder of images, a .tar or a .zip"),
        (lambda p: p.mkdir(), "set holds no images"),
        (lambda p: p.write_text("no"), "set is not a data set"),
        (lambda p: (p.mkdir(), (p / "a.tgz").touch()), r"a\.tgz is compressed as a whole"),
    ],
)
def test_what_is_no_data_set_is_named(tmp_path, make, message):
    make(tmp_path / "set")
    with pytest.raises(DataError, match=message):
        open_images(tmp_path / "set")


@pytest.mark.parametrize("name", ["set.tar.gz", "set.TGZ", "set.tar.zst"])
def test_a_compressed_tar_is_refused_with_what_to_do(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"compressed as a whole.*make it a \.tar"):
        open_images(tmp_path / name)


@pytest.mark.parametrize("suffix", ["tar", "zip"])
def test_an_archive_without_images_is_named(tmp_path, suffix, write_tar, write_zip):
    write = write_tar if suffix == "tar" else write_zip
    path = write(tmp_path / f"set.{suffix}", {"a.txt": b""})
    with pytest.raises(DataError, match=rf"set\.{suffix} holds no images"):
        open_images(path)


def test_a_member_that_is_no_image_is_told_by_its_name(tmp_path, write_tar):
    images = open_images(write_tar(tmp_path / "set.tar", {"a/x.jpg": b"no"}))
    assert read_image(images, 0) == Unreadable(
        "set.tar/a/x.jpg", "is not an image that can be read"
    )


def test_what_is_no_ordinary_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="x is not a file"):
        read_file(tmp_path / "a.jpg", "x")
    with (tmp_path / "b.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="x has 400,000,001 bytes; at most 400,000,000 are read"):
        read_file(tmp_path / "b.jpg", "x")
    with pytest.raises(DataError, match="x cannot be read: No such file"):
        read_file(tmp_path / "c.jpg", "x")
