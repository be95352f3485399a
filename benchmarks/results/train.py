"""Carry out a training of the results: once, kept in its folder, taken up again if interrupted."""

import time
from pathlib import Path

from benchmarks.results.experiments import IMAGES, OWN, Experiment
from paka.config import TrainConfig
from paka.files import read_json, write_json
from paka.run_folder import RunFolder
from paka.starter.recipe import Recipe
from paka.starter.train import train_starter
from paka.starter.vit_starter import WEIGHTS
from paka.trainer import Trainer


def trained_weights(experiment: Experiment, dataset: Path, seed: int, folder: Path) -> Path:
    """Return the weights that the experiment's training under `seed` gives, trained if need be.

    Its time in seconds is kept beside them in seconds.json.
    """
    if experiment is OWN:
        return _more_of_its_own(seed, folder)
    run = RunFolder(folder)
    weights = run.final / "encoder.safetensors"
    if not weights.exists():
        config = TrainConfig.model_validate(experiment.settings(str(dataset), seed))
        begun = time.monotonic()
        Trainer(config, run).run()
        write_json(folder / "seconds.json", time.monotonic() - begun)
    return weights


def _more_of_its_own(seed: int, folder: Path) -> Path:
    """The starter after as many further images of its own training as PaKA sees."""
    weights = folder / "starter.safetensors"
    if not (folder / "seconds.json").exists():
        recipe = Recipe(
            weights=str(WEIGHTS),
            scenes=IMAGES,
            first_seed=500_000_000,
            steps=IMAGES // 64,
            batch=64,
            final_steps=0,
            warmup=0,
            lr=1e-4,
            seed=seed,
        )
        begun = time.monotonic()
        train_starter(recipe, folder)
        (folder / "scenes.npy").unlink()
        write_json(folder / "seconds.json", time.monotonic() - begun)
    return weights


def seconds_of(folder: Path) -> float:
    """How long the training in `folder` took."""
    return float(read_json(folder / "seconds.json"))
