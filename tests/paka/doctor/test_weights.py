from pathlib import Path

import pytest

from paka.doctor import weights
from paka.doctor.finding import Level


def test_the_shipped_starter_is_intact():
    assert weights.starter(weights.STARTER).level is Level.OK


def test_a_damaged_or_missing_starter_is_told(tmp_path):
    file = tmp_path / "starter.safetensors"
    assert "is missing" in weights.starter(file).found
    content = bytearray(weights.STARTER.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    found = weights.starter(file)
    assert found.level is Level.PROBLEM
    assert "is damaged" in found.found


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/x"}, "/hf/hub"),
        ({"HF_HOME": "/hf", "HF_HUB_CACHE": "/here"}, "/here"),
    ],
)
def test_the_weights_folder_is_the_hub_clients(environment, folder):
    assert weights.cache_folder(environment) == Path(folder).expanduser()


def test_the_weights_folder_is_made_when_it_is_needed(tmp_path):
    found = weights.cache(tmp_path / "not" / "yet")
    assert (found.level, found.found) == (Level.OK, f"{tmp_path}/not/yet, 0 models")
    assert not (tmp_path / "not").exists()
    (tmp_path / "models--timm--vit").mkdir()
    assert weights.cache(tmp_path).found == f"{tmp_path}, 1 models"


def test_a_weights_folder_below_a_file_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    found = weights.cache(tmp_path / "file" / "hub")
    assert found.level is Level.PROBLEM
    assert "is a file" in found.found
    assert found.remedy == "export HF_HOME=/a/folder/of/yours"


def test_a_weights_folder_that_is_read_only_is_a_problem_for_root_too(mount_tmpfs, tmp_path):
    assert "cannot be written to" in weights.cache(mount_tmpfs(tmp_path, "ro,size=1m")).found


def test_offline_flags_are_a_warning():
    assert list(weights.offline({"HF_HUB_OFFLINE": "0"})) == []
    (found,) = weights.offline({"HF_HUB_OFFLINE": "1"})
    assert (found.level, found.remedy) == (Level.WARNING, "unset HF_HUB_OFFLINE")
