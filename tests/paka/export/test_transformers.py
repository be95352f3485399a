import json

import pytest
import torch
from safetensors.torch import load_file

from paka.encoder import DenseEncoder
from paka.errors import ExportError
from paka.export import transformers as target
from paka.export.checks import require
from tests.paka.export.conftest import make_encoder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

DINOV2 = "vit_small_patch14_reg4_dinov2"
# Every architecture with a counterpart, small; and the counterpart.
KINDS = {
    "ViT": ("vit_tiny_patch16_224", {"img_size": 64}, "Dinov2WithRegistersModel"),
    "DeiT, distilled": (
        "deit_tiny_distilled_patch16_224",
        {"img_size": 64},
        "Dinov2WithRegistersModel",
    ),
    "DeiT III": ("deit3_small_patch16_224", {"img_size": 64}, "Dinov2WithRegistersModel"),
    "DINOv2": ("vit_small_patch14_dinov2", {"img_size": 70}, "Dinov2WithRegistersModel"),
    "DINOv2 with registers": (DINOV2, {"img_size": 70}, "Dinov2WithRegistersModel"),
    "DINOv2 giant": (
        "vit_giant_patch14_reg4_dinov2",
        {"img_size": 70, "embed_dim": 96, "num_heads": 2},
        "Dinov2WithRegistersModel",
    ),
    "DINOv3": ("vit_small_patch16_dinov3", {"img_size": 64}, "DINOv3ViTModel"),
    "DINOv3 with biases": ("vit_tiny_patch16_dinov3_qkvb", {"img_size": 64}, "DINOv3ViTModel"),
    "DINOv3 plus": ("vit_small_plus_patch16_dinov3", {"img_size": 64}, "DINOv3ViTModel"),
    "CLIP": ("vit_xsmall_patch16_clip_224", {"img_size": 64}, "CLIPVisionModel"),
    "CLIP, OpenAI's": (
        "vit_base_patch16_clip_quickgelu_224",
        {"img_size": 64, "embed_dim": 96, "num_heads": 2},
        "CLIPVisionModel",
    ),
    "SigLIP": (
        "vit_base_patch16_siglip_224",
        {"img_size": 64, "embed_dim": 96, "num_heads": 2},
        "SiglipVisionModel",
    ),
    "SigLIP 2": (
        "vit_giantopt_patch16_siglip_gap_256",
        {"img_size": 64, "embed_dim": 96, "num_heads": 2},
        "SiglipVisionModel",
    ),
}
RESIZES_ITS_OWN_WAY = ("CLIPVisionModel", "SiglipVisionModel")


def exported(encoder, folder):
    target.write(encoder, folder)
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_a_counterpart_computes_the_same(kind, tmp_path):
    name, arguments, model = KINDS[kind]
    encoder = make_encoder(name, **arguments)
    assert exported(encoder, tmp_path)["architectures"] == [model]
    checks = target.check(encoder, tmp_path)
    require(checks)
    native = [check for check in checks if check.shape[0] == 2]
    assert {check.what for check in native} >= {"patch tokens"}
    assert all(check.difference < 1e-4 for check in native)
    elsewhere = [check for check in checks if check.shape[0] == 1]
    if model in RESIZES_ITS_OWN_WAY:
        assert elsewhere[0].difference > 1e-3
        assert all(check.allowed is None for check in elsewhere)
    else:
        assert all(check.difference < 1e-4 for check in elsewhere)


def test_an_export_gives_the_encoders_patch_tokens_to_who_loads_it(tmp_path):
    import transformers

    encoder = make_encoder(DINOV2, img_size=70)
    exported(encoder, tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    pixels = torch.randint(0, 256, (90, 70, 3), dtype=torch.uint8).numpy()
    inputs = processor(pixels, return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 70, 70)
    middle = torch.from_numpy(pixels[10:80]).permute(2, 0, 1)[None]
    assert torch.allclose(inputs["pixel_values"], encoder.normalise(middle), atol=1e-5)
    with torch.inference_mode():
        tokens = model(**inputs).last_hidden_state[:, 1 + model.config.num_register_tokens :]
        expected = encoder(encoder.normalise(middle)).patch_tokens
    assert torch.allclose(tokens.unflatten(1, (5, 5)), expected, atol=1e-4)


def test_the_settings_are_those_of_the_published_model(tmp_path):
    config = exported(DenseEncoder(DINOV2, "random"), tmp_path)
    published = {
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "mlp_ratio": 4,
        "image_size": 518,
        "patch_size": 14,
        "num_register_tokens": 4,
        "use_swiglu_ffn": False,
        "qkv_bias": True,
        "layer_norm_eps": 1e-6,
        "model_type": "dinov2_with_registers",
    }
    assert {name: config[name] for name in published} == published
    names = load_file(tmp_path / "model.safetensors").keys()
    assert "encoder.layer.11.attention.attention.query.weight" in names


def test_clip_is_exact_at_the_size_that_is_asked_for(tmp_path):
    encoder = make_encoder("vit_xsmall_patch16_clip_224", img_size=64)
    encoder.architecture = encoder.architecture._replace(size=96)
    assert exported(encoder, tmp_path)["image_size"] == 96
    checks = target.check(encoder, tmp_path)
    assert all(check.difference < 1e-4 for check in checks if check.shape == (2, 96, 96))
    assert encoder.vit.pos_embed.shape[1] == 1 + 4 * 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_vit2", "no layer norm at its end"),
        ("eva02_tiny_patch14_224", "it is a Eva"),
        ("vit_medium_patch16_gap_240", "attention has no bias"),
    ],
)
def test_an_architecture_without_a_counterpart_says_what_there_is(name, reason, tmp_path):
    with pytest.raises(ExportError, match=f"(?s)what {name} does.*{reason}.*--to onnx"):
        target.write(make_encoder(name), tmp_path)


def test_a_weight_that_has_no_place_there_is_an_error(tmp_path):
    encoder = make_encoder(DINOV2, img_size=70)
    encoder.vit.register_parameter("extra", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ExportError, match="no place for extra"):
        target.write(encoder, tmp_path)


def test_a_folder_that_lacks_a_weight_does_not_pass(tmp_path):
    from safetensors.torch import save_file

    encoder = make_encoder(DINOV2, img_size=70)
    exported(encoder, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["layernorm.bias"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ExportError, match=r"layernorm\.bias"):
        target.check(encoder, tmp_path)
