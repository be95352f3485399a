"""The starter's training images: scenes drawn once, kept in one array, cropped anew each time."""

import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from paka.scenes.scene import CLASSES, SETTINGS, draw_scene
from paka.starter.recipe import Recipe

log = logging.getLogger(__name__)

SIZE = 224
LABELS = (*CLASSES, *SETTINGS)


def image_labels(mask: NDArray[np.uint8], setting: str, least_share: float) -> NDArray[np.bool_]:
    """Which classes a scene shows, and in which setting: (len(LABELS),) bool."""
    share = np.bincount(mask.ravel(), minlength=len(CLASSES)) / mask.size
    return np.concatenate([share >= least_share, [name == setting for name in SETTINGS]])


def draw_all(recipe: Recipe, folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw the recipe's scenes, on all cores, or read them back if the folder has them.

    Returns:
        images (n, 224, 224, 3), mapped from `folder`/scenes.npy, and labels (n, len(LABELS)).
    """
    file, labels_file = folder / "scenes.npy", folder / "labels.npy"
    if not labels_file.exists():
        shape = (recipe.scenes, SIZE, SIZE, 3)
        images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        labels = np.zeros((recipe.scenes, len(LABELS)), dtype=np.bool_)
        seeds = range(recipe.first_seed, recipe.first_seed + recipe.scenes)
        with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
            for i, scene in enumerate(pool.map(draw_scene, seeds, chunksize=32)):
                images[i] = scene.image
                labels[i] = image_labels(scene.mask, scene.setting, recipe.least_share)
                if (i + 1) % 1000 == 0:
                    log.info("drew %d of %d scenes", i + 1, recipe.scenes)
        images.flush()
        np.save(labels_file, labels)
    return np.load(file, mmap_mode="r"), np.load(labels_file)


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of the scenes: uint8 (3, S, S) and labels (L,) of the whole scene.

    An item is asked for by (position in the run, crop's side): what is drawn depends on nothing
    else, so that a run is the same for any number of loading processes.
    """

    def __init__(
        self, recipe: Recipe, images: NDArray[np.uint8], labels: NDArray[np.bool_]
    ) -> None:
        self.recipe, self.images, self.labels = recipe, images, labels

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor]:
        position, size = item
        rng = np.random.default_rng([self.recipe.seed, position])
        # A random permutation of the scenes for each pass over them.
        epoch, place = divmod(position, len(self.images))
        order = np.random.default_rng([self.recipe.seed, epoch, len(self.images)])
        index = int(order.permutation(len(self.images))[place])
        area, aspect = rng.uniform(*self.recipe.crop), np.exp(rng.uniform(-0.25, 0.25))
        width = min(SIZE * np.sqrt(area * aspect), SIZE)
        height = min(SIZE * np.sqrt(area / aspect), SIZE)
        left, top = rng.uniform(0, SIZE - width), rng.uniform(0, SIZE - height)
        crop = Image.fromarray(self.images[index]).resize(
            (size, size), Image.Resampling.BILINEAR, (left, top, left + width, top + height)
        )
        pixels = np.asarray(crop)[:, :: int(rng.choice((-1, 1)))].transpose(2, 0, 1)
        return torch.from_numpy(pixels.copy()), torch.from_numpy(self.labels[index]).float()

    def __len__(self) -> int:
        return len(self.images)


class Batches(Sampler[list[tuple[int, int]]]):
    """The positions and sizes of each update's crops: first at `size`, then at `final_size`."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        recipe, position = self.recipe, 0
        for step in range(len(self)):
            final = step >= recipe.steps
            count = recipe.final_batch if final else recipe.batch
            size = recipe.final_size if final else recipe.size
            yield [(position + i, size) for i in range(count)]
            position += count

    def __len__(self) -> int:
        return self.recipe.steps + self.recipe.final_steps
