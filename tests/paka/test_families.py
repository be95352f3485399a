"""Every family of vision transformers goes all the way: post-training, its file, an evaluation."""

import shutil

import pytest
import torch

from paka.encoder import DenseEncoder
from paka.evaluation import in_context_miou
from paka.evaluation.datasets import open_labelled
from paka.evaluation.inputs import split_inputs
from paka.run_folder import RunFolder
from paka.trainer import Trainer

# The smallest of each, with weights drawn at random. MAE's is the plain one, in a smaller size.
FAMILIES = {
    "DINOv2": "vit_small_patch14_dinov2",
    "DINOv2 with registers": "vit_small_patch14_reg4_dinov2",
    "DINOv3": "vit_small_patch16_dinov3",
    "CLIP": "vit_xsmall_patch16_clip_224",
    "SigLIP": "vit_base_patch16_siglip_224",
    "MAE": "vit_tiny_patch16_224",
    "DeiT": "deit_tiny_patch16_224",
}


@pytest.mark.parametrize("architecture", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_family_is_post_trained_saved_loaded_and_evaluated(
    architecture, small_config, labelled, tmp_path
):
    patch = 14 if "patch14" in architecture else 16
    config = small_config(
        encoder=f"{architecture}@random",
        views={"global_size": 4 * patch, "local_size": 2 * patch, "local_crops": 2},
        head={"hidden": 16, "out": 8},
        optim={"batch_size": 2, "max_steps": 2, "lr_encoder": 1e-4},
        runtime={"probe_images": 2, "checkpoint_every_steps": None, "export": "student"},
    )
    run = RunFolder(tmp_path)
    trainer = Trainer(config, run)
    assert trainer.run() == ("finished", 2, None)
    start, first, last = run.read_metrics()
    assert 0 < first["loss"] < 2
    assert start["probe_cka_to_base"] == pytest.approx(1, abs=1e-6)
    assert last["probe_cka_to_base"] < 1 - 1e-6

    encoder = DenseEncoder(architecture, str(run.final / "encoder.safetensors")).eval()
    shutil.rmtree(run.final)  # pytest keeps folders for days, and this one is large
    images = torch.rand(1, 3, 4 * patch, 3 * patch)
    with torch.no_grad():
        expected = trainer.learner.student.encoder.eval().patch_tokens(images)
        assert torch.equal(encoder.patch_tokens(images), expected)

    data = open_labelled(labelled)
    train, val = (split_inputs(encoder, split, 4 * patch) for split in (data.train, data.val))
    score = in_context_miou(
        train.patch_tokens,
        train.masks,
        val.patch_tokens,
        val.masks,
        num_classes=len(data.classes),
        k=5,
    )
    assert 0.05 < score < 1
