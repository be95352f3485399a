"""The whole way through the Python client, with workers that really work."""

import numpy as np
import pytest
import torch

from paka.data.decode import decode
from paka.data.preprocess import prepare
from service.client import PakaClient

SETTINGS = {
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 3},
    "runtime": {"workers": 0, "log_every": 1},
}


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_from_photographs_to_a_timm_model(service, photos, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with PakaClient(str(service.base_url)) as client:
        job = client.wait(client.train(photos, preset="tiny", **SETTINGS), progress=True)
        assert "3/3" in capfd.readouterr().err
        metrics = client.metrics(job)
        assert metrics.loss[1:].gt(0).all() and metrics.index[-1] == 3

        images = sorted(photos.iterdir())
        features = client.embed(images, job.encoder, size=64, dtype="float32", batch=5)
        assert features.patch_tokens.shape == (12, 4, 4, 192)

        model = client.load_encoder(job.encoder)
        [cached] = (tmp_path / "paka" / "encoders").iterdir()
        assert cached.stem == client.encoder(job.encoder).sha256
        loaded_at = cached.stat().st_mtime_ns
        client.load_encoder(job.encoder)
        assert cached.stat().st_mtime_ns == loaded_at  # fetched only once

    pixels = torch.from_numpy(prepare(decode(images[7]), 64, 64, "crop").pixels / 255)
    with torch.no_grad():
        tokens = model.forward_features((pixels.permute(2, 0, 1)[None].float() - 0.5) / 0.5)
    expected = tokens[0, model.num_prefix_tokens :].reshape(4, 4, 192)
    assert np.allclose(features.patch_tokens[7], expected, atol=1e-3)
