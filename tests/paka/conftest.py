"""A small run on real photographs: a few seconds from start to end."""

import subprocess
import sys

import pytest

from paka.config import TrainConfig
from paka.files import write_json
from paka.presets import merge

SMALL = {
    "encoder": "test_vit@random",
    "views": {"global_size": 64, "local_size": 32, "local_crops": 3},
    "loss": {"grid": 2},
    "head": {"hidden": 32, "out": 16},
    "teacher": {"momentum": 0.9},
    "optim": {
        "batch_size": 4,
        "max_steps": 12,
        "epochs": 1000,
        "lr_encoder": 1e-3,
        "lr_head": 1e-3,
    },
    "runtime": {
        "workers": 0,
        "log_every": 1,
        "checkpoint_every_steps": 5,
        "checkpoint_every_minutes": None,
        "device": "cpu",
    },
}


@pytest.fixture
def small_config(photos):
    """Returns the small run's settings with the given sections laid over them."""

    def make(**over):
        return TrainConfig.model_validate(merge(SMALL, {"dataset": str(photos), **over}))

    return make


@pytest.fixture
def start_run():
    """Starts a run's own process; with a config it is a new run, without one it goes on."""
    started = []

    def start(run, config=None, module="paka.train"):
        if config is not None:
            run.path.mkdir(parents=True)
            write_json(run.config, config.model_dump(mode="json"))
        flag = ["--run"] if module == "paka.launch" else []
        command = [sys.executable, "-m", module, *flag, str(run.path)]
        with (run.path / "train.log").open("a") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
