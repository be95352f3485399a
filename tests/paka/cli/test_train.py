"""`paka train` from the command line to the encoder, on real photographs."""

import os
import pty
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch
import typer
import yaml
from PIL import Image

from paka.checkpoint import verify
from paka.cli.settings import gather, new_config
from paka.cli.train import check_ending, new_folder, report_warnings
from paka.encoder import DenseEncoder
from paka.files import append_json_line, write_json
from paka.run_folder import Outcome, RunFolder, list_checkpoints

SMALL = [
    "--preset=tiny",
    "--encoder=test_vit@random",
    "--set=views={global_size: 64, local_size: 32, local_crops: 2}",
    "--set=head={hidden: 32, out: 16}",
    "--set=loss.grid=2",
    "--set=optim.batch_size=4",
    "--set=runtime={workers: 1, log_every: 1, checkpoint_every_steps: 4, device: cpu}",
]


def test_a_run_ends_with_an_encoder_that_loads_as_told(paka_process, photos, tmp_path, monkeypatch):
    done = paka_process("train", photos, *SMALL, "--set", "optim.max_steps=6")
    assert done.returncode == 0, done.stderr
    [folder] = (tmp_path / "runs").iterdir()
    assert re.fullmatch(rf"test_vit-{photos.name}-\d{{8}}-\d{{6}}", folder.name)
    assert "training 6/6  loss" in done.stderr
    code = re.search(r"timm\.create_model\(.*\)", done.stdout)[0]
    monkeypatch.chdir(tmp_path)
    vit = eval(code, {"timm": timm})
    with Image.open(re.search(r"loss +(\S+\.png)", done.stdout)[1]) as picture:
        assert min(picture.size) > 500
    ours = DenseEncoder("test_vit", str(folder / "final/encoder.safetensors")).vit
    start = DenseEncoder("test_vit", "random").vit
    for name, tensor in vit.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name])
    assert not torch.equal(vit.patch_embed.proj.weight, start.patch_embed.proj.weight)


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(photos, tmp_path):
    run = tmp_path / "my run"
    arguments = ["train", str(photos), *SMALL, "--set=optim.max_steps=100000", "--run", str(run)]
    text, code = in_terminal([sys.executable, "-m", "paka.cli", *arguments], "images/s", b"\x03")
    assert code == 3, text
    outcome = RunFolder(run).read_outcome()
    assert outcome.outcome == "stopped"
    assert verify(list_checkpoints(run / "checkpoints")[-1])["step"] == outcome.step
    said = " ".join(text.split())
    assert f"checkpoint of step {outcome.step} written" in said
    assert f"paka train --run '{run}'" in said


def test_a_training_that_failed_is_told_by_its_own_words(tmp_path, capsys):
    run = RunFolder(tmp_path)
    run.write_outcome(Outcome("failed", 3, "x.jpg is not an image that can be read"))
    with pytest.raises(typer.Exit) as left:
        check_ending(run, 1, asked=False)
    assert left.value.exit_code == 1
    said = capsys.readouterr().err
    assert said == f"error: x.jpg is not an image that can be read\nsee {tmp_path}/train.log\n"


def test_a_run_that_finished_tells_its_warnings(tmp_path, capsys):
    run = RunFolder(tmp_path)
    report_warnings(run)
    run.warn(5, "no checkpoint of step 5")
    append_json_line(run.skipped, {"image": "a.jpg", "reason": "is broken"})
    report_warnings(run)
    assert capsys.readouterr().err == (
        "warning: no checkpoint of step 5\n"
        f"warning: 1 images cannot be read and were skipped; see {run.skipped}\n"
    )


def test_a_training_that_was_killed_is_told_with_the_signal(tmp_path, capsys):
    with pytest.raises(typer.Exit) as left:
        check_ending(RunFolder(tmp_path), -9, asked=False)
    assert left.value.exit_code == 1
    assert "killed by SIGKILL" in capsys.readouterr().err


def test_stopping_before_the_first_step_is_no_error(tmp_path, capsys):
    with pytest.raises(typer.Exit) as left:
        check_ending(RunFolder(tmp_path), -15, asked=True)
    assert left.value.exit_code == 3
    assert f"paka train --run {tmp_path}" in capsys.readouterr().out


def test_settings_that_cannot_work_end_with_code_2_and_leave_nothing(paka, tmp_path):
    result = paka("train", tmp_path, "--set", "optim.batch_size=0", "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert re.search(
        r"optim.batch_size +should be greater than or equal to 1, got 0", result.output
    )
    assert not (tmp_path / "run").exists()


def test_an_unknown_preset_is_refused_with_those_there_are(paka, tmp_path):
    result = paka("train", tmp_path, "--preset", "huge")
    assert result.exit_code == 2
    assert "light, paper, tiny" in result.output


def test_a_data_set_that_is_not_there_is_told_before_a_folder_is_made(paka, tmp_path):
    result = paka("train", tmp_path / "nowhere", "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert f"{tmp_path}/nowhere does not exist" in result.output
    assert not (tmp_path / "run").exists()


def test_a_dry_run_prints_all_settings_and_starts_nothing(paka, photos, tmp_path):
    result = paka("train", photos, *SMALL, "--run", tmp_path / "run", "--dry-run")
    settings = yaml.safe_load(result.output)
    assert settings["dataset"] == str(photos)
    assert settings["views"]["local_crops"] == 2
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_run_again(paka, photos, result, tmp_path):
    run = RunFolder(shutil.copytree(result, tmp_path / "run"))
    write_json(run.config, yaml.safe_load(paka("train", photos, *SMALL, "--dry-run").output))
    run.append_metrics({"step": 1, "total_steps": 1, "loss": 0.5})
    answer = paka("train", "--run", run.path)
    assert answer.exit_code == 0
    assert "finished already" in answer.output
    assert str(run.final / "encoder.safetensors") in answer.output
    assert not (run.path / "train.log").exists()


def test_a_run_refuses_other_settings(paka, photos, tmp_path):
    run = RunFolder(tmp_path)
    write_json(run.config, yaml.safe_load(paka("train", photos, *SMALL, "--dry-run").output))
    result = paka("train", "--run", tmp_path, "--set", "optim.batch_size=8")
    assert result.exit_code == 2
    assert "optim.batch_size: 4 there, 8 here" in result.output


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = new_config(gather(dataset="photos"))
    assert len({new_folder(config) for _ in range(3)}) == 3


def in_terminal(command, awaited, keys):
    """Run a command in a terminal, press keys once it shows a text; return its text and code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        preexec_fn=lambda: os.login_tty(theirs),
    )
    os.close(theirs)
    text, pressed = "", False
    while chunk := read_some(ours):
        text += chunk
        if awaited in text and not pressed:
            pressed = True
            os.write(ours, keys)
    os.close(ours)
    return text, process.wait(60)


def read_some(handle):
    try:
        return os.read(handle, 4096).decode(errors="replace")
    except OSError:  # the terminal's other side is closed
        return ""


def test_two_nodes_make_one_encoder(paka_process, photos, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        rendezvous = f"127.0.0.1:{probe.getsockname()[1]}"
    two = ("--set=runtime.nodes=2", "--set=runtime.processes=2", "--run=large")
    nodes = [(*two, f"--rendezvous={rendezvous}", f"--node-rank={rank}") for rank in (0, 1)]
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(
            lambda node: paka_process("train", photos, *SMALL, "--set=optim.max_steps=3", *node),
            nodes,
        )
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert (tmp_path / "large/final/encoder.safetensors").exists()
    assert "node 1 has done its part" in second.stdout
    assert not (tmp_path / "large/nodes/1/final").exists()


def test_the_first_node_of_a_finished_run_still_meets_the_others(
    paka, result, photos, tmp_path, monkeypatch
):
    run, launched = shutil.copytree(result, tmp_path / "run"), []
    monkeypatch.setattr("paka.cli.train.launch", lambda _run, node: launched.append(node.rank))
    monkeypatch.setattr("paka.cli.train.report", lambda _run, _settings: None)
    two = ("--set=runtime={nodes: 2, processes: 2}", "--rendezvous=127.0.0.1:29500")
    assert paka("train", photos, *SMALL[:3], *two, f"--run={run}").exit_code == 0
    assert launched == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--set=runtime={nodes: 2, processes: 2}"],
            "runtime.nodes 2 needs --rendezvous host:port",
        ),
        (["--node-rank=1"], "--node-rank 1 is too large: runtime.nodes is 1"),
        (
            ["--set=runtime={nodes: 2, processes: 2}", "--rendezvous=here"],
            "'here' is not host:port",
        ),
    ],
)
def test_a_node_that_is_not_well_told_is_refused(paka_process, photos, tmp_path, options, message):
    done = paka_process("train", photos, *SMALL[:3], *options)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
