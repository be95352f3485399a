"""`python -m paka.scenes FOLDER` writes procedural scenes as a labelled data set."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from rich.progress import Progress

from paka.scenes.dataset import write_scenes
from paka.scenes.scene import Camera


def main(arguments: list[str] | None = None) -> int:
    """Write the data set; 0 when it is complete, 2 when the folder cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m paka.scenes", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to; must be new or empty")
    parser.add_argument("--train", type=int, default=400, help="training images (400)")
    parser.add_argument("--val", type=int, default=100, help="validation images (100)")
    parser.add_argument("--size", type=int, default=224, help="side in pixels (224)")
    parser.add_argument(
        "--camera",
        choices=get_args(Camera),
        default="clear",
        help="murky: out of focus, through haze, unlike what the starter was trained on (clear)",
    )
    given = parser.parse_args(arguments)
    for name, value, least in (
        ("train", given.train, 1),
        ("val", given.val, 1),
        ("size", given.size, 32),
    ):
        if value < least:
            parser.error(f"--{name} must be at least {least}, got {value}")
    with Progress() as bar:
        task = bar.add_task("drawing scenes", total=given.train + given.val)
        try:
            write_scenes(
                given.folder,
                given.train,
                given.val,
                given.size,
                given.camera,
                lambda done, _: bar.update(task, completed=done),
            )
        except OSError as error:
            parser.error(str(error))
    print(f"{given.train} training and {given.val} validation scenes in {given.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
