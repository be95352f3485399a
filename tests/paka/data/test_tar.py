"""Tar shards: those of WebDataset, and those that somebody has crafted."""

import io
import tarfile
import time

import pytest

from paka.data.source import MAX_BYTES
from paka.data.tar import TarImages, scan
from paka.errors import DataError


def names(path):
    images = TarImages(path, "x")
    return [images.name(index) for index in range(len(images))]


def entry(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_shard_that_webdataset_has_written_is_read(tmp_path, files):
    from webdataset import TarWriter

    with TarWriter(str(tmp_path / "shard.tar")) as shard:
        for number, content in enumerate(files.values()):
            shard.write({"__key__": f"{number:04d}", "png": content, "json": {"label": number}})
    images = TarImages(tmp_path / "shard.tar", "shard.tar")
    assert names(tmp_path / "shard.tar") == [f"x/{number:04d}.png" for number in range(3)]
    assert [images.read(index) for index in range(3)] == list(files.values())


def test_links_devices_and_names_that_lead_elsewhere_are_passed_over(tmp_path, write_tar):
    path = write_tar(
        tmp_path / "set.tar",
        {
            entry("link.jpg", tarfile.SYMTYPE, "/etc/passwd"): b"",
            entry("hard.jpg", tarfile.LNKTYPE, "a.jpg"): b"",
            entry("pipe.jpg", tarfile.FIFOTYPE): b"",
            entry("device.jpg", tarfile.CHRTYPE): b"",
            entry("folder.jpg", tarfile.DIRTYPE): b"",
            "../up.jpg": b"1",
            "/root.jpg": b"1",
            "a/../../b.jpg": b"1",
            "n" * 1000 + ".jpg": b"1",
            "./good.jpg": b"good",
        },
    )
    assert names(path) == ["x/good.jpg"]
    assert TarImages(path, "x").read(0) == b"good"


def test_of_members_with_one_name_the_last_counts(tmp_path, write_tar):
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"old", "b.jpg": b"b", "./a.jpg": b"new"})
    images = TarImages(path, "x")
    assert (len(images), images.read(0)) == (2, b"new")


def test_names_that_cannot_be_shown_are_escaped(tmp_path, write_tar):
    path = write_tar(tmp_path / "set.tar", {"caf\udce9\n.jpg": b"", "é.jpg": b""})
    assert names(path) == ["x/caf\\udce9\\n.jpg", "x/é.jpg"]


@pytest.mark.parametrize("keep", [0, 100, 512, 700, 1024, 1536])
def test_a_tar_that_is_cut_short_is_named(tmp_path, write_tar, keep):
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"x" * 600, "b.jpg": b""})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"set\.tar cannot be read"):
        TarImages(path, "x")


def test_one_that_became_shorter_afterwards_is_told_with_the_member(tmp_path, write_tar):
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"x" * 600})
    images = TarImages(path, "x")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"x/a\.jpg is cut short"):
        images.read(0)
    path.unlink()
    with pytest.raises(DataError, match=r"x/a\.jpg cannot be read: No such file"):
        images.read(0)


def header(name, size, kind=tarfile.REGTYPE):
    info = entry(name, kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "content",
    [
        header("a.jpg", -1024),
        header("a.jpg", 0) + header("b.jpg", -512),
        header("long", 2**40, tarfile.GNUTYPE_LONGNAME),
        header("long", -512, tarfile.GNUTYPE_LONGNAME) * 3,
        header("pax", 2**33, tarfile.XHDTYPE),
        header("long", 1, tarfile.GNUTYPE_LONGNAME) * 5000,
        header("a.jpg", 2**50),
        header("a.jpg", 0) + b"\x01" * 512,
        b"GIF89a" * 1000,
    ],
)
def test_crafted_headers_end_in_an_error_and_not_in_a_circle(tmp_path, content):
    path = tmp_path / "set.tar"
    path.write_bytes(content)
    with path.open("r+b") as file:
        file.truncate(2**34)  # all that a header may promise is there, as a hole
        file.seek(0)
    start = time.process_time()
    try:
        TarImages(path, "x")
    except DataError as error:
        assert "set.tar cannot be read" in str(error)
    assert time.process_time() - start < 2


def test_a_member_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "set.tar"
    with path.open("wb") as file:
        file.write(header("a.jpg", MAX_BYTES + 1))
        file.seek(512 + (MAX_BYTES // 512 + 1) * 512 + 1024)
        file.truncate()
    with pytest.raises(DataError, match="at most 400,000,000 are read"):
        TarImages(path, "x").read(0)


def test_the_headers_of_many_members_take_moments(tmp_path):
    block = header("a.jpg", 0)
    (tmp_path / "set.tar").write_bytes(block * 5000 + bytes(1024))
    start = time.process_time()
    assert sum(1 for _ in scan(tmp_path / "set.tar")) == 5000
    assert time.process_time() - start < 2


def test_a_compressed_stream_inside_is_no_tar(tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    (tmp_path / "set.tar").write_bytes(file.getvalue())
    with pytest.raises(DataError, match=r"set\.tar cannot be read"):
        TarImages(tmp_path / "set.tar", "x")
