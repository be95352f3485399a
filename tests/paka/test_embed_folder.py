import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import pytest
from safetensors.numpy import load_file

from paka import FeatureReader
from paka.embed_folder import Meter, embed
from paka.files import read_json_lines, write_json
from paka.process import StopFlag
from paka.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def configure(run, photos, **over):
    config = {
        "encoder": {"architecture": "test_vit", "weights": "random"},
        "dataset": str(photos),
        "options": {"size": 32},
        "batch_size": 5,
        "workers": 0,
        **over,
    }
    write_json(run.config, config)


def start(run):
    command = [sys.executable, "-m", "paka.embed_folder", "--run", str(run.path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_folder_becomes_features_and_metrics_that_count_images(run, photos):
    configure(run, photos)
    outcome = embed(run, StopFlag())
    assert outcome == ("finished", 12, None)
    index = json.loads((run.path / "features/index.json").read_text())
    assert index["encoder"] == "test_vit@random"
    tensors = load_file(run.path / "features" / index["shards"][0]["file"])
    assert tensors["patch_tokens"].shape == (12, 2, 2, 64)
    last = run.read_metrics()[-1]
    assert (last["step"], last["total_steps"], last["eta_seconds"]) == (12, 12, 0)
    assert last["images_per_second"] > 0


def test_the_index_calls_the_encoder_as_it_is_told(run, photos):
    configure(run, photos, reference="enc_1")
    embed(run, StopFlag())
    assert json.loads((run.path / "features/index.json").read_text())["encoder"] == "enc_1"


def test_a_stopped_job_goes_on_to_the_end(run, photos):
    configure(run, photos)
    stop = StopFlag()
    stop.set()
    assert embed(run, stop) == ("stopped", 5, None)
    assert not (run.path / "features/index.json").exists()
    assert embed(run, StopFlag()) == ("finished", 12, None)
    steps = [row["step"] for row in run.read_metrics()]
    assert steps == sorted(steps)


def test_an_error_is_an_outcome_that_says_so(run, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "zebra.jpg").write_bytes(b"no image")
    configure(run, folder)
    outcome = embed(run, StopFlag())
    assert outcome.outcome == "failed"
    assert outcome.error.startswith("1 of 13 images cannot be read, more than the share of 0.05")
    assert outcome.error.endswith("zebra.jpg is not an image that can be read")


def test_images_that_cannot_be_read_are_skipped_and_listed(run, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "zebra.jpg").write_bytes(b"no image")
    configure(run, folder, max_unreadable=0.1)
    assert embed(run, StopFlag()) == ("finished", 13, None)
    assert [row["image"] for row in read_json_lines(run.skipped)] == ["zebra.jpg"]


def test_sigterm_leaves_after_the_batch_with_code_3(run, photos):
    slow = {"encoder": "vit_small_patch16_224@random", "options": {"size": 448}, "batch_size": 1}
    configure(run, photos, **slow)
    with start(run) as process:
        deadline = time.monotonic() + 60
        while not run.read_metrics() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 3, process.stderr.read()
    outcome = run.read_outcome()
    assert outcome.outcome == "stopped"
    assert 1 <= outcome.step < 12


def test_a_job_that_cannot_work_says_why(run, tmp_path):
    configure(run, tmp_path / "nowhere")
    outcome = embed(run, StopFlag())
    assert outcome.outcome == "failed"
    assert f"{tmp_path}/nowhere does not exist" in outcome.error


def test_images_that_were_done_before_do_not_count_as_speed(run):
    meter = Meter(run, batch_size=4)
    meter.update(512, 1024)
    meter.update(1024, 1024)
    assert run.read_metrics()[0]["images_per_second"] == 0


def test_lines_of_images_that_are_done_again_are_dropped(run):
    for step in (4, 8, 12):
        run.append_metrics({"step": step})
    meter = Meter(run, batch_size=4)
    meter.update(4, 16)
    assert [row["step"] for row in run.read_metrics()] == [4]


def test_shards_become_features_in_either_format_with_their_members_names(run, photos, tmp_path):
    (tmp_path / "set").mkdir()
    with tarfile.open(tmp_path / "set/0.tar", "w") as tar:
        for photo in sorted(photos.iterdir()):
            tar.add(photo, photo.name)
    with tarfile.open(tmp_path / "set/1.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("empty.jpg"))
    configure(run, photos)
    assert embed(run, StopFlag()) == ("finished", 12, None)
    expected = FeatureReader(run.features)
    configure(run, tmp_path / "set", format="zarr", max_unreadable=0.1)
    assert embed(run, StopFlag()) == ("finished", 13, None)
    found = FeatureReader(run.features)
    assert found.names == [f"0.tar/{name}" for name in expected.names]
    assert [one["image"] for one in read_json_lines(run.skipped)] == ["1.tar/empty.jpg"]
    assert (found[:].patch_tokens == expected[:].patch_tokens).all()
