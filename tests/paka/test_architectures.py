"""The shipped list of architectures says what the installed timm says."""

import pytest
import timm
import torch

import paka.starter.vit_starter  # noqa: F401  makes the starter known to timm
from paka.architectures import MODULES, architectures, find_architecture

SAMPLE = [
    "vit_starter_patch16_224",
    "test_vit",
    "vit_tiny_patch16_224",
    "vit_small_patch14_reg4_dinov2.lvd142m",
    "vit_giant_patch14_dinov2",
    "vit_small_patch16_dinov3.lvd1689m",
    "vit_base_patch16_clip_224.openai",
    "vit_base_patch16_siglip_224",
    "vit_base_patch16_224.mae",
    "deit_tiny_distilled_patch16_224",
    "eva02_base_patch14_224",
    "vit_base_patch32_clip_448",
    "vit_small_patch8_224.dino",
]


def test_every_vision_transformer_of_timm_is_listed():
    bases = {name for module in MODULES for name in timm.list_models(module=module)}
    listed = set(architectures())
    assert bases <= listed
    assert {name.partition(".")[0] for name in listed} == bases


@pytest.mark.parametrize("name", SAMPLE)
def test_what_is_listed_is_what_timm_builds(name):
    with torch.device("meta"):
        vit = timm.create_model(name, num_classes=0, dynamic_img_size=True)
    listed = find_architecture(name)
    assert listed.patch_size == vit.patch_embed.patch_size[0]
    assert listed.dim == vit.num_features
    assert listed.depth == len(vit.blocks)
    assert listed.prefix_tokens == vit.num_prefix_tokens
    assert listed.size == vit.pretrained_cfg["input_size"][-2]
    assert listed.mean == tuple(vit.pretrained_cfg["mean"])
    assert listed.std == tuple(vit.pretrained_cfg["std"])
    assert listed.parameters == sum(parameter.numel() for parameter in vit.parameters())


def test_a_size_that_does_not_fit_names_the_nearest():
    with pytest.raises(ValueError, match="the nearest is 518"):
        find_architecture("vit_small_patch14_dinov2").check_size(520, 518)
