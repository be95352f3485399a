import importlib.util
import sys

import pytest

from paka.cli import app
from paka.errors import ConfigError
from paka.extras import load_extra


def test_a_package_that_is_not_there_is_named_with_its_extra():
    with pytest.raises(ConfigError, match=r"ONNX needs nothere, .*'paka-service\[export\]'"):
        load_extra("nothere.at.all", "export", "ONNX")


@pytest.mark.parametrize(
    "command",
    [
        "train photos",
        "evaluate vit_starter_patch16_224 --on photos",
        "embed cat.jpg --encoder vit_starter_patch16_224 --output cat.safetensors",
        "show features cat.jpg --encoder vit_starter_patch16_224",
        "export vit_starter_patch16_224 --to timm --output exported",
    ],
)
def test_without_torch_every_command_says_what_to_install(
    command, photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photos)
    (tmp_path / "cat.jpg").symlink_to(photos / "chelsea.jpg")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "paka.extras.find_spec", lambda name: None if name == "torch" else find(name)
    )
    monkeypatch.setitem(sys.modules, "psutil", None)  # it comes with torch
    monkeypatch.delitem(sys.modules, "paka.nodes", raising=False)
    before = {*tmp_path.iterdir()}
    with pytest.raises(SystemExit) as left:
        app(command.split())
    assert left.value.code == 2
    assert "needs torch, which is not installed: pip install" in capsys.readouterr().err
    assert {*tmp_path.iterdir()} == before
