import pickle

import pytest

from paka.errors import EncoderError
from worker.encoders import WarmEncoders


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_worker_runs_no_code_of_the_weights_that_a_request_names(tmp_path):
    file, proof = tmp_path / "evil.pth", tmp_path / "it_ran"
    file.write_bytes(pickle.dumps({"model": Evil(proof)}, protocol=2))
    with pytest.raises(EncoderError, match="is refused"):
        WarmEncoders(1).get("test_vit", str(file))
    assert not proof.exists()
