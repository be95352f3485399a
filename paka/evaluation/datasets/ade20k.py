"""ADE20K in the 150 classes of the scene parsing benchmark, ADEChallengeData2016.

Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017. A mask's 0 stands for all other
things and is ignored; 1 … 150 are the classes 0 … 149.
"""

from pathlib import Path

from paka.data.folder import list_images
from paka.evaluation.datasets.base import (
    LabelledImages,
    Layout,
    Split,
    first_with,
    make_lookup,
    make_split,
)

# The first synonym of each line of objectInfo150.txt, apart from a few clearer ones.
CLASSES = tuple(
    """wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk,
    person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf,
    house, sea, mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub,
    railing, cushion, base, box, column, signboard, chest of drawers, counter, sand, sink,
    skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table,
    pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower,
    book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar,
    arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth,
    television, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle,
    buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything,
    swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food,
    step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket,
    sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate,
    monitor, bulletin board, shower, radiator, glass, clock, flag""".replace("\n    ", " ").split(
        ", "
    )
)
_NEEDED = (
    "images/training",
    "images/validation",
    "annotations/training",
    "annotations/validation",
)


def _find(root: Path) -> Path | None:
    return first_with(root, ("ADEChallengeData2016",), _NEEDED)


def _read(root: Path) -> LabelledImages:
    train, val = _split(root, "training"), _split(root, "validation")
    return LabelledImages("ADE20K", "ade20k", CLASSES, train, val)


def _split(root: Path, split: str) -> Split:
    return make_split(
        list_images(root / "images" / split),
        lambda image: root / "annotations" / split / f"{image.stem}.png",
        make_lookup({index + 1: index for index in range(len(CLASSES))}, ignored=(0,)),
    )


ADE20K = Layout("{images,annotations}/{training,validation}", _find, _read)
