import io
import tarfile

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


def test_a_data_set_is_called_after_what_it_is_made_of(tmp_path):
    (tmp_path / "my.photos").mkdir()
    assert name_of(tmp_path / "my.photos") == "my.photos"
    for name in ("x.tar", "x.tar.gz", "x.tgz", "x.zip"):
        assert name_of(tmp_path / name) == "x"
