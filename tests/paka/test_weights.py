"""Weights files of several houses, and files that are none."""

import hashlib
import pickle
import stat
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.weights import build_vit, load_weights, save_weights, weights_sha256


def changed(architecture):
    """A model whose weights differ from the random draw."""
    vit = build_vit(architecture, "random")
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(0.5)
    return vit


def assert_same(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "architecture", ["test_vit", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3"]
)
def test_saved_weights_load_here_and_in_timm(tmp_path, architecture):
    vit, path = changed(architecture), tmp_path / "encoder.safetensors"
    save_weights(vit, path)
    assert_same(build_vit(architecture, str(path)), vit)
    assert_same(timm.create_model(architecture, num_classes=0, checkpoint_path=str(path)), vit)


def test_nothing_is_drawn_for_an_encoder_that_comes_from_a_file(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_weights(build_vit("test_vit", "random"), path)
    before = torch.random.get_rng_state()
    loaded = build_vit("test_vit", str(path)).state_dict()
    saved = load_file(path)
    assert all(torch.equal(loaded[name], saved[name]) for name in loaded)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_saved_weights_can_be_read_by_whoever_may_read_new_files(tmp_path):
    save_weights(DenseEncoder("test_vit", "random").vit, tmp_path / "encoder.safetensors")
    (tmp_path / "new").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_the_sha256_of_a_model_is_that_of_its_file(tmp_path):
    vit, path = changed("test_vit"), tmp_path / "encoder.safetensors"
    save_weights(vit, path)
    assert weights_sha256(vit) == weights_sha256(path)
    assert weights_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights_sha256(vit) != weights_sha256(build_vit("test_vit", "random"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3},
        lambda state: {
            "student": {f"backbone.{k}": torch.zeros_like(v) for k, v in state.items()},
            "teacher": {f"backbone.{k}": v for k, v in state.items()},
        },
        lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}},
        lambda state: {**state, "head.weight": torch.zeros(1000, 64)},
    ],
    ids=["plain", "model", "module", "teacher first", "framework", "with a head"],
)
def test_torch_files_of_many_shapes_load(tmp_path, wrap):
    vit, path = changed("test_vit"), tmp_path / "weights.pth"
    torch.save(wrap(vit.state_dict()), path)
    assert_same(build_vit("test_vit", str(path)), vit)


def official_dinov2(vit, registers):
    """The names and shapes of the checkpoints that DINOv2's own repository publishes."""
    state = dict(vit.state_dict())
    cls_place = torch.randn(1, 1, 384)
    state["pos_embed"] = torch.cat([cls_place, state["pos_embed"]], 1)
    state["cls_token"] = state["cls_token"] - cls_place
    if registers:
        state["register_tokens"] = state.pop("reg_token")
    state["mask_token"] = torch.zeros(1, 384)
    return state


def test_official_dinov2_weights_load(tmp_path):
    vit = changed("vit_small_patch14_reg4_dinov2")
    path = tmp_path / "dinov2_vits14_reg4_pretrain.pth"
    torch.save(official_dinov2(vit, registers=True), path)
    loaded = build_vit("vit_small_patch14_reg4_dinov2", str(path))
    for name, value in vit.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], value, atol=1e-5), name


def test_a_position_embedding_of_another_size_is_resized(tmp_path):
    path = tmp_path / "small.safetensors"
    small = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=96)
    save_file(small.state_dict(), path)
    loaded = build_vit("vit_tiny_patch16_224", str(path))
    assert loaded.state_dict()["pos_embed"].shape[1] == 14 * 14 + 1


def test_weights_of_another_architecture_are_refused_with_what_does_not_fit(tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(build_vit("vit_tiny_patch16_224", "random"), path)
    with pytest.raises(EncoderError, match=r"does not fit test_vit: \d+ of \d+ tensors fit"):
        build_vit("test_vit", str(path))


def test_missing_tensors_are_named(tmp_path):
    path = tmp_path / "part.safetensors"
    state = changed("test_vit").state_dict()
    del state["blocks.0.norm1.weight"]
    save_file(state, path)
    with pytest.raises(EncoderError, match=r"blocks\.0\.norm1\.weight is missing"):
        build_vit("test_vit", str(path))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/paka-test-bomb"),))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"not weights", pickle.dumps(Bomb(), protocol=2)],
    ids=["empty", "text", "bomb"],
)
def test_what_is_no_weights_file_is_refused_and_not_run(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="weights"):
        build_vit("test_vit", str(path))
    assert not Path("/tmp/paka-test-bomb").exists()


def test_a_truncated_file_is_refused(tmp_path):
    for name, save in (
        ("a.safetensors", save_weights),
        ("a.pth", lambda v, p: torch.save(v.state_dict(), p)),
    ):
        path = tmp_path / name
        save(changed("test_vit"), path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(EncoderError):
            build_vit("test_vit", str(path))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(EncoderError, match=r"/no/such\.pth does not exist"):
        DenseEncoder("test_vit", "/no/such.pth")


def test_a_failed_load_leaves_the_model_as_it_was(tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(build_vit("vit_tiny_patch16_224", "random"), path)
    vit = build_vit("test_vit", "random")
    with pytest.raises(EncoderError):
        load_weights(vit, path)
    assert_same(vit, build_vit("test_vit", "random"))
