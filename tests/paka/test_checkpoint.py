import pytest
import torch
from safetensors.torch import load_file

from paka.checkpoint import (
    load_latest_state,
    prune,
    save_checkpoint,
    saved_bytes,
    verify,
)
from paka.encoder import DenseEncoder
from paka.errors import CheckpointError
from paka.run_folder import list_checkpoints, step_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vit():
    return DenseEncoder("test_vit", "random").vit


@pytest.fixture
def checkpoints(tmp_path, vit):
    for step in (10, 20, 30):
        meta = {"step": step, "total_steps": 30, "architecture": "test_vit"}
        save_checkpoint(step_folder(tmp_path, step), vit, meta, {"step": step})
    return tmp_path


def test_a_checkpoint_holds_the_encoder_the_state_and_what_they_are(checkpoints, vit):
    folder = step_folder(checkpoints, 10)
    assert sorted(p.name for p in folder.iterdir()) == [
        "encoder.safetensors",
        "meta.json",
        "state.pt",
    ]
    saved = load_file(folder / "encoder.safetensors")
    assert saved.keys() == vit.state_dict().keys()
    meta = verify(folder)
    assert meta["step"] == 10
    assert meta["files"].keys() == {"encoder.safetensors", "state.pt"}


def test_the_latest_is_loaded(checkpoints):
    assert load_latest_state(checkpoints, CPU) == {"step": 30}


def test_a_torn_one_is_passed_over(checkpoints):
    state = step_folder(checkpoints, 30) / "state.pt"
    state.write_bytes(state.read_bytes()[:-5])
    assert load_latest_state(checkpoints, CPU) == {"step": 20}


def test_one_whose_meta_is_torn_is_passed_over(checkpoints):
    (step_folder(checkpoints, 30) / "meta.json").write_text('{"step": 3')
    assert load_latest_state(checkpoints, CPU) == {"step": 20}


def test_the_bytes_of_a_state_are_about_those_of_its_file(tmp_path, vit):
    state = {"step": 3, "moments": [torch.zeros(1000), {"deep": torch.zeros(5, dtype=torch.int64)}]}
    assert saved_bytes(state) == 4040
    save_checkpoint(tmp_path / "x", vit, {"step": 3}, None)
    written = (tmp_path / "x/encoder.safetensors").stat().st_size
    assert saved_bytes(vit) == pytest.approx(written, rel=0.02)


def test_one_without_meta_does_not_exist(checkpoints):
    (step_folder(checkpoints, 30) / "meta.json").unlink()
    assert [p.name for p in list_checkpoints(checkpoints)] == ["step-00000010", "step-00000020"]


def test_all_damaged_is_an_error_that_names_them(checkpoints):
    for folder in list_checkpoints(checkpoints):
        (folder / "state.pt").unlink()
    with pytest.raises(CheckpointError, match=r"step-00000010.*missing"):
        load_latest_state(checkpoints, CPU)


def test_none_at_all_is_no_error(tmp_path):
    assert load_latest_state(tmp_path / "checkpoints", CPU) is None


def test_pruning_keeps_the_latest(checkpoints):
    prune(checkpoints, keep=2)
    assert sorted(p.name for p in checkpoints.iterdir()) == ["step-00000020", "step-00000030"]
