import hashlib

import httpx
import numpy as np
import pytest

from paka.errors import ConfigError
from service.client import Checkpoint, DownloadError, Features, read_features
from service.client.saving import saving
from service.client.schemas import CheckpointFile


def features():
    """Of one image of one patch."""
    tokens, boxes = np.ones((1, 1, 1, 2), np.float16), np.zeros((1, 4), np.float32)
    return Features(tokens, tokens[:, 0, 0], boxes, np.ones((1, 2), np.int32), {"encoder": "e"})


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


def test_features_are_saved_into_a_folder_that_is_made(tmp_path):
    path = features().save(tmp_path / "new" / "deep" / "cat.safetensors")
    assert (read_features(path.read_bytes()).patch_tokens == 1).all()


def test_no_folder_is_replaced_by_a_file(make_client, tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path} is a folder; give the name of a file"):
        features().save(tmp_path)
    downloads = []

    def answer(request):
        downloads.append(request)
        return httpx.Response(200, content=b"weights")

    file = CheckpointFile(sha256="0" * 64, bytes=7)
    checkpoint = Checkpoint.model_construct(
        step=1, encoder="/weights", files={"encoder.safetensors": file}
    )
    client = make_client(transport=httpx.MockTransport(answer))
    with pytest.raises(ConfigError, match=f"{tmp_path} is a folder"):
        client.download_weights(checkpoint, tmp_path)
    assert not downloads and not list(tmp_path.iterdir())
