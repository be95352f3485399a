import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from paka.errors import ExportError
from paka.export import onnx as target
from paka.export.checks import require
from paka.weights import weights_sha256
from tests.paka.export.conftest import make_encoder


def run(folder, images):
    session = onnxruntime.InferenceSession(
        folder / "encoder.onnx", providers=["CPUExecutionProvider"]
    )
    return session.run(["patch_tokens", "image_features"], {"images": images.numpy()})


def test_onnxruntime_gives_the_encoders_features_of_images_of_any_size(tmp_path):
    small = make_encoder("test_vit")
    target.write(small, tmp_path)
    require(target.check(small, tmp_path))
    for shape in ((1, 3, 16, 16), (4, 3, 176, 48)):
        images = torch.rand(shape)
        with torch.inference_mode():
            expected = small(small.standardise(images))
        for found, mine in zip(run(tmp_path, images), expected, strict=True):
            assert np.abs(found - mine.numpy()).max() < 1e-4

    model = onnx.load(tmp_path / "encoder.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["architecture"] == "test_vit"
    assert about["encoder_sha256"] == weights_sha256(small.vit)
    assert json.loads(about["mean"]) == list(small.architecture.mean)
    sides = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sides == {
        "images": ["batch", 3, "height", "width"],
        "patch_tokens": ["batch", "rows", "columns", 64],
        "image_features": ["batch", 64],
    }

    small.vit.norm.bias += 0.1
    with pytest.raises(ExportError, match="does not compute what the encoder does"):
        require(target.check(small, tmp_path))


def test_rotary_positions_hold_for_every_size_and_large_weights_lie_beside(tmp_path, monkeypatch):
    from torch.onnx._internal.exporter import _onnx_program

    monkeypatch.setattr(_onnx_program, "_LARGE_MODEL_THRESHOLD", 1000)
    encoder = make_encoder("vit_tiny_patch16_dinov3_qkvb", depth=1)
    target.write(encoder, tmp_path)
    assert (tmp_path / "encoder.onnx.data").stat().st_size > 1_000_000
    require(target.check(encoder, tmp_path))
