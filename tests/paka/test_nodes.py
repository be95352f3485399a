"""One run on two nodes, which are two launches on this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from paka.data.folder import ImageFiles
from paka.data.images import open_images
from paka.errors import ConfigError, TrainingError
from paka.files import write_json
from paka.nodes import Node, interface_of, join_endpoint, split_endpoint
from paka.presets import merge
from paka.run_folder import EXIT_CODES, RunFolder, step_folder
from paka.same_images import check_same_images, fingerprint
from tests.paka.conftest import GENTLE, stop_at
from tests.paka.test_launch import wait_for

LOOPBACK = "127.0.0.1"
TWO = {"runtime": {"processes": 2, "nodes": 2}}


@pytest.fixture
def start_nodes():
    """Starts the launches of a run's nodes; each folder gets its config unless it has one."""
    started = []

    def start(runs, configs=(), nodes=2):
        with socket.create_server((LOOPBACK, 0)) as probe:
            rendezvous = f"{LOOPBACK}:{probe.getsockname()[1]}"
        for run, config in zip(runs, configs, strict=False):
            run.path.mkdir(parents=True, exist_ok=True)
            write_json(run.config, config.model_dump(mode="json"))
        for rank, run in enumerate(runs):
            where = Node(rank, nodes, rendezvous, "job.1").to_environment()
            with (run.path / "train.log").open("a") as log:
                command = [sys.executable, "-m", "paka.launch", "--run", str(run.path)]
                env = os.environ | where
                started.append(subprocess.Popen(command, stdout=log, stderr=log, env=env))
                started[-1].rendezvous = rendezvous
        return started[-len(runs) :]

    yield start
    for process in started:
        process.kill()
        process.wait()


def folders(path):
    return RunFolder(path / "0"), RunFolder(path / "1")


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def log_of(run):
    return (run.path / "train.log").read_text()


def test_two_nodes_go_on_from_the_first_ones_checkpoint_as_one_process_does(
    small_config, trainer, start_nodes, tmp_path
):
    over = {
        "optim": {**GENTLE, "max_steps": 1000},
        "runtime": {"checkpoint_every_steps": 4, "keep_checkpoints": 1000},
    }
    alone = trainer(tmp_path / "alone", **over)
    stop_at(alone, 12)
    alone.run()
    runs = folders(tmp_path)
    shutil.copytree(alone.run_folder.path, runs[0].path)
    shutil.rmtree(step_folder(runs[0].checkpoints, 12))
    elsewhere = {"encoder": "test_vit@not/on/this/host.safetensors"}
    configs = [small_config(**merge(merge(over, TWO), one)) for one in ({}, elsewhere)]
    nodes = start_nodes(runs, configs)
    wait_for(lambda: step_folder(runs[0].checkpoints, 16).exists() or nodes[0].poll() is not None)
    nodes[0].send_signal(signal.SIGTERM)  # the first one's is enough
    assert [node.wait(60) for node in nodes] == [EXIT_CODES["stopped"]] * 2, log_of(runs[0])
    assert not runs[1].checkpoints.exists()

    rows, expected = (run.read_metrics() for run in (runs[0], alone.run_folder))
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["loss"] for row in rows[:12]] == pytest.approx(
        [row["loss"] for row in expected], abs=1e-4
    )
    assert [rows[at]["time"] == expected[at]["time"] for at in (7, 8)] == [True, False]
    one, other = (
        load_file(step_folder(run.checkpoints, 12) / "encoder.safetensors")
        for run in (alone.run_folder, runs[0])
    )
    assert max((one[name] - other[name]).abs().max() for name in one) < 1e-4


def test_whoever_waits_in_vain_for_the_others_can_be_stopped(small_config, start_nodes, tmp_path):
    run, _ = folders(tmp_path)
    (node,) = start_nodes([run], [small_config(**TWO)])
    port = int(node.rendezvous.rpartition(":")[2])
    wait_for(lambda: is_open(port))
    node.send_signal(signal.SIGTERM)
    assert node.wait(10) == -signal.SIGTERM


def test_nodes_that_do_not_see_the_same_images_say_so(photos):
    images = open_images(photos)
    there = ("elsewhere", 5, "others")
    processes = SimpleNamespace(gather=lambda mine: [*mine, *mine, there])
    message = f"is not the same everywhere: {len(images)} images on .*, 5 on elsewhere"
    with pytest.raises(TrainingError, match=message):
        check_same_images(images, "photos", processes)


def test_a_node_is_told_by_the_environment(monkeypatch):
    assert Node.from_environment() is None
    node = Node(1, 3, "10.0.0.5:29500", "job.7")
    for name, value in node.to_environment().items():
        monkeypatch.setenv(name, value)
    assert Node.from_environment() == node


@pytest.mark.parametrize("missing", Node(1, 3, "10.0.0.5:29500").to_environment())
def test_a_node_that_is_told_in_part_is_refused(monkeypatch, missing):
    for name, value in Node(1, 3, "10.0.0.5:29500").to_environment().items():
        if name != missing:
            monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"set without {missing}$"):
        Node.from_environment()


def test_processes_must_divide_among_nodes(small_config):
    with pytest.raises(ValueError, match=r"3 is not a multiple of runtime\.nodes = 2"):
        small_config(optim={"batch_size": 6}, runtime={"processes": 3, "nodes": 2})


@pytest.mark.parametrize("host", ["10.0.0.5", "fd00::5", "gpu-server"])
def test_an_endpoint_comes_apart_as_it_was_joined(host):
    assert split_endpoint(join_endpoint(host, 29500)) == (host, 29500)


@pytest.mark.parametrize("endpoint", ["10.0.0.5", ":29500", "host:", "host:0", "host:65536", "h:x"])
def test_what_is_no_endpoint_is_refused(endpoint):
    with pytest.raises(ConfigError, match="is not host:port"):
        split_endpoint(endpoint)


def test_the_interface_is_the_one_that_has_the_address(monkeypatch):
    assert Node(0, 2, f"{LOOPBACK}:29500").interfaces()["GLOO_SOCKET_IFNAME"] == "lo"
    assert interface_of("192.0.2.77") is None
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    assert Node(1, 2, f"{LOOPBACK}:29500").interfaces()["NCCL_SOCKET_IFNAME"] == "ib0"


def test_a_fingerprint_tells_of_a_missing_and_of_a_renamed_image(tmp_path):
    names = [f"{number:05}.jpg" for number in range(5000)]
    whole = fingerprint(ImageFiles(names, tmp_path))
    assert fingerprint(ImageFiles(list(names), tmp_path)) == whole
    assert fingerprint(ImageFiles([*names[:1001], *names[1002:]], tmp_path)) != whole
    assert fingerprint(ImageFiles(["0.jpg", *names[1:]], tmp_path)) != whole
