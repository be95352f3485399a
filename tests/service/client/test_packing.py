import io
import os
import tarfile
import tracemalloc

import pytest

from paka.errors import DataError
from service.client.packing import Packed, files_in, name_of, size_of


def test_a_packed_folder_is_a_tar_of_its_files(tmp_path):
    (tmp_path / "a" / ".git").mkdir(parents=True)
    contents = {"a/1.jpg": b"x" * 200_000, "b.txt": b"", "ü" * 70 + ".png": b"y"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a" / ".git" / "config").write_text("hidden")
    seen = []
    packed = Packed(tmp_path, seen.append)
    chunks = list(iter(lambda: packed.read(1000), b""))
    assert max(map(len, chunks)) == 1000
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
    assert found == contents
    assert seen[-1] == size_of(tmp_path) == 200_001
    assert len(files_in(tmp_path)) == 3


def test_a_large_file_is_packed_without_being_held_in_memory(tmp_path):
    with (tmp_path / "large.tar").open("wb") as file:
        file.truncate(2**26)
    packed = Packed(tmp_path, lambda read: None)
    tracemalloc.start()
    size = sum(len(chunk) for chunk in iter(lambda: packed.read(2**16), b""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 2**26
    assert peak < 2**21


@pytest.mark.parametrize("size", [0, 512, 2**16])
def test_files_that_fill_their_blocks_are_not_the_end(tmp_path, size):
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"x" * size)
    content = Packed(tmp_path, lambda read: None).read(2**20)
    assert len(content) == 2 * (512 + size) + 1024
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert tar.getnames() == ["1.jpg", "2.jpg"]


def test_links_to_files_are_packed_as_files(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "1.jpg").write_bytes(b"x")
    (tmp_path / "photos" / "link.jpg").symlink_to(tmp_path / "1.jpg")
    packed = Packed(tmp_path / "photos", lambda read: None)
    with tarfile.open(fileobj=io.BytesIO(packed.read(2**20))) as tar:
        assert [(member.name, member.isreg(), member.size) for member in tar] == [
            ("link.jpg", True, 1)
        ]


@pytest.mark.parametrize(("size", "change"), [(150_000, "50000 bytes before"), (200_001, "grown")])
def test_a_file_that_changes_while_it_is_packed_is_an_error(tmp_path, size, change):
    file = tmp_path / "1.jpg"
    file.write_bytes(b"x" * 200_000)
    packed = Packed(tmp_path, lambda read: None)
    packed.read(1000)
    os.truncate(file, size)
    with pytest.raises(DataError, match=f"1.jpg had 200000 bytes .* {change}"):
        while packed.read(1000):
            pass


def test_a_data_set_is_called_after_what_it_is_made_of(tmp_path):
    (tmp_path / "my.photos").mkdir()
    assert name_of(tmp_path / "my.photos") == "my.photos"
    for name in ("x.tar", "x.tar.gz", "x.tgz", "x.zip"):
        assert name_of(tmp_path / name) == "x"
