import subprocess
import sys

import pytest

from paka.cli.reference import in_timm, load, read_reference
from paka.encoder import DenseEncoder
from paka.errors import ConfigError
from paka.weights import save_weights


def test_a_name_is_an_architecture_with_pretrained_weights():
    config = read_reference("test_vit")
    assert (config.architecture, config.weights) == ("test_vit", "pretrained")


def test_weights_follow_an_at_sign_and_their_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_reference("test_vit@random").weights == "random"
    assert read_reference("test_vit@some/file.pth").weights == str(tmp_path / "some/file.pth")


@pytest.mark.parametrize("inside", ["", "final"])
def test_the_folder_of_a_run_or_of_its_result_is_its_encoder(result, inside):
    config = read_reference(str(result / inside))
    assert config.architecture == "test_vit"
    assert config.weights == str(result / "final/encoder.safetensors")
    assert not load(config).training


def test_a_folder_without_an_encoder_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path} holds no finished encoder.*--run"):
        read_reference(str(tmp_path))


def test_an_unknown_architecture_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="vit_small_patch14_dinov2"):
        read_reference("vit_smal_patch14_dinov2")


def test_the_code_for_timm_runs_as_it_is_printed(tmp_path):
    file = tmp_path / "encoder.safetensors"
    save_weights(DenseEncoder("vit_starter_patch16_224", "random").vit, file)
    code = f"import timm; {in_timm('vit_starter_patch16_224', file)}"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert in_timm("test_vit", file).startswith("timm.create_model")
