"""The whole of an export: written, checked, kept or not."""

import pytest
import timm
import torch

from paka.encoder import DenseEncoder
from paka.errors import ConfigError, ExportError
from paka.export import export
from paka.export import timm as timm_target


def test_an_export_is_there_with_its_checks_passed(small, tmp_path):
    checks = export(small, "timm", tmp_path / "new" / "out")
    assert all(check.passed for check in checks)
    weights = tmp_path / "new" / "out" / "encoder.safetensors"
    vit = timm.create_model("test_vit", num_classes=0, checkpoint_path=str(weights)).eval()
    images = torch.rand(1, 3, 160, 160)
    with torch.inference_mode():
        assert torch.equal(vit(images), small(images).image_features)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_an_export_that_computes_something_else_leaves_nothing(small, tmp_path, monkeypatch):
    def write_another(_, folder):
        timm_target.save_weights(DenseEncoder("test_vit", "random").vit, folder / timm_target.FILE)

    monkeypatch.setattr(timm_target, "write", write_another)
    with pytest.raises(ExportError, match="does not compute what the encoder does"):
        export(small, "timm", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_encoder_is_left_as_it_was(small, tmp_path):
    small.train().bfloat16()
    export(small, "huggingface", tmp_path / "out", size=96)
    assert small.training
    assert small.vit.norm.weight.dtype == torch.bfloat16
    assert small.architecture.size == 160


def test_a_folder_for_the_hub_can_hold_other_targets(small, tmp_path):
    checks = export(small, "huggingface", tmp_path / "out", include=["transformers"])
    assert {check.target for check in checks} == {"huggingface", "transformers"}
    assert (tmp_path / "out" / "transformers" / "config.json").exists()
    assert "In transformers" in (tmp_path / "out" / "README.md").read_text()


def test_nothing_that_is_there_is_overwritten(small, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ConfigError, match="is there already"):
        export(small, "timm", tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_size_that_does_not_fit_is_refused(small, tmp_path):
    with pytest.raises(ConfigError, match="multiple of the patch size 16"):
        export(small, "huggingface", tmp_path / "out", size=100)
    assert list(tmp_path.iterdir()) == []
