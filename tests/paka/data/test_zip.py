"""Zip archives, also crafted ones."""

import struct
import zipfile

import pytest

from paka.data.source import MAX_BYTES
from paka.data.zip import ZipImages
from paka.errors import DataError


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_however_they_are_packed(tmp_path, files, write_zip, compression):
    images = ZipImages(write_zip(tmp_path / "a.zip", files, compression), "a.zip")
    assert [images.read(index) for index in range(3)] == list(files.values())


def test_a_member_may_be_larger_than_a_list_of_members(tmp_path, write_zip, monkeypatch):
    monkeypatch.setattr("paka.data.zip._MAX_DIRECTORY_BYTES", 1000)
    content = {"a.bmp": bytes(5000)}
    images = ZipImages(write_zip(tmp_path / "a.zip", content, zipfile.ZIP_STORED), "a.zip")
    assert images.read(0) == content["a.bmp"]


def test_links_and_names_that_lead_elsewhere_are_passed_over(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../up.jpg", "1")
        archive.writestr("/root.jpg", "1")
        archive.writestr("folder.jpg/", "")
        archive.writestr("good.jpg", "good")
    images = ZipImages(tmp_path / "a.zip", "x")
    assert [images.name(index) for index in range(len(images))] == ["x/good.jpg"]


@pytest.mark.parametrize("cut", [1, 30, 100])
def test_a_zip_that_is_cut_short_is_named(tmp_path, files, write_zip, cut):
    path = write_zip(tmp_path / "a.zip", files)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"a\.zip cannot be read"):
        ZipImages(path, "x")


def test_a_damaged_member_is_told_by_its_name(tmp_path, write_zip):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": bytes(range(256)) * 4})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x/a\.jpg cannot be read"):
        ZipImages(path, "x").read(0)


def with_size(path, size):
    """Let the list of members say that the only one has another size."""
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(content)


def test_a_member_unpacks_to_no_more_than_it_says_and_than_an_image_may_have(tmp_path, write_zip):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": bytes(50_000_000)})
    with_size(path, MAX_BYTES + 1)
    with pytest.raises(DataError, match="at most 400,000,000 are read"):
        ZipImages(path, "x").read(0)
    with_size(path, 1000)
    with pytest.raises(DataError, match=r"x/a\.jpg cannot be read: Bad CRC"):
        ZipImages(path, "x").read(0)


def test_an_encrypted_member_is_told(tmp_path, write_zip):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": b"x"})
    content = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + at] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        ZipImages(path, "x").read(0)


def test_a_list_of_members_without_end_is_not_read(tmp_path):
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(2**30)
        file.seek(2**30)
        # End of central directory: one member, a list of nearly all the file.
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**30 - 1, 1, 0))
    with pytest.raises(DataError, match="a header of more than 67,108,864 bytes"):
        ZipImages(path, "x")
