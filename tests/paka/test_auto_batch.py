"""Splitting batches until they fit, with a made-up limit and with a real one."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from paka.auto_batch import Trial, fit_to_memory
from paka.errors import TrainingError
from paka.learner import Learner
from paka.memory import what_to_lower
from paka.run_folder import RunFolder
from paka.train import explain_training
from paka.trainer import Trainer
from paka.views.pipeline import ViewBatch


@pytest.fixture
def limited(small_config, monkeypatch):
    """Trains where no more than so many images fit at once."""

    def train(folder, images, **over):
        loss_of = Learner.loss_of

        def loss_of_few(learner, batch):
            loss = loss_of(learner, batch)
            if len(batch.global_images) > images:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return loss

        monkeypatch.setattr(Learner, "loss_of", loss_of_few)
        return Trainer(small_config(**over), RunFolder(folder))

    return train


AUTO = {"runtime": {"auto_batch": True}}


@pytest.mark.parametrize(("fit", "parts"), [(4, 1), (3, 2), (1, 4)])
def test_the_least_split_that_fits_gives_the_bits_of_that_split(
    limited, small_config, tmp_path, fit, parts
):
    auto = limited(tmp_path / "auto", fit, **AUTO)
    assert auto.run().outcome == "finished"
    by_hand = small_config(optim={"accumulate": parts})
    Trainer(by_hand, RunFolder(tmp_path / "hand")).run()
    results = [tmp_path / name / "final/encoder.safetensors" for name in ("auto", "hand")]
    assert results[0].read_bytes() == results[1].read_bytes()
    assert {row["accumulate"] for row in RunFolder(tmp_path / "auto").read_metrics()} == {parts}


def test_a_resumed_run_keeps_its_split(limited, tmp_path):
    first = limited(tmp_path, 2, **AUTO)
    first.stop.set()
    assert first.run() == ("stopped", 1, None)
    second = limited(tmp_path, 4, **AUTO)
    second.run()
    assert second.config.optim.accumulate == 2


def test_where_not_one_image_fits_the_error_says_what_to_lower(limited, tmp_path):
    with pytest.raises(TrainingError) as raised:
        limited(tmp_path, 0, **AUTO).run()
    message = str(raised.value)
    assert message.startswith(
        "out of memory with one image at a time: lower views.global_size (64)"
    )
    assert "accumulate" not in message


def test_without_it_the_error_names_the_values(limited, tmp_path):
    trainer = limited(tmp_path, 2)
    with pytest.raises(torch.OutOfMemoryError) as raised:
        trainer.run()
    said = explain_training(raised.value, trainer.config)
    assert said.startswith(
        "out of memory: raise optim.accumulate above 1, or set runtime.auto_batch"
    )
    for value in ("4 images at once", "global_size (64)", "local_crops (3)", "batch_size (4)"):
        assert value in said


def test_every_size_is_tried_compiled(small_config):
    sizes = []

    def compiler(graph, inputs):
        sizes.append(max(each.numel() for each in inputs))
        return graph

    weight = torch.nn.Parameter(torch.ones(()))

    @partial(torch.compile, backend=compiler, dynamic=False)
    def computed(images):
        return (images * weight).sum()

    def loss_of(batch):
        loss = computed(batch.global_images)
        if len(batch.global_images) > 1:
            raise torch.OutOfMemoryError
        return loss

    views = ViewBatch(*(torch.ones(8, 1) for _ in ViewBatch._fields))
    trial = Trial(views, loss_of, torch.optim.SGD([weight], 1), torch.device("cpu"))
    config = small_config(optim={"batch_size": 8}, runtime={"compile": True})
    with torch._dynamo.config.patch(recompile_limit=2):
        assert fit_to_memory(config, trial, bool).optim.accumulate == 8
    assert sizes == [8, 4, 2, 1]


def test_splitting_by_trial_is_not_advised_where_it_is_refused(small_config):
    assert "runtime.auto_batch" in what_to_lower(small_config())
    graphs = {"compile": True, "cuda_graphs": True}
    assert "runtime.auto_batch" not in what_to_lower(small_config(runtime=graphs))


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from paka.auto_batch import with_accumulate
from paka.config import TrainConfig
from paka.process import StopFlag
from paka.run_folder import RunFolder
from paka.train import Processes, train

torch.backends.mkldnn.enabled = False  # where it found no memory once, it never does again

def limit(spare):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))

def run(name, accumulate=None):
    run = RunFolder(Path(sys.argv[1]) / name)
    if accumulate:
        config = TrainConfig.model_validate_json(run.config.read_text())
        run.config.write_text(with_accumulate(config, accumulate).model_dump_json())
    print(train(run, StopFlag(), Processes()), flush=True)
    return run

run("first")  # what a process loads only once is loaded now
limit(50 * 2**20)
run("plain")
auto = run("auto")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run("hand", auto.read_metrics()[-1]["accumulate"])
"""


def test_it_finds_what_fits_into_a_process_of_limited_memory(small_config, tmp_path):
    optim = {"batch_size": 128, "max_steps": 2}
    for name, over in (
        ("first", {"optim": {"batch_size": 4, "max_steps": 1}}),
        ("plain", {"optim": optim}),
        ("auto", {"optim": optim, **AUTO}),
        ("hand", {"optim": optim}),
    ):
        (tmp_path / name).mkdir()
        config = small_config(**over).model_dump_json()
        (tmp_path / name / "config.json").write_text(config)
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    # Every tensor is mapped by itself and given back at once: gaps between them would be by chance.
    mapped = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, env=mapped, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, plain, auto, hand = done.stdout.splitlines()
    assert "out of memory: raise optim.accumulate above 1" in plain
    assert "128 images at once" in plain
    assert all("outcome='finished'" in outcome for outcome in (first, auto, hand)), done.stderr
    [accumulate] = {row["accumulate"] for row in RunFolder(tmp_path / "auto").read_metrics()}
    assert 1 < accumulate < 64
    results = [tmp_path / name / "final/encoder.safetensors" for name in ("auto", "hand")]
    assert results[0].read_bytes() == results[1].read_bytes()
