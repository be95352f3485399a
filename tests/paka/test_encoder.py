"""The encoder over every family of vision transformers in timm."""

import pytest
import timm
import torch

from paka import DenseEncoder
from paka.config import EncoderConfig
from paka.errors import EncoderError

# name -> prefix tokens: class, registers, distillation, none
FAMILIES = {
    "test_vit": 1,
    "vit_small_patch14_dinov2": 1,
    "vit_small_patch14_reg4_dinov2": 5,
    "vit_small_patch16_dinov3": 5,
    "vit_base_patch16_clip_quickgelu_224": 1,
    "vit_base_patch16_siglip_224": 0,
    "vit_base_patch16_224.mae": 1,
    "deit_tiny_distilled_patch16_224": 2,
    "deit3_small_patch16_224": 1,
    "vit_small_patch8_224": 1,
}


@pytest.fixture(scope="module", params=FAMILIES)
def encoder(request):
    return DenseEncoder(request.param, "random").eval()


@pytest.fixture(scope="module")
def small():
    return DenseEncoder("test_vit", "random").eval()


def images(encoder, rows=3, columns=5, batch=2):
    patch = encoder.architecture.patch_size
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, rows * patch, columns * patch, generator=generator)


def test_every_family_gives_one_vector_per_patch(encoder):
    name, dim = encoder.architecture.name, encoder.architecture.dim
    with torch.inference_mode():
        patches, image = encoder(images(encoder))
    assert patches.shape == (2, 3, 5, dim)
    assert image.shape == (2, dim)
    assert patches.isfinite().all()
    assert encoder.architecture.prefix_tokens == FAMILIES[name]


def test_every_family_trains_all_that_is_not_frozen(encoder):
    encoder.freeze_unused()
    tokens = encoder.patch_tokens(images(encoder, batch=1))
    (tokens * torch.randn_like(tokens)).sum().backward()
    without = [n for n, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    encoder.zero_grad()
    assert without == []


def test_features_are_timms_own(small):
    x = images(small, 10, 10)
    with torch.inference_mode():
        tokens = small.vit.forward_features(x)
        patches, image = small(x)
        assert torch.equal(patches.flatten(1, 2), tokens[:, 1:])
        assert torch.equal(image, small.vit.forward_head(tokens, pre_logits=True))


def test_tokens_stand_row_by_row():
    # At the first layer a patch sees itself alone: disturbing one changes one vector, its own.
    encoder = DenseEncoder("test_vit", "random").eval()
    encoder.vit.blocks = torch.nn.Sequential()
    x = images(encoder, 4, 6, batch=1)
    changed = x.clone()
    changed[:, :, 2 * 16 : 3 * 16, 4 * 16 : 5 * 16] += 1
    with torch.inference_mode():
        moved = (encoder.patch_tokens(x) - encoder.patch_tokens(changed)).abs().amax(-1)[0] > 1e-6
    assert moved.nonzero().tolist() == [[2, 4]]


def test_layers_are_joined_in_the_order_asked_for(small):
    x = images(small)
    with torch.inference_mode():
        last = small(x).patch_tokens
        both = small(x, layers=(-1, 0)).patch_tokens
        swapped = small(x, layers=(0, 5)).patch_tokens
    assert both.shape[-1] == 2 * small.architecture.dim
    assert torch.allclose(both[..., :64], last, atol=1e-5)
    assert torch.equal(both[..., 64:], swapped[..., :64])
    assert torch.equal(both[..., :64], swapped[..., 64:])


def test_pooling(small):
    x = images(small)
    with torch.inference_mode():
        tokens = small.vit.forward_features(x)
        assert torch.equal(small(x, pooling="cls").image_features, tokens[:, 0])
        assert torch.allclose(small(x, pooling="mean").image_features, tokens[:, 1:].mean(1))


def test_pooling_by_a_class_token_that_is_not_there_is_refused():
    encoder = DenseEncoder("vit_base_patch16_siglip_224", "random")
    with pytest.raises(EncoderError, match="no class token"):
        encoder(images(encoder, 1, 1, 1), pooling="cls")


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 100, 96), "multiple of the patch size 16"), ((1, 1, 96, 96), r"\(B, 3, H, W\)")],
)
def test_images_that_do_not_fit_are_refused(small, shape, message):
    with pytest.raises(EncoderError, match=message):
        small(torch.zeros(shape))


def test_a_layer_that_is_not_there_is_refused(small):
    with pytest.raises(EncoderError, match="6 blocks"):
        small(images(small), layers=(6,))


def test_normalise_equals_timms_transform(small):
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    config = timm.data.resolve_model_data_config(small.vit)
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    assert torch.allclose(small.normalise(pixels), (pixels / 255 - mean) / std, atol=1e-6)


def test_random_weights_are_always_the_same_and_leave_the_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one = DenseEncoder("test_vit", "random").state_dict()
    assert torch.equal(torch.rand(3), expected)
    other = DenseEncoder.from_config(EncoderConfig.model_validate("test_vit@random")).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_unknown_architecture_names_near_ones():
    with pytest.raises(EncoderError, match="vit_tiny_patch16_224"):
        DenseEncoder("vit_tiny_patch16_225", "random")


def test_a_hub_that_cannot_be_reached_says_what_to_do_offline(monkeypatch):
    from huggingface_hub import constants

    # A port of this machine where nothing listens stands for a hub out of reach.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        EncoderError, match=r"(?s)could not be fetched.*@/path/to/model.safetensors"
    ):
        DenseEncoder("vit_small_patch14_reg4_dinov2.lvd142m")
    assert constants.HF_HUB_OFFLINE is False
