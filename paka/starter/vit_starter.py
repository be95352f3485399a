"""The starter's architecture, made known to timm under the name `vit_starter_patch16_224`."""

from pathlib import Path
from typing import Any

from timm.data import IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

NAME = "vit_starter_patch16_224"
WEIGHTS = Path(__file__).with_name("starter.safetensors")

default_cfgs = generate_default_cfgs(
    {
        f"{NAME}.paka_scenes": {
            "file": str(WEIGHTS),
            "input_size": (3, 224, 224),
            "num_classes": 33,
            "mean": IMAGENET_INCEPTION_MEAN,
            "std": IMAGENET_INCEPTION_STD,
            "interpolation": "bicubic",
            "first_conv": "patch_embed.proj",
            "classifier": "head",
            "license": "apache-2.0",
        }
    }
)


@register_model
def vit_starter_patch16_224(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ViT of dimension 192 and depth 6 with a class token; 2.9 million parameters."""
    arguments = {"patch_size": 16, "embed_dim": 192, "depth": 6, "num_heads": 3} | kwargs
    vit: VisionTransformer = build_model_with_cfg(
        VisionTransformer,
        NAME,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        **arguments,
    )
    return vit
