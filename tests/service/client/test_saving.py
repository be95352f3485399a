import hashlib

import pytest

from service.client import DownloadError
from service.client.saving import saving


def test_a_download_is_there_only_as_a_whole(tmp_path):
    path, content = tmp_path / "new" / "encoder.safetensors", b"weights"
    seen = []
    with saving(path, hashlib.sha256(content).hexdigest(), seen.append) as write:
        write(content[:3])
        assert not path.exists()
        write(content[3:])
    assert path.read_bytes() == content and seen == [3, 7]


def test_what_did_not_arrive_well_leaves_nothing(tmp_path):
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(DownloadError, match="try again"), saving(path, "0" * 64) as write:
        write(b"other")
    with pytest.raises(RuntimeError), saving(path) as write:
        write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
