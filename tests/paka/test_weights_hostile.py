"""Weights of somebody else's are read without running anything of theirs."""

import ast
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.weights import build_vit, read_state

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("paka", "service", "worker", "benchmarks", "alembic")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def as_zip(content, path):
    torch.save(content, path)


def as_old_torch_file(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_bare_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
@pytest.mark.parametrize("save", [as_zip, as_old_torch_file, as_bare_pickle])
def test_no_code_of_a_weights_file_is_run(save, suffix, tmp_path):
    file, proof = tmp_path / f"evil{suffix}", tmp_path / "it_ran"
    save({"model": {"patch_embed.proj.weight": torch.zeros(1)}, "extra": Evil(proof)}, file)
    for load in (read_state, lambda path: build_vit("test_vit", str(path))):
        with pytest.raises(EncoderError, match="evil"):
            load(file)
    with pytest.raises(EncoderError):
        DenseEncoder("test_vit", str(file))
    assert not proof.exists()


def test_a_code_hidden_in_a_zips_other_members_is_not_run(tmp_path):
    file, proof = tmp_path / "evil.pth", tmp_path / "it_ran"
    torch.save({"a": torch.zeros(1)}, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("evil/more.pkl", pickle.dumps(Evil(proof)))
        archive.writestr("evil/code/evil.py", f"open({str(proof)!r}, 'w')")
    read_state(file)
    assert not proof.exists()


def test_the_proof_is_one(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "it_ran"))).close()
    assert (tmp_path / "it_ran").exists()


def test_nothing_in_the_code_unpickles():
    files = [f for package in PACKAGES for f in (ROOT / package).rglob("*.py")]
    calls = [
        (file, node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    assert [f"{file}:{ast.unparse(call)}" for file, call in calls if not _is_safe(call)] == []


def _is_safe(call):
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in ("torch.load", "load_state_dict_from_url"):
        return given.get("weights_only") == "True"
    if name in ("np.load", "numpy.load"):
        return given.get("allow_pickle", "False") == "False"
    return name not in (
        *("pickle.load", "pickle.loads", "marshal.loads", "joblib.load", "dill.loads"),
        *("yaml.load", "yaml.unsafe_load", "shelve.open", "torch.jit.load", "torch.hub.load"),
    )
