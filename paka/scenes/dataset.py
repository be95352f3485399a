"""Scenes as an ordinary labelled data set: images, masks, class names, image labels."""

import csv
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from paka.files import replacing_folder
from paka.scenes.scene import CLASSES, Camera, draw_scene

# Far from the seeds of every other use: nothing of a data set is in the starter's training.
FIRST_SEED = {"train": 1_000_000_000, "val": 2_000_000_000}


def write_scenes(
    folder: Path,
    train: int,
    val: int,
    size: int = 224,
    camera: Camera = "clear",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `train` and `val` scenes of `size` x `size` pixels; the same arguments give the same
    pixels.

    The layout is the plain one: images/{train,val}/*.jpg, masks/{train,val}/*.png (an index into
    classes.txt for every pixel) and labels.csv (split, image, label), the scene's setting.

    Args:
        folder: where to; it appears when it is complete.
        camera: `murky` for photographs unlike those that the starter was trained on.
        progress: called with (written, all) as it goes on.

    Raises:
        FileExistsError: `folder` exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} exists and is not empty")
    wanted = [("train", i) for i in range(train)] + [("val", i) for i in range(val)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as aside:
        for kind in ("images", "masks"):
            for split in FIRST_SEED:
                (aside / kind / split).mkdir(parents=True)
        (aside / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
        with (
            ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool,
            (aside / "labels.csv").open("w", newline="") as file,
        ):
            rows = csv.writer(file)
            rows.writerow(("split", "image", "label"))
            for done, row in enumerate(pool.map(partial(_write, aside, size, camera), wanted), 1):
                rows.writerow(row)
                if progress is not None:
                    progress(done, len(wanted))


def _write(folder: Path, size: int, camera: Camera, item: tuple[str, int]) -> tuple[str, str, str]:
    """Draw and write one scene; return its row of labels.csv."""
    split, index = item
    scene = draw_scene(FIRST_SEED[split] + index, size, camera)
    name = f"{index:05d}"
    Image.fromarray(scene.image).save(folder / "images" / split / f"{name}.jpg", quality=92)
    Image.fromarray(scene.mask).save(folder / "masks" / split / f"{name}.png")
    return split, name, scene.setting
