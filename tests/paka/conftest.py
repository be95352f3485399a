"""A small run on real photographs: a few seconds from start to end."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image

from paka.config import TrainConfig
from paka.files import write_json
from paka.presets import merge
from paka.run_folder import RunFolder

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
        "probe_images": 0,
    },
}


# Adam turns the rounding noise of a gradient that is really zero into a step of the learning rate,
# so what should be equal is compared at the learning rates of a real run.
GENTLE = {"lr_encoder": 1e-5, "lr_head": 1e-4}


def same(one, other):
    return (one / "encoder.safetensors").read_bytes() == (
        other / "encoder.safetensors"
    ).read_bytes()


def stop_at(trainer, step):
    """Have a trainer be asked to stop after a step."""
    after_step = trainer._after_step

    def ask():
        after_step()
        if trainer.step == step:
            trainer.stop.set()

    trainer._after_step = ask


def with_loss(trainer, around):
    """The trainer, whose loss of a batch is `around(loss_of, batch)` once it is built."""
    build = trainer._build

    def built():
        build()
        trainer.learner.loss_of = partial(around, trainer.learner.loss_of)

    trainer._build = built
    return trainer


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A small labelled data set: six training and four validation images of sky, ground and boxes.

    The upper border is not labelled; half of the images show no box; no image shows a bird.
    """
    folder, random = tmp_path_factory.mktemp("labelled"), np.random.default_rng(0)
    colours = np.array([[120, 160, 220], [90, 110, 60], [200, 60, 50]])
    for split, count in (("train", 6), ("val", 4)):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((48, 64), np.uint8)
            mask[random.integers(16, 32) :] = 1
            if number % 2:
                left = random.integers(0, 40)
                mask[16:40, left : left + 20] = 2
            pixels = colours[mask] + random.normal(0, 12, (48, 64, 3))
            mask[:6] = 255
            for kind, array in (("images", pixels.clip(0, 255).astype(np.uint8)), ("masks", mask)):
                Image.fromarray(array).save(folder / kind / split / f"{number}.png")
    (folder / "classes.txt").write_text("sky\nground\nbox\nbird\n")
    return folder


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
        flag = [] if module == "paka.train" else ["--run"]
        command = [sys.executable, "-m", module, *flag, str(run.path)]
        with (run.path / "train.log").open("a") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def trainer(small_config):
    """Makes a trainer that writes to a folder; what is given besides differs from `SMALL`."""
    from paka.trainer import Trainer

    return lambda folder, **over: Trainer(small_config(**over), RunFolder(folder))
