"""Checkpoint files as their makers publish them: official names, same features as timm's model."""

import pytest
import timm
import torch

from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.weights import build_vit

DINOV2, REGISTERS = "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
CLIP = "vit_xsmall_patch16_clip_224"
BLOCK = """norm1.weight norm1.bias attn.qkv.weight attn.qkv.bias attn.proj.weight attn.proj.bias
    ls1.gamma norm2.weight norm2.bias mlp.fc1.weight mlp.fc1.bias mlp.fc2.weight mlp.fc2.bias
    ls2.gamma"""
OUTSIDE = """cls_token pos_embed mask_token patch_embed.proj.weight patch_embed.proj.bias
    norm.weight norm.bias"""
CLIP_NAMES = {
    "cls_token": "class_embedding",
    "pos_embed": "positional_embedding",
    "patch_embed.proj": "conv1",
    "norm_pre": "ln_pre",
    "norm1": "ln_1",
    "norm2": "ln_2",
    "norm": "ln_post",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "blocks.": "transformer.resblocks.",
}


def model(name):
    """timm's model, every weight of it drawn, so that none can be lost unnoticed."""
    vit = timm.create_model(name, num_classes=0, dynamic_img_size=True).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return vit


@pytest.fixture(scope="module")
def models():
    return {name: model(name) for name in (DINOV2, REGISTERS, CLIP)}


def facebook(vit):
    """The tensors under the names, and in the shapes, of DINOv2's own repository."""
    theirs, depth = dict(vit.state_dict()), len(vit.blocks)
    theirs["mask_token"] = torch.zeros(1, vit.embed_dim)
    names = OUTSIDE.split() + [f"blocks.{i}.{name}" for i in range(depth) for name in BLOCK.split()]
    if "reg_token" in theirs:
        theirs["register_tokens"] = theirs.pop("reg_token")
        # Where there are registers, timm has added the class token's position to the token.
        position = torch.full((1, 1, vit.embed_dim), 0.1)
        theirs["pos_embed"] = torch.cat([position, theirs["pos_embed"]], 1)
        theirs["cls_token"] = theirs["cls_token"] - position
        names.append("register_tokens")
    assert theirs.keys() == set(names)
    return {name: theirs[name] for name in names}


def openai(vit):
    """The image tower under CLIP's own names, beside some of the text tower."""
    state = {}
    for name, tensor in vit.state_dict().items():
        for ours, theirs in CLIP_NAMES.items():
            name = name.replace(ours, theirs) if ours in name else name
        state[f"visual.{name}"] = tensor
    state["visual.class_embedding"] = state["visual.class_embedding"][0, 0]
    state["visual.positional_embedding"] = state["visual.positional_embedding"][0]
    state["visual.proj"] = torch.zeros(vit.embed_dim, 512)
    text = ("positional_embedding", "text_projection", "logit_scale", "ln_final.weight")
    text += ("transformer.resblocks.0.ln_1.weight", "token_embedding.weight")
    return state | {name: torch.zeros(8, 8) for name in text}


def below(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def other(state):
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def head(state):
    """With the projection that NeCo trains beside the encoder."""
    return {**state, "projection_head.0.weight": torch.zeros(8, 8)}


FILES = {
    "dinov2_vits14_pretrain.pth": (DINOV2, lambda s: s),
    "dinov2_vits14_reg4_pretrain.pth": (REGISTERS, lambda s: s),
    "dinov2 training, teacher_checkpoint.pth": (
        DINOV2,
        lambda s: {
            "teacher": {**below("backbone.", s), "dino_head.last_layer.weight": s["norm.bias"]}
        },
    ),
    "neco_on_dinov2_vit14_model.ckpt": (DINOV2, head),
    "neco_on_dinov2r_vit14_teacher.ckpt": (REGISTERS, lambda s: s),
    "neco training, of Lightning": (
        REGISTERS,
        lambda s: {
            "epoch": 3,
            "state_dict": {**below("model.", head(other(s))), **below("teacher.", head(s))},
        },
    ),
    "neco training, the student alone": (DINOV2, lambda s: {"state_dict": below("model.", s)}),
    "student and teacher": (
        DINOV2,
        lambda s: {**below("student.backbone.", other(s)), **below("teacher.backbone.", s)},
    ),
    "ViT-XS-16.pt": (CLIP, lambda s: s),
    "clip training": (CLIP, lambda s: {"state_dict": below("module.", s)}),
}


@pytest.mark.parametrize("name", FILES)
def test_an_official_file_gives_the_features_of_timms_model(tmp_path, models, name):
    architecture, wrap = FILES[name]
    vit, path = models[architecture], tmp_path / "weights.pth"
    torch.save(wrap((openai if architecture == CLIP else facebook)(vit)), path)
    encoder = DenseEncoder(architecture, str(path)).eval()
    patch = encoder.architecture.patch_size
    images = torch.randn(1, 3, 2 * patch, 3 * patch, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tokens, found = vit.forward_features(images), encoder(images, pooling="cls")
    patches = tokens[:, encoder.architecture.prefix_tokens :]
    assert patches.std() > 0.1
    assert torch.allclose(found.patch_tokens.flatten(1, 2), patches, atol=1e-4)
    assert torch.allclose(found.image_features, tokens[:, 0], atol=1e-4)


def test_registers_are_not_dropped_in_silence(tmp_path, models):
    path = tmp_path / "weights.pth"
    torch.save(facebook(models[REGISTERS]), path)
    with pytest.raises(EncoderError, match=f"does not fit {DINOV2}"):
        build_vit(DINOV2, str(path))


def test_an_architecture_without_pretrained_weights_is_told_before_the_hub_is_asked():
    with pytest.raises(EncoderError, match="no pretrained weights of vit_giant_patch14_224"):
        build_vit("vit_giant_patch14_224")
